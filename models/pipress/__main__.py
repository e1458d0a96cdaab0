"""`python -m pipress`: what the plan and people call. See `--help`."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from pipress.errors import StageError
from pipress.jobs.attach import Interrupted, Seldom, end_with_parent, print_message, print_result, run_stage


def main() -> int:
    """Returns the exit status: 0 done, 1 failed, 130 interrupted."""
    options = _parser().parse_args()
    if options.command == "stage":
        return _stage()
    if options.command == "datasets":
        return _check_datasets()
    if options.command == "store":
        return _fetch(options)
    if options.command == "builder":
        return _builder(options)
    if options.command == "cloud":
        return _cloud(options)
    if options.action in ("work", "prepare"):
        _work(options)
    return _jobs(options)


def _stage() -> int:
    """Reads a spec on standard input, prints the result document on standard output."""
    end_with_parent()
    spec = json.load(sys.stdin)
    name, log = spec["name"], Path(spec["jobs"], spec["key"], "log.txt")
    try:
        print_result(run_stage(spec))
    except Interrupted:
        print_message(f"{name} goes on without you. To pick it up, run the same command again;")
        print_message(f"to stop it: ./pipress jobs stop {name}")
        return 130
    except StageError as error:
        print_message(f"{name}: {error}")
        print_message(f"{name}: log: {log}")
        return 1
    return 0


def _check_datasets() -> int:
    """Reads data sets that are files of this machine on standard input, and prints what is wrong with them."""
    from pipress.sources.local_datasets import local_problems

    print(json.dumps(local_problems(json.load(sys.stdin))))
    return 0


def _builder(options: argparse.Namespace) -> int:
    """Makes this machine ready to run stages for somebody else, then runs one."""
    from pipress.builder.run import run

    try:
        run(options.source, _jobs_dir().parent, _cache_dir())
    except StageError as error:
        print_message(f"builder: {error}")
        return 1


def _cloud(options: argparse.Namespace) -> int:
    """What the operator asks of EC2 instances, and what runs there."""
    try:
        if options.action == "run":
            from pipress.cloud.run import main as run

            end_with_parent()
            return run(_jobs_dir())
        if options.action == "serve":
            from pipress.cloud.serve import main as serve

            serve(options.home, options.source)
        else:
            from pipress.cloud.watch import main as watch

            watch(options.home)
    except StageError as error:
        print_message(f"cloud {options.action}: {error}")
        return 1
    return 0


def _work(options: argparse.Namespace) -> NoReturn:
    from pipress.jobs.work import main as work

    if options.action == "prepare":
        from pipress.builder.prepare import make_ready

        work(options.folder, options.lock, make_ready)
    work(options.folder, options.lock)


def _fetch(options: argparse.Namespace) -> int:
    """Brings an artifact to this machine, every byte checked, and prints its folder."""
    from pipress.store.store import open_store

    try:
        print(open_store(options.url, options.jobs, on_message=Seldom(print_message)).open(options.key))
    except StageError as error:
        print_message(str(error))
        return 1
    return 0


def _jobs(options: argparse.Namespace) -> int:
    from pipress.jobs.commands import list_jobs, show_log, stop_job

    try:
        if options.action == "ls":
            list_jobs(options.dir)
        elif options.action == "stop":
            stop_job(options.dir, options.name)
        else:
            show_log(options.dir, options.name, options.follow)
    except StageError as error:
        print_message(f"jobs {options.action}: {error}")
        return 1
    except BrokenPipeError:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    stage = commands.add_parser("stage", help="run one stage").add_subparsers(dest="action", required=True)
    stage.add_parser("run", help="read a spec on standard input; submit its job unless done, attach, print the result")
    datasets = commands.add_parser("datasets", help="look at files of text").add_subparsers(
        dest="action", required=True
    )
    datasets.add_parser("check", help="read local data sets of a recipe on standard input; print what is wrong")
    store = commands.add_parser("store", help="look into a store").add_subparsers(dest="action", required=True)
    fetch = store.add_parser("fetch", help="bring an artifact to this machine and print its folder")
    fetch.add_argument("url", help="file:///folder or s3://bucket/prefix")
    fetch.add_argument("key")
    fetch.add_argument("--jobs", type=Path, default=_jobs_dir(), help="folder beside which the cache lies")
    builder = commands.add_parser("builder", help="be a builder machine").add_subparsers(dest="action", required=True)
    run = builder.add_parser("run", help="make this machine ready, then do as `stage run` does")
    run.add_argument("source", type=Path, help="folder with builder.json and the tools' pins")
    cloud = commands.add_parser("cloud", help="EC2 instances").add_subparsers(dest="action", required=True)
    cloud.add_parser("run", help="read a job on standard input; queue it for an instance, follow it, print the result")
    for name, purpose in (("serve", "take jobs"), ("watch", "end the instance when nothing needs it")):
        part = cloud.add_parser(name, help=f"on the instance: {purpose}")
        part.add_argument("home", type=Path, help="folder that boot.sh made")
        if name == "serve":
            part.add_argument("source", type=Path, help="folder with builder.json and the tools' pins")
    jobs = commands.add_parser("jobs", help="look at jobs and stop them")
    jobs.add_argument("--dir", type=Path, default=_jobs_dir(), help="folder of the jobs (default: %(default)s)")
    actions = jobs.add_subparsers(dest="action", required=True)
    actions.add_parser("ls", help="list jobs")
    stop = actions.add_parser("stop", help="stop a job; it keeps its checkpoint")
    stop.add_argument("name", help="name of the stage, or the start of its key")
    logs = actions.add_parser("logs", help="print a job's log")
    logs.add_argument("name", help="name of the stage, or the start of its key")
    logs.add_argument("-f", "--follow", action="store_true", help="go on while the job is at work")
    for name in ("work", "prepare"):  # the detached process of a job
        work = actions.add_parser(name, help=argparse.SUPPRESS)
        work.add_argument("folder")
        work.add_argument("--lock", type=int, required=True)
    return parser


def _jobs_dir() -> Path:
    """Same rule as `common/paths.ts`."""
    data = os.environ.get("PIPRESS_DATA")
    if data is None:
        data = os.path.join(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share", "pipress")
    return Path(data) / "jobs"


def _cache_dir() -> Path:
    """Same rule as `common/paths.ts`."""
    cache = os.environ.get("PIPRESS_CACHE")
    if cache is None:
        cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pipress")
    return Path(cache)


if __name__ == "__main__":
    sys.exit(main())
