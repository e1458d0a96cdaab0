"""Command lines of what runs on the host without a controller.

`activate DIGEST --id ID`, `--back`, `--settle`, `--prompts` or `--watch`, and `measure BENCH`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from .activation import Activation
from .detached import outcome_path
from .errors import HostError
from .files import write_json
from .health_check import HealthCheckFailed
from .measurement import Sizes, measure
from .service import SystemdService
from .tools import prune_tools
from .watch import watch

ROOT = Path("/var/lib/pipress")
TOOLS = Path("/usr/local/lib/pipress")
KEYS = Path("/etc/pipress/api-keys")
UNIT = "pipress-llama.service"
#: Whom llama-bench runs as.
BENCH_USER = "nobody"


def main(arguments: list[str] | None = None) -> int:
    """Runs one activation to its end, prints its verdict as JSON and returns 0 where the release serves."""
    parser = argparse.ArgumentParser(prog="activate", description="Switch this host to a staged release.")
    parser.add_argument("digest", nargs="?", help="the release to activate")
    parser.add_argument("--id", help="name under which the outcome is kept")
    parser.add_argument("--back", action="store_true", help="go back to the release before")
    parser.add_argument("--settle", action="store_true", help="end an activation that was cut off")
    parser.add_argument("--prompts", action="store_true", help="restore the release's system prompts")
    parser.add_argument("--watch", action="store_true", help="watch over the service until this is stopped")
    options = parser.parse_args(arguments)
    verbs = [bool(options.digest), options.back, options.settle, options.prompts, options.watch]
    if verbs.count(True) != 1:
        parser.error("give one of a digest, --back, --settle, --prompts and --watch")

    activation = Activation(ROOT, KEYS, SystemdService(UNIT), note=_note)
    if options.watch:
        watch(activation, _note)
    if options.prompts:
        return _restore(activation)
    try:
        with activation.locked():
            if options.settle:
                verdict = activation.settle()
            elif options.back:
                verdict = activation.go_back()
            else:
                verdict = activation.activate(options.digest)
    except HostError as problem:
        _note(str(problem))
        return 1
    if verdict is None:
        return 0
    print(json.dumps(verdict))
    if options.id:
        write_json(outcome_path(ROOT, options.id), verdict, 0o600)
    if not verdict["ok"]:
        return 1
    prune_tools(TOOLS)
    return 0


def _restore(activation: Activation) -> int:
    """Beside whatever is at work: an activation restores them too, and waits for nobody."""
    try:
        activation.restore_system_prompts()
    except HealthCheckFailed as problem:
        _note(str(problem))
        return 1
    return 0


def measure_main(arguments: list[str] | None = None) -> int:
    """Runs one measurement to its end, keeps its outcome and returns 0 where there is one; SIGTERM cuts it short."""
    parser = argparse.ArgumentParser(
        prog="measure", description="Measure this host with llama-bench, in the place of llama-server."
    )
    parser.add_argument("bench", type=Path, help="the program")
    parser.add_argument("--prompt", type=int, required=True, help="tokens of the prompt")
    parser.add_argument("--generate", type=int, required=True, help="tokens of the answer")
    parser.add_argument("--repetitions", type=int, required=True, help="how many times each")
    parser.add_argument("--stock", action="store_true", help="measure llama.cpp's own kernels too")
    parser.add_argument("--threads", type=int, help="measure so many threads too, beside the release's own")
    parser.add_argument("--limit", type=float, required=True, help="seconds that the program may take")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    sizes = Sizes(options.prompt, options.generate, options.repetitions, options.stock, options.threads)
    activation = Activation(ROOT, KEYS, SystemdService(UNIT), note=_note)
    outcome = measure(activation, options.bench, sizes, options.limit, BENCH_USER)
    _note(outcome["reason"] or "measured")
    return 0 if outcome["ok"] else 1


def _end(_signal: int, _frame: object) -> None:
    # Once: what it sets off is to come to its end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _note(step: str) -> None:
    print(step, file=sys.stderr, flush=True)
