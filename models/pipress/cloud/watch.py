"""`python3 -m pipress cloud watch HOME`, on the instance: ends it when there is no reason left to pay for it.

A process of its own: neither the operator, nor the job, nor the server of jobs has to be alive for it.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from pipress.cloud.checkpoint import newest
from pipress.cloud.judge import End, Seen, judge
from pipress.cloud.worker import Worker, open_worker
from pipress.jobs.commands import stop_job

# EC2 recommends to look for a notice every five seconds.
LOOK_SECONDS = 5.0
NOTE_SECONDS = 60.0
GPU_SECONDS = 15.0
# Percent of use below which a GPU counts as idle: a desktop's clock, not work.
GPU_IDLE_PERCENT = 5


def main(home: Path) -> None:
    """Looks until there is a reason, then ends the instance."""
    pause = float(os.environ.get("PIPRESS_WATCH_SECONDS", LOOK_SECONDS))
    watch = _Watch(open_worker(home))
    while True:
        seen = watch.look()
        end = judge(seen, watch.worker.settings.limits)
        if end is not None:
            watch.end(end, seen)
            return
        time.sleep(pause)


class _Watch:
    """What has been seen so far."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.price = worker.settings.price(worker.instance.type, worker.instance.lifecycle)
        self.began = worker.home.began
        self.started = time.time()
        self.signs, self.changed = "", self.started
        self.idle_since: float | None = self.started
        self.gpu_looked, self.gpu_busy = 0.0, self.started
        self.gpu_idle_timeout_seconds = worker.settings.limits.gpu_idle_timeout_seconds
        self.noted = 0.0
        self.before: tuple[float, float] | None = None

    def look(self) -> Seen:
        """One look at everything that may be a reason to end."""
        now, server = time.time(), self.worker.home.at_work
        job = server.get("job")
        if job is None:
            self.idle_since = self.idle_since or now
            self.changed = self.gpu_busy = now
        else:
            self.idle_since = None
            self._watch_job(job["spec"]["key"], server.get("line", ""), now)
        hours, cost = self._spent(now)
        seen = Seen(
            now=now,
            interrupted=self._interrupted(),
            beat=server.get("beat", self.started),
            working=job is not None,
            changed=self.changed,
            idle_since=self.idle_since or now,
            last=server.get("last", ""),
            gpu_busy=self.gpu_busy if self.worker.settings.gpu else None,
            hours=hours,
            cost_usd=cost,
        )
        if now - self.noted >= NOTE_SECONDS:
            self._note(seen, "running", None)
        return seen

    def end(self, end: End, seen: Seen) -> None:
        """Stops the job, uploads what is worth keeping, and ends the instance. Whatever fails, the instance ends."""
        worker = self.worker
        say(f"ending this instance: {end.why}")
        worker.home.end()
        job = worker.home.at_work.get("job")
        steps: list[Any] = []
        if job is not None:
            key = job["spec"]["key"]
            steps = [
                lambda: stop_job(worker.home.data / "jobs", key),
                lambda: worker.upload_checkpoint(key),
                lambda: worker.upload_log(key),
                lambda: self._settle(job, end),
            ]
        steps += [lambda: self._note(seen, "ended", end.why), self._upload_own_logs]
        steps += [lambda: worker.services.leave_group(worker.instance.id, end.relaunch)]
        for step in steps:
            _try(step)
        # The group ends the instance; should it not, an instance that powers off is terminated.
        subprocess.run(["poweroff"], check=False)

    def _watch_job(self, key: str, line: str, now: float) -> None:
        job = self.worker.home.job(key)
        log = job.log.stat().st_size if job.log.exists() else 0
        signs = f"{line} {log} {newest(job.folder)}"
        if signs != self.signs:
            self.signs, self.changed = signs, now
        if self.worker.settings.gpu and now - self.gpu_looked >= min(GPU_SECONDS, self.gpu_idle_timeout_seconds / 4):
            self.gpu_looked = now
            if _gpu_percent() >= GPU_IDLE_PERCENT:
                self.gpu_busy = now

    def _interrupted(self) -> bool:
        if self.worker.instance.lifecycle != "spot":
            return False
        try:
            return self.worker.metadata.interruption() is not None
        except OSError as error:
            say(f"the metadata service does not answer: {error}")
            return False

    def _spent(self, now: float) -> tuple[float, float]:
        """Hours and US dollars of this instance and of those that worked on its jobs before it."""
        if self.before is None:
            try:
                self.before = self._spent_before()
            except OSError as error:
                say(f"cannot read what earlier instances have cost: {error}")
        hours, cost = self.before or (0.0, 0.0)
        own = (now - self.began) / 3600
        return hours + own, cost + own * self.price

    def _spent_before(self) -> tuple[float, float]:
        queue, own = self.worker.queue, self.worker.instance.id
        jobs = queue.jobs()
        since = min((job["submittedAt"] for job in jobs), default=self.began)
        earlier = [r for r in queue.instances() if r["instance"] != own and r["until"] >= since]
        times = [((record["until"] - record["began"]) / 3600, record["usdPerHour"]) for record in earlier]
        return sum(hours for hours, _ in times), sum(hours * price for hours, price in times)

    def _note(self, seen: Seen, state: str, why: str | None) -> None:
        self.noted = seen.now
        instance = self.worker.instance
        try:
            self.worker.queue.note_instance(
                {
                    **{"instance": instance.id, "type": instance.type, "lifecycle": instance.lifecycle},
                    **{"zone": instance.zone, "began": self.began, "until": seen.now, "usdPerHour": self.price},
                    **{"costUsd": round((seen.now - self.began) / 3600 * self.price, 4), "state": state, "why": why},
                }
            )
        except OSError as error:
            say(f"cannot note this instance: {error}")

    def _settle(self, job: dict[str, Any], end: End) -> None:
        """What becomes of the job: it waits for the next instance, or it has failed."""
        queue, name = self.worker.queue, job["spec"]["name"]
        if end.blame is None:
            queue.report(job, "interrupted", f"{name} interrupted: {end.why}", self.worker.instance.id)
            return
        error = {"what": f"its instance was ended: {end.why}", "remedy": end.blame}
        queue.report(job, "failed", f"{name} failed: {error['what']}", self.worker.instance.id, error=error)
        queue.remove(job["spec"]["key"])

    def _upload_own_logs(self) -> None:
        folder, own = f"{self.worker.queue.root}/boots", self.worker.instance.id
        for log in (self.worker.home.server_log, self.worker.home.watch_log):
            if log.exists():
                self.worker.objects.put(f"{folder}/{own}-{log.name}", log.read_bytes())


def say(text: str) -> None:
    """Writes into the log at once: it is uploaded while this process still runs."""
    print(text, flush=True)


def _try(step: Any) -> None:
    try:
        step()
    except Exception as error:  # the instance must end whatever it is
        say(f"while ending: {type(error).__name__}: {error}")


def _gpu_percent() -> float:
    """Use of the busiest GPU. A driver that does not answer is no reason to call it idle."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
        return max(float(line) for line in answer.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        say(f"cannot ask the GPU: {error}")
        return 100.0
