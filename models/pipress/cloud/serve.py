"""`python3 -m pipress cloud serve HOME SOURCE`, on the instance: takes jobs from the queue, one after the other.

A job is run as on any machine reached over SSH, by `builder run`; its output goes to the bucket instead of a terminal.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipress.atomic import read_json
from pipress.cloud.checkpoint import has_checkpoint, newest, unpack
from pipress.cloud.worker import Worker, open_worker
from pipress.errors import StageError
from pipress.jobs.commands import stop_job

POLL_SECONDS = 3.0
BEAT_SECONDS = 1.0
REPORT_SECONDS = 5.0
LOG_SECONDS = 20.0
CHECKPOINT_SECONDS = 600.0
# Stages that download, and so may need the token.
DOWNLOADING = {"fetch", "fetch-dataset"}


def main(home: Path, source: Path) -> None:
    """Works until the watchdog has decided that the instance ends."""
    worker, last = open_worker(home), ""
    while not worker.home.ending:
        worker.home.note(beat=time.time(), last=last)
        job = _next_job(worker)
        if job is None:
            time.sleep(POLL_SECONDS)
        else:
            last = _Work(worker, job, source).run()


def _next_job(worker: Worker) -> dict[str, Any] | None:
    try:
        return next((job for job in worker.queue.jobs() if not worker.queue.is_taken(job, worker.instance.id)), None)
    except OSError as error:
        print(f"cannot look for jobs: {error}", flush=True)
        return None


class _Work:
    """One job, from the queue to its end."""

    def __init__(self, worker: Worker, job: dict[str, Any], source: Path) -> None:
        self.worker, self.job, self.source = worker, job, source
        self.spec: dict[str, Any] = job["spec"]
        self.key: str = self.spec["key"]
        self.folder = worker.home.job(self.key).folder
        self.output = worker.home.root / "job.out"
        self.words = worker.home.root / "job.err"
        self.due = {self._report_work: 0.0, self._log: LOG_SECONDS, self._save: CHECKPOINT_SECONDS}
        self.saved_at = 0.0
        self.unwanted = False

    def run(self) -> str:
        """Returns `done`, `failed` or, when the instance is about to end or nobody wants the job any more, `ended`."""
        print(f"--- {self.spec['name']} {self.key[:12]}, run {self.spec['run']}", flush=True)
        try:
            self._beat("taking the job")
            self._restore()
            order = {"spec": self.spec, "environment": self._environment()}
        except (OSError, ValueError) as error:
            return self._failed(
                f"the instance could not begin: {error}", "see the instance's log in the bucket, then run `up` again"
            )
        code = self._child(order)
        if self.worker.home.ending or self.unwanted:
            return "ended"
        error = None if code == 0 else self._error()
        return self._done() if error is None else self._failed(error["what"], error["remedy"])

    def _child(self, order: dict[str, Any]) -> int:
        command = [sys.executable, "-m", "pipress", "builder", "run", str(self.source)]
        home = self.worker.home
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.source / "models"),
            "PIPRESS_DATA": str(home.data),
            "PIPRESS_CACHE": str(home.cache),
            "AWS_DEFAULT_REGION": self.worker.settings.region,
        }
        began = time.monotonic()
        with open(self.output, "wb") as out, open(self.words, "wb") as err:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment)
            _send(child, order)
            while (code := child.poll()) is None:
                self._beat(self._line())
                for act, due_at in list(self.due.items()):
                    if time.monotonic() - began >= due_at and not home.ending:
                        self.due[act] = time.monotonic() - began + act()
                time.sleep(BEAT_SECONDS)
        return code

    def _environment(self) -> dict[str, str]:
        worker = self.worker
        price = worker.settings.price(worker.instance.type, worker.instance.lifecycle)
        environment = {"PIPRESS_USD_PER_HOUR": str(price)}
        if self.spec["stage"] in DOWNLOADING and worker.settings.token_parameter is not None:
            environment["HF_TOKEN"] = worker.services.parameter(worker.settings.token_parameter)
        return environment

    def _restore(self) -> None:
        tar = self.worker.home.root / "restored.tar"
        if not has_checkpoint(self.folder) and self.worker.objects.fetch(self.worker.queue.checkpoint(self.key), tar):
            unpack(tar, self.folder)
            tar.unlink()
            print("going on from the checkpoint of an earlier instance", flush=True)

    def _beat(self, line: str) -> None:
        self.worker.home.note(beat=time.time(), job=self.job, line=line)

    def _line(self) -> str:
        """What was last lines about the job."""
        lines = self.words.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else f"{self.spec['name']} starting"

    def _error(self) -> dict[str, str]:
        noted = read_json(self.folder / "error.json")
        return noted or {"what": self._line(), "remedy": "see the log, mend it, then run `up` again"}

    # What is done every few seconds; each returns the seconds until the next time.

    def _report_work(self) -> float:
        self._report("working", self._line())
        try:
            queued = self.worker.queue.job(self.key)
            if queued is None or queued["submission"] != self.job["submission"]:
                print(f"{self.spec['name']} is not wanted any more", flush=True)
                self.unwanted = True
                stop_job(self.worker.home.data / "jobs", self.key)
        except (OSError, StageError) as error:
            print(f"cannot look after the job: {error}", flush=True)
        return REPORT_SECONDS

    def _log(self) -> float:
        try:
            self.worker.upload_log(self.key)
        except OSError as error:
            print(f"cannot upload the log: {error}", flush=True)
        return LOG_SECONDS

    def _save(self) -> float:
        written = newest(self.folder)
        try:
            if written > self.saved_at and self.worker.upload_checkpoint(self.key):
                self.saved_at = written
        except OSError as error:
            print(f"cannot upload the checkpoint: {error}", flush=True)
        return CHECKPOINT_SECONDS

    def _done(self) -> str:
        self._finish("done", f"{self.spec['name']} done")
        self.worker.objects.delete(self.worker.queue.checkpoint(self.key))
        return "done"

    def _failed(self, what: str, remedy: str) -> str:
        self._finish("failed", f"{self.spec['name']} failed: {what}", error={"what": what, "remedy": remedy})
        return "failed"

    def _finish(self, state: str, line: str, **more: Any) -> None:
        print(line, flush=True)
        self._log()
        self._report(state, line, **more)
        self.worker.queue.remove(self.key)

    def _report(self, state: str, line: str, **more: Any) -> None:
        try:
            self.worker.queue.report(self.job, state, line, self.worker.instance.id, **more)
        except OSError as error:
            print(f"cannot say how the job is: {error}", flush=True)


def _send(child: "subprocess.Popen[bytes]", order: dict[str, Any]) -> None:
    assert child.stdin is not None
    with child.stdin as pipe:
        pipe.write(json.dumps(order).encode())
