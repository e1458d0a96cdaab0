"""Following a job until its artifact is in the store."""

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

from pipress.errors import StageError
from pipress.jobs.job import Job
from pipress.jobs.progress import describe
from pipress.jobs.submit import submit
from pipress.programs import LIBC, PR_SET_PDEATHSIG
from pipress.store.store import open_store

Result = TypeVar("Result")

POLL_SECONDS = 0.25
# The Pulumi display and the user are to hear something at least this often.
SILENCE_SECONDS = 7.5
# …and no more often than this.
CHATTER_SECONDS = 2.0


class Interrupted(Exception):
    """The attacher was told to end. The job was not."""


def run_stage(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns the result document of a stage: at once when its artifact is in the store, else when its job is done.

    Raises StageError when the job fails, Interrupted on SIGINT, SIGTERM or SIGHUP.
    """
    jobs, name = Path(spec["jobs"]), spec["name"]
    store, job = open_store(spec["store"], jobs), Job(jobs, spec["key"])
    manifest = store.manifest(spec["key"])
    if manifest is None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        started = submit(job, spec)
        if not started:
            print_message(f"{name} is at work already: attaching")
        manifest = follow(job, name, lambda: store.manifest(spec["key"]))
    return result_document(manifest)


def result_document(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the attacher prints on success: small enough for a stack's state, the same on every machine."""
    return {name: manifest[name] for name in ("key", "stage", "run", "files", "metrics", "seconds")}


def follow(job: Job, name: str, find: Callable[[], Result | None]) -> Result:
    """Says how the job is getting on until it ends, and returns what `find` finds then.

    Raises StageError when that is nothing, Interrupted when there is nobody left to say it to.
    """
    printed, printed_at = "", 0.0
    while True:
        # In this order: a job that ends between the two looks has left its artifact or its error before it ended. While
        # it works there is no need to look: each look into a bucket is a request.
        if not job.is_at_work():
            result = find()
            if result is not None:
                return result
            raise _failure(job)
        line, now = describe(job.progress, name), time.monotonic()
        silence = now - printed_at
        if silence >= SILENCE_SECONDS or (line != printed and silence >= CHATTER_SECONDS):
            if not print_message(line):
                raise Interrupted
            printed, printed_at = line, now
        time.sleep(POLL_SECONDS)


def _failure(job: Job) -> StageError:
    error = job.error
    if error is not None:
        return StageError(error["what"], error["remedy"])
    return StageError(
        "its process ended without a word (killed, or out of memory?)",
        "run the same command again: it goes on from its last checkpoint",
    )


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Signal handler of a process that follows a job. A second signal changes nothing: the first one's work goes on."""
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted


def end_with_parent() -> None:
    """Has this process told to end when its parent is gone: a launcher that was killed cannot pass a signal on."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Seldom:
    """Says what it is told, but no more often than the attacher does."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self.write, self.written_at = write, 0.0

    def __call__(self, line: str) -> None:
        if time.monotonic() - self.written_at >= CHATTER_SECONDS:
            self.write(line)
            self.written_at = time.monotonic()


def print_message(line: str) -> bool:
    """One line for a person, on standard error: standard output is the result's. Returns whether anybody reads it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        return False
    return True


def print_result(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, separators=(",", ":")), flush=True)
