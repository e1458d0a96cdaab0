"""Keeps a unit of this host as its files say, whichever run put those there.

A unit carries a stamp in its environment: a digest of the unit and of what it runs. A process keeps the stamp that it was
started with, so that one which runs older files is told by looking at it, and not by what this run happened to change:
a run that is killed between any two steps here is made good by the next.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from .file_set import write_file_set
from .service import SystemdService

#: Variable of a unit's environment.
STAMP = "PIPRESS_STAMP"


class Unit(NamedTuple):
    """A unit that shall run."""

    name: str
    #: The unit's file. Empty for a unit of the system's own, which is only given the stamp.
    content: str
    #: Digest of the files that it runs or reads when it starts.
    runs: str = ""
    #: Target that starts it at boot, e.g. `multi-user.target`; empty where that is somebody else's business.
    wanted_by: str = ""

    @property
    def stamp(self) -> str:
        """What its process must carry."""
        return hashlib.sha256(f"{self.runs}\n{self.content}".encode()).hexdigest()

    @property
    def is_stamped(self) -> bool:
        """Only a service has a process of its own; systemd reads a timer anew when it is told to."""
        return self.name.endswith(".service")

    def file(self, folder: Path) -> dict[str, Any]:
        """What lies in systemd's folder: the unit, or a drop-in for one of the system's own."""
        stamp = f"[Service]\nEnvironment={STAMP}={self.stamp}\n"
        if not self.content:
            return {"path": folder / f"{self.name}.d/60-pipress.conf", "content": stamp}
        content = self.content.rstrip("\n") + "\n"
        return {"path": folder / self.name, "content": content + ("\n" + stamp if self.is_stamped else "")}

    def links(self, folder: Path) -> list[dict[str, Any]]:
        """What starts it at boot."""
        wants = folder / f"{self.wanted_by}.wants" / self.name
        return [{"path": wants, "target": f"../{self.name}"}] if self.wanted_by else []


def run_unit(
    unit: Unit, service: SystemdService, check: bool, folder: Path = Path("/etc/systemd/system")
) -> dict[str, Any]:
    """Puts the unit in place and makes it run as it lies there; with `check`, only tells.

    Returns `{changed, reason, paths, diff}`; `reason` says why it has to be (re)started, None where it runs as it should.
    """
    placed = write_file_set([unit.file(folder)], unit.links(folder), {}, check)
    is_older = service.needs_reload()
    if not check and (placed["changed"] or is_older):
        service.reload_units()
    reason = _reason_to_start(unit, service)
    if reason and not check:
        service.start_anew()
    reason = reason or ("systemd has an older unit file" if is_older else None)
    return {**placed, "changed": placed["changed"] or reason is not None, "reason": reason}


def _reason_to_start(unit: Unit, service: SystemdService) -> str | None:
    active = service.state().active
    if active not in ("active", "activating", "reloading"):
        return f"it is {active}"
    if unit.is_stamped and service.variable(STAMP) != unit.stamp:
        return "it runs older files than those that are there"
    return None
