"""The service manager as activation sees it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from .errors import HostError


class ServiceState(NamedTuple):
    """How the service is doing."""

    #: systemd's ActiveState: active, activating, inactive, failed, …
    active: str
    #: Times systemd has restarted it by itself since it was started.
    restarts: int


class SystemdService:
    """A unit of this host's systemd."""

    def __init__(self, unit: str):
        self.unit = unit
        self._restarted = 0

    def restart(self) -> None:
        """Reads the unit file again and starts the service anew, whether it ran or not.

        Returns when the old process has ended and the new one was started: until then it would be the old one that
        answers the health check.
        """
        # A start limit reached by a bad release must not keep the good one from starting.
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", self.unit)
        self._restarted = int(time.time())
        self._systemctl("restart", self.unit)

    def stop(self) -> None:
        """Stops the service and waits until it has ended."""
        self._systemctl("daemon-reload")
        self._systemctl("stop", self.unit)

    def state(self) -> ServiceState:
        """How it is doing now."""
        shown = self._show("ActiveState", "NRestarts")
        return ServiceState(shown.get("ActiveState", "unknown"), int(shown.get("NRestarts") or 0))

    def needs_reload(self) -> bool:
        """Whether systemd runs another unit file than the one on disk; of a timer, or what it starts."""
        units = {self.unit, self.unit.replace(".timer", ".service")}
        command = ["systemctl", "show", *units, "--property", "NeedDaemonReload", "--value"]
        return "yes" in subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    def reload_units(self) -> None:
        """Lets systemd read unit files again; touches nothing that runs."""
        self._systemctl("daemon-reload")

    def start_anew(self) -> None:
        """Starts the unit, or restarts it where it runs. Raises HostError where it does not come up."""
        self._systemctl("reset-failed", self.unit)
        done = subprocess.run(
            ["systemctl", "restart", self.unit], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise HostError(
                f"{self.unit} does not start: {done.stderr.strip() or self.log_tail()}",
                f"`journalctl -u {self.unit}` on the host says why; then run `./pipress up` again",
            )

    def variable(self, name: str) -> str | None:
        """A variable of the environment that its process was started with, or None where it has none such."""
        pid = self._show("MainPID").get("MainPID", "0")
        try:
            environment = Path("/proc", pid, "environ").read_bytes().decode(errors="replace")
        except OSError:
            return None
        return dict(entry.partition("=")[::2] for entry in environment.split("\0")).get(name)

    def overrides(self) -> list[str]:
        """Drop-in files that somebody has laid over the unit."""
        return self._show("DropInPaths").get("DropInPaths", "").split()

    def log_tail(self, lines: int = 4) -> str:
        """The last lines that the service logged since it was restarted here, on one line.

        Where it has not come to log anything, what systemd says about it.
        """
        since = f"--since=@{self._restarted}"
        own = self._journal(f"_SYSTEMD_UNIT={self.unit}", since, f"--lines={lines}")
        return own or self._journal(f"--unit={self.unit}", since, f"--lines={lines}")

    def _journal(self, *arguments: str) -> str:
        command = ["journalctl", "--quiet", "--no-pager", "--output=cat", *arguments]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    def _show(self, *properties: str) -> dict[str, str]:
        command = ["systemctl", "show", self.unit, "--property", ",".join(properties)]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return dict(line.partition("=")[::2] for line in text.splitlines())

    def _systemctl(self, *arguments: str) -> None:
        subprocess.run(["systemctl", *arguments], capture_output=True, check=False)
