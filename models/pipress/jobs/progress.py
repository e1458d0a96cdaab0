"""A job's progress: written by the job, read by whoever attaches."""

import time
from pathlib import Path
from typing import Any

from pipress.atomic import write_json
from pipress.units import format_duration

# Writing more often than this tells nobody anything.
INTERVAL_SECONDS = 0.5


class Progress:
    """Writes `progress.json`. Called by stages as `report(fraction, message, eta_seconds)`."""

    def __init__(self, path: Path, stage: str, name: str) -> None:
        self.path = path
        self.identity = {"stage": stage, "name": name}
        self.written = 0.0

    def __call__(self, fraction: float, message: str, eta_seconds: float | None = None) -> None:
        """fraction: share of the work done, 0 to 1. message: short. eta_seconds: time left, where it is known."""
        now = time.monotonic()
        if now - self.written < INTERVAL_SECONDS:
            return
        self.write(fraction, message, eta_seconds)
        self.written = now

    def write(self, fraction: float | None, message: str, eta_seconds: float | None = None) -> None:
        """Writes at once. A fraction of None means that nothing has begun yet."""
        document = {
            **self.identity,
            "fraction": None if fraction is None else min(1.0, max(0.0, fraction)),
            "message": message,
            "etaSeconds": eta_seconds,
            "updated": time.time(),
        }
        try:
            write_json(self.path, document, synced=False)
        except OSError:
            pass  # a full disk is reported by the work itself, not by its progress


def describe(progress: dict[str, Any] | None, name: str) -> str:
    """One line: `recover 45 % · step 135/300 · loss 2.31 · 1 min 20 s left`."""
    if progress is None:
        return f"{name} starting"
    fraction, eta = progress.get("fraction"), progress.get("etaSeconds")
    if fraction is None:
        return f"{name} {progress['message']}"
    parts = [f"{name} {fraction * 100:.0f} %", progress["message"]]
    if eta is not None:
        parts.append(f"{format_duration(eta)} left")
    return " · ".join(part for part in parts if part)
