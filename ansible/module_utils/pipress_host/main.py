"""Command line of what runs on the host without a controller: `activate DIGEST --id ID` and `activate --settle`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .activation import Activation
from .files import write_json
from .service import SystemdService

ROOT = Path("/var/lib/pipress")
KEYS = Path("/etc/pipress/api-keys")
UNIT = "pipress-llama.service"


def outcome_path(root: Path, identifier: str) -> Path:
    """Where the outcome of one activation is told; there is nothing before it has ended."""
    return root / "activations" / f"{identifier}.json"


def main(arguments: list[str] | None = None) -> int:
    """Runs one activation to its end, prints its verdict as JSON and returns 0 where the release serves."""
    parser = argparse.ArgumentParser(prog="activate", description="Switch this host to a staged release.")
    parser.add_argument("digest", nargs="?", help="the release to activate")
    parser.add_argument("--id", help="name under which the outcome is kept")
    parser.add_argument("--settle", action="store_true", help="end an activation that was cut off")
    options = parser.parse_args(arguments)
    if bool(options.digest) == options.settle:
        parser.error("give either a digest or --settle")

    activation = Activation(ROOT, KEYS, SystemdService(UNIT), note=lambda step: print(step, file=sys.stderr))
    with activation.locked():
        verdict = activation.settle() if options.settle else activation.activate(options.digest)
    if verdict is None:
        return 0
    print(json.dumps(verdict))
    if options.id:
        write_json(outcome_path(ROOT, options.id), verdict, 0o600)
    return 0 if verdict["ok"] else 1
