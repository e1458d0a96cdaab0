"""`python -m pipress cloud run`, at the operator: queues a stage, has an instance started for it, follows the job.

The instance needs nobody: whoever follows may leave and come back, or another may.
"""

import json
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from pipress.cloud.documents import BucketDocuments
from pipress.cloud.job_queue import STALE_SECONDS, JobQueue
from pipress.cloud.launch import NO_CAPACITY, Groups, explain_launch
from pipress.errors import StageError
from pipress.jobs.attach import SILENCE_SECONDS, Interrupted, interrupt, print_message, print_result, result_document
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import open_bucket
from pipress.store.store import open_store
from pipress.units import format_duration

POLL_SECONDS = 3.0
# How often AWS is asked after an instance that has not reported yet.
ASK_SECONDS = 20.0
# Failed attempts of a group before the next way of paying is tried. One attempt goes through all types and zones.
ATTEMPTS = 2
# An instance that has been started reports within this: booting, and fetching the code.
FIRST_WORD_SECONDS = 1200.0


def main(jobs: Path) -> int:
    """Reads `{"spec", "queue", "groups", "region"}` on standard input, prints the result; returns the status."""
    order = json.load(sys.stdin)
    name = order["spec"]["name"]
    try:
        print_result(run(order, jobs))
    except Interrupted:
        print_message(f"{name} goes on without you on its instance. To pick it up, run the same command again")
        return 130
    except StageError as error:
        print_message(f"{name}: {error}")
        print_message(f"{name}: log: ./pipress logs {name}")
        return 1
    return 0


def run(order: dict[str, Any], jobs: Path) -> dict[str, Any]:
    """The result document, at once when the artifact is in the store. Raises StageError, Interrupted."""
    spec, key = order["spec"], order["spec"]["key"]
    store = open_store(spec["store"], jobs)
    manifest = store.manifest(key)
    if manifest is None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        queue = JobQueue(BucketDocuments(open_bucket(parse_s3_url(spec["store"]))), order["queue"])
        submission = _submit(queue, spec)
        groups = Groups(_autoscaling(order["region"]), order["groups"])
        _Following(queue, groups, spec, submission, order["queue"]).follow(lambda: store.manifest(key) is not None)
        manifest = store.manifest(key)
    if manifest is None:
        raise StageError("the instance says it is done, but its artifact is not in the store", "run `up` again")
    return result_document(manifest)


def _submit(queue: JobQueue, spec: dict[str, Any]) -> str:
    """Returns the submission that works on the stage: ours, or the one that lay there already."""
    submission = secrets.token_hex(8)
    job = {"submission": submission, "submittedAt": time.time(), "spec": spec}
    while not queue.submit(spec["key"], job):
        queued = queue.job(spec["key"])
        if queued is not None:
            print_message(f"{spec['name']} is in the job queue already: attaching")
            return queued["submission"]
    return submission


def _autoscaling(region: str) -> Any:
    return boto3.client(
        "autoscaling", region_name=region, config=Config(retries={"mode": "standard", "max_attempts": 6})
    )


class _Following:
    """Says how a job is until it is done, and sees to it that an instance comes for it."""

    def __init__(self, queue: JobQueue, groups: Groups, spec: dict[str, Any], submission: str, name: str) -> None:
        self.queue, self.groups, self.spec, self.submission, self.name = queue, groups, spec, submission, name
        self.began = self.asked_since = time.time()
        self.asked_at = 0.0
        self.line, self.line_at = "", 0.0

    def follow(self, is_done: Callable[[], bool]) -> None:
        """Returns when the job is done. Raises StageError when it failed or no instance comes."""
        name = self.spec["name"]
        while True:
            status = self.queue.status(self.spec["key"])
            if status is not None and status["submission"] != self.submission:
                status = None  # of an earlier attempt
            if status is not None and status["state"] == "failed":
                raise StageError(status["error"]["what"], status["error"]["remedy"])
            if (status is not None and status["state"] == "done") or self._has_gone(is_done):
                return
            at_work = status is not None and status["state"] == "working" and time.time() - status["at"] < STALE_SECONDS
            if at_work:
                self._print_message(status["line"])
                self.asked_since = time.time()
            else:
                waited = format_duration(time.time() - self.began)
                self._print_message(f"{name} waiting for an instance ({self.groups.asked}, {waited})")
                self._have_one_started()
            time.sleep(POLL_SECONDS)

    def _has_gone(self, is_done: Callable[[], bool]) -> bool:
        """A job that is not on the queue any more was done by somebody, or stopped."""
        if self.queue.job(self.spec["key"]) is not None:
            return False
        status = self.queue.status(self.spec["key"])
        if status is not None and status["submission"] == self.submission and status["state"] in ("failed", "done"):
            return False  # it ended between the two looks
        if not is_done():
            raise StageError("it was taken out of the job queue", "run `up` again")
        return True

    def _have_one_started(self) -> None:
        now = time.time()
        if now - self.asked_at < ASK_SECONDS:
            return
        self.asked_at = now
        try:
            self.groups.wake()
            failures = self.groups.failures(self.asked_since)
            if failures and (not NO_CAPACITY.search(failures[0]) or len(failures) >= ATTEMPTS):
                self._start_failed(failures[0])
            if now - self.asked_since > FIRST_WORD_SECONDS:
                self.groups.give_up()
                raise StageError(
                    f"no instance has reported within {format_duration(FIRST_WORD_SECONDS)}",
                    f"look at {self.queue.root}/boots/ in the bucket for an instance's own log, then run `up` again",
                )
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            raise explain_launch(str(error), self.name) from error

    def _start_failed(self, message: str) -> None:
        error = explain_launch(message, self.name)
        if NO_CAPACITY.search(message) and self.groups.go_on_demand():
            self.asked_since = time.time()
            self._print_message(f"{self.spec['name']} {error.what}; asking for an on-demand instance", at_once=True)
            return
        self.groups.give_up()
        raise error

    def _print_message(self, line: str, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or line != self.line or now - self.line_at >= SILENCE_SECONDS:
            if not print_message(line):
                raise Interrupted
            self.line, self.line_at = line, now
