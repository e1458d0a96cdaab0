"""An instance's folders, and the files through which its two processes, server of jobs and watchdog, communicate."""

from pathlib import Path
from typing import Any

from pipress.atomic import read_json, write_json
from pipress.jobs.job import Job


class Home:
    """Below one folder: jobs and caches as everywhere, and the instance's own notes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "settings.json"
        self.data, self.cache = root / "data", root / "cache"
        self.server_log, self.watch_log = root / "server.log", root / "watch.log"

    @property
    def began(self) -> float:
        """When this instance booted, seconds since the epoch, as boot.sh noted it."""
        return float((self.root / "booted").read_text())

    def job(self, key: str) -> Job:
        return Job(self.data / "jobs", key)

    @property
    def at_work(self) -> dict[str, Any]:
        """`{"beat", "job"?, "line"?, "last"?}`: what the server of jobs last noted of itself."""
        return read_json(self.root / "server.json") or {}

    def note(self, **what: Any) -> None:
        write_json(self.root / "server.json", what)

    @property
    def ending(self) -> bool:
        """Whether the watchdog has decided that the instance ends: no job is begun or called failed from then on."""
        return (self.root / "ending").exists()

    def end(self) -> None:
        (self.root / "ending").touch()
