"""Runs /usr/local/lib/pipress/activate as a transient unit, so that it outlives the connection that started it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from .files import read_json
from .service import SystemdService

COMMAND = "/usr/local/lib/pipress/activate"


def outcome_path(root: Path, identifier: str) -> Path:
    """Where the outcome of one activation is told; there is nothing before it has ended."""
    return root / "activations" / f"{identifier}.json"


def start_detached(name: str, arguments: list[str]) -> str:
    """Starts `activate ARGUMENTS` and returns the name under which its outcome is kept, which begins with `name`."""
    identifier = f"{name}-{time.time_ns()}"
    command = ["systemd-run", "--quiet", "--collect", f"--unit=pipress-activate-{identifier}"]
    # It asks the server on this host, and nobody else.
    command += ["--property=IPAddressDeny=any", "--property=IPAddressAllow=localhost"]
    command += [COMMAND, *arguments, "--id", identifier]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return identifier


def wait_for_outcome(root: Path, identifier: str, timeout: float) -> dict[str, Any] | None:
    """The verdict of a detached activation, or None where it ended without one or takes longer than `timeout` seconds."""
    unit = SystemdService(f"pipress-activate-{identifier}.service")
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        # Asked in this order, so that an outcome written just before the unit ended is not missed.
        running = unit.state().active in ("active", "activating")
        verdict = read_json(outcome_path(root, identifier))
        if verdict or not running:
            return verdict
        time.sleep(1)
    return None


def what_serves(verdict: dict[str, Any]) -> str:
    """What the host serves after a release that did not pass, as half a sentence."""
    if verdict["serving"]:
        return f"the host serves {verdict['serving'][:12]}, as before"
    if verdict["fallback"]:
        return f"the host was switched back to {verdict['fallback'][:12]}, which is not healthy either"
    return "the service is stopped: there is no earlier release to go back to"
