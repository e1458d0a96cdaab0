"""A box's folders, and what its two processes tell each other through files: the server of jobs and the watchdog."""

from pathlib import Path
from typing import Any

from pipress.atomic import read_json, write_json
from pipress.jobs.job import Job


class Place:
    """Below one folder: jobs and caches as everywhere, and the box's own notes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = home / "settings.json"
        self.data, self.cache = home / "data", home / "cache"
        self.server_log, self.watch_log = home / "server.log", home / "watch.log"

    @property
    def began(self) -> float:
        """When this box booted, seconds since the epoch, as boot.sh noted it."""
        return float((self.home / "booted").read_text())

    def job(self, key: str) -> Job:
        return Job(self.data / "jobs", key)

    @property
    def at_work(self) -> dict[str, Any]:
        """`{"beat", "job"?, "line"?, "last"?}`: what the server of jobs last noted of itself."""
        return read_json(self.home / "server.json") or {}

    def note(self, **what: Any) -> None:
        write_json(self.home / "server.json", what)

    @property
    def ending(self) -> bool:
        """Whether the watchdog has decided that the box ends: no job is begun or called failed from then on."""
        return (self.home / "ending").exists()

    def end(self) -> None:
        (self.home / "ending").touch()
