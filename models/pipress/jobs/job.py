"""A job's folder: `jobs/<key>/{spec.json, log.txt, progress.json, error.json, lock, checkpoint/}`."""

import shutil
from pathlib import Path
from typing import Any

from pipress.atomic import read_json, write_json
from pipress.jobs.locks import is_locked


class Job:
    """One job, by the key of the artifact that it makes. Holding its lock means being at work on it."""

    def __init__(self, jobs: Path, key: str) -> None:
        self.folder = jobs / key
        self.key = key
        self.slot = jobs / "slot"
        self.lock = self.folder / "lock"
        self.log = self.folder / "log.txt"
        self.checkpoint = self.folder / "checkpoint"

    @property
    def spec(self) -> dict[str, Any] | None:
        """What it was told; None before its first run and after success."""
        return read_json(self.folder / "spec.json")

    @property
    def progress(self) -> dict[str, Any] | None:
        return read_json(self.folder / "progress.json")

    @property
    def error(self) -> dict[str, Any] | None:
        """Why its last run ended without an artifact; None while it works."""
        return read_json(self.folder / "error.json")

    @property
    def history(self) -> dict[str, Any]:
        """Seconds at work in earlier, unfinished runs; the name under which it ran last."""
        return read_json(self.folder / "history.json") or {}

    def is_at_work(self) -> bool:
        return is_locked(self.lock)

    def prepare(self, spec: dict[str, Any]) -> None:
        """Notes what is to be done. The caller holds the lock."""
        for name in ("error.json", "progress.json"):
            (self.folder / name).unlink(missing_ok=True)
        self.checkpoint.mkdir(exist_ok=True)
        write_json(self.folder / "spec.json", spec)
        write_json(self.folder / "history.json", {**self.history, "name": spec["name"], "stage": spec["stage"]})

    def note_error(self, what: str, remedy: str) -> None:
        write_json(self.folder / "error.json", {"what": what, "remedy": remedy})

    def note_time(self, seconds: float) -> None:
        """Remembers time at work, so that a resumed job reports all of it."""
        write_json(self.folder / "history.json", {**self.history, "seconds": seconds})

    def finish(self) -> None:
        """Clears what a finished job no longer needs; log and history stay.

        The spec goes too: whoever finds one takes its run for unfinished.
        """
        for name in ("spec.json", "progress.json", "error.json"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        self.note_time(0)


def all_jobs(jobs: Path) -> list[Job]:
    """Every job that has a folder."""
    if not jobs.is_dir():
        return []
    return [Job(jobs, folder.name) for folder in sorted(jobs.iterdir()) if (folder / "history.json").is_file()]
