"""The job itself: waits for its turn, runs its stage, puts the artifact into the store."""

import errno
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pipress.atomic import write_json
from pipress.errors import StageError
from pipress.jobs.job import Job
from pipress.jobs.machine import describe_machine
from pipress.jobs.progress import Progress
from pipress.jobs.turn import Turn
from pipress.programs import when_started
from pipress.spec import Metrics, Spec
from pipress.store.store import MANIFEST, Store, open_store, workplace

# Stages that mostly wait for the network, or have next to nothing to do: they need no turn.
LIGHT = {"fetch", "fetch-dataset", "report"}


class Stopped(Exception):
    """Somebody asked the job to stop."""


def work(folder: Path, lock: int, make: Callable[[Job, dict[str, Any]], None]) -> int:
    """Runs the job in `folder`, whose lock is the inherited descriptor `lock`. Returns the exit status."""
    os.set_inheritable(lock, False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    job = Job(folder.parent, folder.name)
    spec = job.spec
    if spec is None:
        return 1
    print(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {spec['name']}, run {spec.get('run')}", flush=True)
    write_json(folder / "process.json", {"pid": os.getpid(), "started": when_started(os.getpid())})
    try:
        make(job, spec)
    except Stopped:
        job.note_error("was stopped", "run the same command again: it goes on from its last checkpoint")
    except BaseException as error:  # whatever it is, the attacher must hear of it
        traceback.print_exc()
        failure = explain(error, workplace(spec.get("store", ""), folder.parent))
        job.note_error(failure.what, failure.remedy)
    else:
        job.finish()
        return 0
    return 1


def _make_artifact(job: Job, spec: dict[str, Any]) -> None:
    from pipress.validation import check_document, check_params  # jsonschema: only needed at work

    check_document("spec", spec, "the job's instructions")
    params = check_params(spec["stage"], spec["params"])
    progress = Progress(job.folder / "progress.json", spec["stage"], spec["name"])
    store = open_store(spec["store"], job.folder.parent, on_message=lambda message: progress(0.0, message))
    turn = Turn(job.slot, spec["name"], spec.get("forRelease", False))
    if spec["stage"] not in LIGHT:
        turn.wait(progress)
    before, began = float(job.history.get("seconds", 0)), time.monotonic()

    def seconds_at_work() -> float:
        return round(before + time.monotonic() - began, 1)

    try:
        if store.manifest(spec["key"]) is not None:
            return  # somebody else put it into a shared store while this job waited
        manifest = store.unfinished(spec["key"])
        if manifest is None:
            metrics = _run_stage(job, spec, params, store, progress)
            manifest = {
                "schema": 1,
                **{name: spec[name] for name in ("key", "stage", "name", "run", "params", "inputs", "toolVersions")},
                "metrics": metrics,
                "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": seconds_at_work(),
                "machine": describe_machine(),
                "costUsd": _cost(seconds_at_work()),
            }
            check_document("manifest", {**manifest, "files": {}}, "the manifest")
        progress.write(1.0, "into the store")
        store.commit(spec["key"], manifest)
    except BaseException:
        job.note_time(seconds_at_work())
        store.discard(spec["key"])
        raise
    finally:
        turn.end()


def _cost(seconds: float) -> float:
    """US dollars for time at work; the instance that a job runs on says what an hour of it costs."""
    return round(seconds / 3600 * float(os.environ.get("PIPRESS_USD_PER_HOUR", "0")), 4)


def _run_stage(job: Job, spec: dict[str, Any], params: dict[str, Any], store: Store, progress: Progress) -> Metrics:
    progress.write(0.0, "checking its inputs" if spec["inputs"] else "starting")
    stage = importlib.import_module(f"pipress.stages.{spec['stage'].replace('-', '_')}")
    # A stage that reads only some files of its inputs names them in READS: no others need to be there or checked.
    reads = getattr(stage, "READS", None)
    inputs = {name: store.open(key, reads) for name, key in spec["inputs"].items()}
    out = store.begin(spec["key"])
    metrics: Metrics = stage.run(
        Spec(
            stage=spec["stage"],
            name=spec["name"],
            params=params,
            llama_cpp_bin=Path(spec["tools"]["llamaCppBin"]),
            convert_script=Path(spec["tools"]["convertScript"]),
            checkpoint=job.checkpoint,
            report=progress,
            manifests={name: store.manifest(key) or {} for name, key in spec["inputs"].items()},
            needed_for=tuple(spec.get("neededFor", ())),
        ),
        inputs,
        out,
    )
    if (out / MANIFEST).exists():  # copied from an input: the next stage would find it damaged
        raise StageError(f"the stage left a {MANIFEST}, which is the store's own", "report this: it is a defect")
    return metrics


def explain(error: BaseException, folder: Path) -> StageError:
    """Any failure as one clear error; `folder` is the one on whose disk the work was done."""
    if isinstance(error, StageError):
        return error
    chain: BaseException | None = error
    while chain is not None:
        # safetensors and others wrap what the system said in errors of their own, as text.
        if getattr(chain, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(chain):
            return StageError(f"the disk that holds {folder} is full", "free some space there and run `up` again")
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, MemoryError):
        return StageError("ran out of memory", "use a builder with more memory")
    text = " ".join(str(error).split())[:300]
    return StageError(f"failed: {type(error).__name__}: {text}", "the log has the details")


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise Stopped


def main(folder: str, lock: int, make: Callable[[Job, dict[str, Any]], None] = _make_artifact) -> NoReturn:
    """Entry of the detached process."""
    status = work(Path(folder), lock, make)
    sys.stdout.flush()
    # Not sys.exit: threads of libraries that are still busy must not keep the lock.
    os._exit(status)
