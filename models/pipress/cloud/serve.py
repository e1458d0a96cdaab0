"""`python3 -m pipress cloud serve HOME SOURCE`, on the box: takes jobs from the desk, one after the other.

A job is run as on any machine reached over SSH, by `box run`; here its words go to the bucket instead of a terminal.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipress.atomic import read_json
from pipress.cloud.box import Box, open_box
from pipress.cloud.checkpoint import has_checkpoint, newest, unpack
from pipress.errors import StageError
from pipress.jobs.commands import stop_job

POLL_SECONDS = 3.0
BEAT_SECONDS = 1.0
SAY_SECONDS = 5.0
LOG_SECONDS = 20.0
CHECKPOINT_SECONDS = 600.0
# Stages that download, and so may need the token.
DOWNLOADING = {"fetch", "fetch-dataset"}


def main(home: Path, source: Path) -> None:
    """Works until the watchdog has decided that the box ends."""
    box, last = open_box(home), ""
    while not box.place.ending:
        box.place.note(beat=time.time(), last=last)
        job = _next_job(box)
        if job is None:
            time.sleep(POLL_SECONDS)
        else:
            last = _Work(box, job, source).run()


def _next_job(box: Box) -> dict[str, Any] | None:
    try:
        return next((job for job in box.desk.jobs() if not box.desk.is_taken(job, box.instance.id)), None)
    except OSError as error:
        print(f"cannot look for jobs: {error}", flush=True)
        return None


class _Work:
    """One job, from the desk to its end."""

    def __init__(self, box: Box, job: dict[str, Any], source: Path) -> None:
        self.box, self.job, self.source = box, job, source
        self.spec: dict[str, Any] = job["spec"]
        self.key: str = self.spec["key"]
        self.folder = box.place.job(self.key).folder
        self.output = box.place.home / "job.out"
        self.words = box.place.home / "job.err"
        self.due = {self._say: 0.0, self._log: LOG_SECONDS, self._save: CHECKPOINT_SECONDS}
        self.saved_at = 0.0
        self.unwanted = False

    def run(self) -> str:
        """Returns `done`, `failed` or, when the box is about to end or nobody wants the job any more, `ended`."""
        print(f"--- {self.spec['name']} {self.key[:12]}, run {self.spec['run']}", flush=True)
        try:
            self._beat("taking the job")
            self._restore()
            told = {"spec": self.spec, "environment": self._environment()}
        except (OSError, ValueError) as error:
            return self._failed(
                f"the box could not begin: {error}", "see the box's log in the bucket, then run `up` again"
            )
        code = self._child(told)
        if self.box.place.ending or self.unwanted:
            return "ended"
        error = None if code == 0 else self._error()
        return self._done() if error is None else self._failed(error["what"], error["remedy"])

    def _child(self, told: dict[str, Any]) -> int:
        command = [sys.executable, "-m", "pipress", "box", "run", str(self.source)]
        place = self.box.place
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.source / "models"),
            "PIPRESS_DATA": str(place.data),
            "PIPRESS_CACHE": str(place.cache),
            "AWS_DEFAULT_REGION": self.box.settings.region,
        }
        began = time.monotonic()
        with open(self.output, "wb") as out, open(self.words, "wb") as err:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment)
            _tell(child, told)
            while (code := child.poll()) is None:
                self._beat(self._line())
                for act, at in list(self.due.items()):
                    if time.monotonic() - began >= at and not place.ending:
                        self.due[act] = time.monotonic() - began + act()
                time.sleep(BEAT_SECONDS)
        return code

    def _environment(self) -> dict[str, str]:
        box = self.box
        price = box.settings.price(box.instance.type, box.instance.lifecycle)
        environment = {"PIPRESS_USD_PER_HOUR": str(price)}
        if self.spec["stage"] in DOWNLOADING and box.settings.token_parameter is not None:
            environment["HF_TOKEN"] = box.services.parameter(box.settings.token_parameter)
        return environment

    def _restore(self) -> None:
        tar = self.box.place.home / "restored.tar"
        if not has_checkpoint(self.folder) and self.box.objects.fetch(self.box.desk.checkpoint(self.key), tar):
            unpack(tar, self.folder)
            tar.unlink()
            print("going on from the checkpoint of an earlier box", flush=True)

    def _beat(self, line: str) -> None:
        self.box.place.note(beat=time.time(), job=self.job, line=line)

    def _line(self) -> str:
        """What was last said about the job."""
        said = self.words.read_text(encoding="utf-8", errors="replace").splitlines()
        return said[-1] if said else f"{self.spec['name']} starting"

    def _error(self) -> dict[str, str]:
        noted = read_json(self.folder / "error.json")
        return noted or {"what": self._line(), "remedy": "see the log, mend it, then run `up` again"}

    # What is done every few seconds; each returns the seconds until the next time.

    def _say(self) -> float:
        self._tell_desk("working", self._line())
        try:
            there = self.box.desk.job(self.key)
            if there is None or there["submission"] != self.job["submission"]:
                print(f"{self.spec['name']} is not wanted any more", flush=True)
                self.unwanted = True
                stop_job(self.box.place.data / "jobs", self.key)
        except (OSError, StageError) as error:
            print(f"cannot look after the job: {error}", flush=True)
        return SAY_SECONDS

    def _log(self) -> float:
        try:
            self.box.upload_log(self.key)
        except OSError as error:
            print(f"cannot upload the log: {error}", flush=True)
        return LOG_SECONDS

    def _save(self) -> float:
        written = newest(self.folder)
        try:
            if written > self.saved_at and self.box.upload_checkpoint(self.key):
                self.saved_at = written
        except OSError as error:
            print(f"cannot upload the checkpoint: {error}", flush=True)
        return CHECKPOINT_SECONDS

    def _done(self) -> str:
        self._finish("done", f"{self.spec['name']} done")
        self.box.objects.delete(self.box.desk.checkpoint(self.key))
        return "done"

    def _failed(self, what: str, remedy: str) -> str:
        self._finish("failed", f"{self.spec['name']} failed: {what}", error={"what": what, "remedy": remedy})
        return "failed"

    def _finish(self, state: str, line: str, **more: Any) -> None:
        print(line, flush=True)
        self._log()
        self._tell_desk(state, line, **more)
        self.box.desk.take_away(self.key)

    def _tell_desk(self, state: str, line: str, **more: Any) -> None:
        try:
            self.box.desk.say(self.job, state, line, self.box.instance.id, **more)
        except OSError as error:
            print(f"cannot say how the job is: {error}", flush=True)


def _tell(child: "subprocess.Popen[bytes]", told: dict[str, Any]) -> None:
    assert child.stdin is not None
    with child.stdin as pipe:
        pipe.write(json.dumps(told).encode())
