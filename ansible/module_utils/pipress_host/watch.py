"""Watches over the service between rollouts: restarts a server that hangs, and ends an activation that was cut off.

systemd restarts a server that dies; one that hangs keeps its process, and only its clients notice. An activation runs by
itself, but its process can be killed like any other: what it left undone is settled here, as it is after a reboot.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from .activation import Activation
from .files import read_json
from .health_check import HealthCheck, health_of

#: Seconds between two looks.
INTERVAL = 20
#: Looks in a row without a good answer after which the server counts as hung.
MAX_FAILURES = 3
#: Seconds that /health may take; a Pi under full load answers late.
ANSWER_SECONDS = 30.0


class Watch:
    """Looks again and again; see `look`."""

    def __init__(self, activation: Activation, note: Callable[[str], None]):
        self.activation = activation
        self.note = note
        self._bad = 0
        self._loading_since: float | None = None

    def look(self, now: float | None = None) -> None:
        """One look. Does nothing while an activation is at work: that one decides by itself."""
        with self.activation.try_locked() as locked:
            if not locked:
                self._forget()
                return
            if read_json(self.activation.root / "pending.json"):
                self.note("an activation was cut off: settling it")
                self.activation.settle()
                self._forget()
                return
            self._look_at_server(time.monotonic() if now is None else now)

    def _look_at_server(self, now: float) -> None:
        digest = self.activation.current()
        release: dict[str, Any] | None = digest and self.activation.release(digest)
        # A service that is stopped, or that systemd is restarting, is not a hung one.
        if not release or self.activation.service.state().active != "active":
            self._forget()
            return
        check = HealthCheck.of(release)
        status = health_of(check.port, ANSWER_SECONDS)
        if status == 200:
            self._forget()
            return
        if status == 503:
            # Loading. That takes its time, but not for ever.
            self._loading_since = self._loading_since if self._loading_since is not None else now
            if now - self._loading_since < check.start_timeout:
                return
        self._bad += 1
        if self._bad < MAX_FAILURES:
            return
        answer = "nothing" if status is None else f"status {status}"
        self.note(f"/health answered {answer} {self._bad} times in a row: restarting the server")
        self.activation.service.restart()
        self._forget()

    def _forget(self) -> None:
        self._bad = 0
        self._loading_since = None


def watch(activation: Activation, note: Callable[[str], None]) -> None:
    """Looks until the process is ended."""
    watching = Watch(activation, note)
    while True:
        watching.look()
        time.sleep(INTERVAL)
