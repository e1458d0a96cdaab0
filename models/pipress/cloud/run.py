"""`python -m pipress cloud run`, where the operator is: puts a stage on a box's desk, sees to a box, follows the job.

The box needs nobody: whoever follows may go, and come back, or another may.
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

from pipress.cloud.desk import STALE_SECONDS, Desk
from pipress.cloud.documents import BucketDocuments
from pipress.cloud.launch import NO_CAPACITY, Groups, explain_launch
from pipress.errors import StageError
from pipress.jobs.attach import SILENCE_SECONDS, Interrupted, interrupt, print_result, result_document, say
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import open_bucket
from pipress.store.store import open_store
from pipress.units import format_duration

POLL_SECONDS = 3.0
# How often AWS is asked after a box that has not said anything yet.
ASK_SECONDS = 20.0
# Failed attempts of a group before the next way of paying is tried. One attempt goes through all types and zones.
ATTEMPTS = 2
# A box that has been started reports within this: booting, and fetching the code.
FIRST_WORD_SECONDS = 1200.0


def main(jobs: Path) -> int:
    """Reads `{"spec", "box", "groups", "region"}` on standard input, prints the stage's result; returns the status."""
    told = json.load(sys.stdin)
    name = told["spec"]["name"]
    try:
        print_result(run(told, jobs))
    except Interrupted:
        say(f"{name} goes on without you on its box. To pick it up, run the same command again")
        return 130
    except StageError as error:
        say(f"{name}: {error}")
        say(f"{name}: log: npm run logs -- {name}")
        return 1
    return 0


def run(told: dict[str, Any], jobs: Path) -> dict[str, Any]:
    """The result document, at once when the artifact is in the store. Raises StageError, Interrupted."""
    spec, key = told["spec"], told["spec"]["key"]
    store = open_store(spec["store"], jobs)
    manifest = store.manifest(key)
    if manifest is None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        desk = Desk(BucketDocuments(open_bucket(parse_s3_url(spec["store"]))), told["box"])
        submission = _submit(desk, spec)
        groups = Groups(_autoscaling(told["region"]), told["groups"])
        _Following(desk, groups, spec, submission, told["box"]).follow(lambda: store.manifest(key) is not None)
        manifest = store.manifest(key)
    if manifest is None:
        raise StageError("the box says it is done, but its artifact is not in the store", "run `up` again")
    return result_document(store, manifest)


def _submit(desk: Desk, spec: dict[str, Any]) -> str:
    """Returns the submission that works on the stage: ours, or the one that lay there already."""
    submission = secrets.token_hex(8)
    job = {"submission": submission, "submittedAt": time.time(), "spec": spec}
    while not desk.submit(spec["key"], job):
        there = desk.job(spec["key"])
        if there is not None:
            say(f"{spec['name']} is on the box's desk already: attaching")
            return there["submission"]
    return submission


def _autoscaling(region: str) -> Any:
    return boto3.client(
        "autoscaling", region_name=region, config=Config(retries={"mode": "standard", "max_attempts": 6})
    )


class _Following:
    """Says how a job is until it is done, and sees to it that a box comes for it."""

    def __init__(self, desk: Desk, groups: Groups, spec: dict[str, Any], submission: str, box: str) -> None:
        self.desk, self.groups, self.spec, self.submission, self.box = desk, groups, spec, submission, box
        self.began = self.asked_since = time.time()
        self.asked_at = 0.0
        self.said, self.said_at = "", 0.0

    def follow(self, is_done: Callable[[], bool]) -> None:
        """Returns when the job is done. Raises StageError when it failed or no box comes."""
        name = self.spec["name"]
        while True:
            status = self.desk.status(self.spec["key"])
            if status is not None and status["submission"] != self.submission:
                status = None  # of an earlier attempt
            if status is not None and status["state"] == "failed":
                raise StageError(status["error"]["what"], status["error"]["remedy"])
            if (status is not None and status["state"] == "done") or self._has_gone(is_done):
                return
            at_work = status is not None and status["state"] == "working" and time.time() - status["at"] < STALE_SECONDS
            if at_work:
                self._say(status["line"])
                self.asked_since = time.time()
            else:
                waited = format_duration(time.time() - self.began)
                self._say(f"{name} waiting for a box ({self.groups.asked}, {waited})")
                self._see_to_a_box()
            time.sleep(POLL_SECONDS)

    def _has_gone(self, is_done: Callable[[], bool]) -> bool:
        """A job that is not on the desk any more was done by somebody, or stopped."""
        if self.desk.job(self.spec["key"]) is not None:
            return False
        status = self.desk.status(self.spec["key"])
        if status is not None and status["submission"] == self.submission and status["state"] in ("failed", "done"):
            return False  # it ended between the two looks
        if not is_done():
            raise StageError("it was taken off the box's desk", "run `up` again")
        return True

    def _see_to_a_box(self) -> None:
        now = time.time()
        if now - self.asked_at < ASK_SECONDS:
            return
        self.asked_at = now
        try:
            self.groups.wake()
            failures = self.groups.failures(self.asked_since)
            if failures and (not NO_CAPACITY.search(failures[0]) or len(failures) >= ATTEMPTS):
                self._tried_in_vain(failures[0])
            if now - self.asked_since > FIRST_WORD_SECONDS:
                self.groups.give_up()
                raise StageError(
                    f"no box has reported within {format_duration(FIRST_WORD_SECONDS)}",
                    f"look at {self.desk.root}/boots/ in the bucket for a box's own log, then run `up` again",
                )
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            raise explain_launch(str(error), self.box) from error

    def _tried_in_vain(self, said: str) -> None:
        error = explain_launch(said, self.box)
        if NO_CAPACITY.search(said) and self.groups.go_on_demand():
            self.asked_since = time.time()
            self._say(f"{self.spec['name']} {error.what}; asking for an on-demand box", at_once=True)
            return
        self.groups.give_up()
        raise error

    def _say(self, line: str, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or line != self.said or now - self.said_at >= SILENCE_SECONDS:
            if not say(line):
                raise Interrupted
            self.said, self.said_at = line, now
