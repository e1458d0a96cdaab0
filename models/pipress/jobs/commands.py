"""`jobs ls`, `jobs stop`, `jobs logs`: for people."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from pipress.atomic import read_json
from pipress.errors import StageError
from pipress.jobs.job import Job, all_jobs
from pipress.jobs.progress import describe
from pipress.programs import when_started
from pipress.units import format_duration

STOP_SECONDS = 10.0


def list_jobs(jobs: Path) -> None:
    """One line per job: at work, failed, or done."""
    lines = [(job, _state(job)) for job in all_jobs(jobs)]
    if not lines:
        print(f"no jobs in {jobs}")
    for job, state in sorted(lines, key=lambda pair: pair[0].log.stat().st_mtime if pair[0].log.exists() else 0):
        print(f"{job.key[:12]}  {state}")


def _state(job: Job) -> str:
    name = job.history.get("name", "?")
    if job.is_at_work():
        return describe(job.progress, name)
    if job.error is not None:
        return f"{name} failed: {job.error['what']}"
    return f"{name} ended without a word" if job.spec is not None else f"{name} done"


def stop_job(jobs: Path, name: str) -> None:
    """Stops a job at work; what it has saved in its checkpoint stays."""
    job = find_job(jobs, name, at_work=True)
    process = read_json(job.folder / "process.json")
    # The note may be of an earlier run, and its number another program's by now.
    if process is None or process.get("started") != when_started(process["pid"]):
        raise StageError(f"{name} has only just started", "try again in a second")
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(process["pid"], number)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not job.is_at_work():
                print(f"{name} stopped after {format_duration(time.monotonic() - began)}; `up` picks it up again")
                return
            time.sleep(0.1)
    raise StageError(f"{name} does not stop", f"end process {process['pid']} by hand")


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def show_log(jobs: Path, name: str, follow: bool) -> None:
    """Prints a job's log; with `follow`, goes on for as long as the job is at work."""
    job = find_job(jobs, name, at_work=False)
    try:
        with open(job.log, encoding="utf-8", errors="replace") as log:
            shutil.copyfileobj(log, sys.stdout)
            while follow and job.is_at_work():
                time.sleep(0.3)
                shutil.copyfileobj(log, sys.stdout)
                sys.stdout.flush()
    except FileNotFoundError:
        raise StageError(f"{name} has no log", "it has not run on this machine") from None


def find_job(jobs: Path, name: str, at_work: bool) -> Job:
    """A job by the name of its stage instance or by the start of its key; of several, the one that ran last."""
    known = [job for job in all_jobs(jobs) if job.history.get("name") == name or job.key.startswith(name)]
    if at_work:
        known = [job for job in known if job.is_at_work()]
    if not known:
        names = sorted({str(job.history.get("name")) for job in all_jobs(jobs) if not at_work or job.is_at_work()})
        what = f'no job "{name}" is at work' if at_work else f'there is no job "{name}"'
        raise StageError(what, f"known: {', '.join(names)}" if names else "nothing is at work")
    return max(known, key=lambda job: job.log.stat().st_mtime if job.log.exists() else 0)
