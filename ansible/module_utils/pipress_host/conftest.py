"""Makes the package importable as the modules see it, `pipress_host` beside no Ansible at all, and stands for systemd."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipress_host.service import ServiceState


class SystemdDouble:
    """Stands for systemd and one unit: what it has read of the unit's files, and with what the unit's process was started."""

    def __init__(self, unit: str, folder: Path):
        self.unit = unit
        self.folder = folder
        self.loaded = ""
        #: Environment of the process, None while there is none.
        self.process: dict[str, str] | None = None
        self.starts = 0

    def _on_disk(self) -> str:
        files = [self.folder / self.unit, *sorted(self.folder.glob(f"{self.unit}.d/*.conf"))]
        return "".join(file.read_text() for file in files if file.is_file())

    def needs_reload(self) -> bool:
        return self.loaded != self._on_disk()

    def reload_units(self) -> None:
        self.loaded = self._on_disk()

    def start_anew(self) -> None:
        self.starts += 1
        lines = [
            line.removeprefix("Environment=") for line in self.loaded.splitlines() if "Environment=" in line
        ]
        self.process = dict(line.partition("=")[::2] for line in lines)

    def state(self) -> ServiceState:
        return ServiceState("inactive" if self.process is None else "active", 0)

    def variable(self, name: str) -> str | None:
        return (self.process or {}).get(name)


@pytest.fixture
def systemd(tmp_path: Path) -> SystemdDouble:
    """systemd of a host on which the unit does not run yet."""
    return SystemdDouble("pipress-watch.service", tmp_path / "systemd")
