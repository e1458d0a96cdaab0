"""Measures how fast this board is: llama-bench on the model that serves, in the place of the server.

The server holds the memory and the cores that llama-bench needs, so it is stopped meanwhile; see `Activation.stopped` for how
it comes back. Runs as a transient systemd unit, as an activation does.

    <root>/measurement.json  what came of the last one; not there while one is at work
"""

from __future__ import annotations

import json
import pwd
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from .activation import Activation
from .errors import HostError
from .files import read_json, write_json
from .gguf import describe_model
from .health_check import HealthCheckFailed
from .report import board_model, bootloader, celsius, governor, megahertz, throttled
from .throttling import flags_now, flags_since_boot

#: Seconds between two looks at the board: each takes a moment from what is measured.
SAMPLE_SECONDS = 10.0
#: The unit that measures; there is one at a time.
UNIT = "pipress-measure.service"


class Sizes(NamedTuple):
    """What is measured: tokens of a prompt and of an answer, how many times each, and in which other way besides."""

    prompt: int
    generate: int
    repetitions: int
    #: llama.cpp's own kernels, which the same program has: without repacked weights it uses those.
    stock: bool = False
    #: Threads, where the release's own number is not all that is measured.
    threads: int | None = None


class Board:
    """What is seen of the board while it is at work."""

    def __init__(self) -> None:
        self._before = flags_since_boot(throttled())
        self._flags: int | None = None
        self._celsius: list[float] = []
        self._megahertz: list[float] = []

    def look(self) -> None:
        """One look."""
        flags, temperature, clock = throttled(), celsius(), megahertz()
        if flags is not None:
            # What was seen before, since boot, is not this measurement's; the rest is, also between two looks.
            new = flags_since_boot(flags) & ~self._before
            self._flags = (self._flags or 0) | flags_now(flags) | new
        self._celsius += [] if temperature is None else [temperature]
        self._megahertz += [] if clock is None else [clock]

    def summary(self) -> dict[str, Any]:
        """`{board, bootloader, governor, throttled, celsius, megahertz}`, None for what this board does not tell."""
        return {
            "board": board_model(),
            "bootloader": bootloader(),
            "governor": governor(),
            "throttled": self._flags,
            "celsius": max(self._celsius, default=None),
            "megahertz": round(statistics.median(self._megahertz)) if self._megahertz else None,
        }


def outcome_path(root: Path) -> Path:
    """Where the outcome of the last measurement is told."""
    return root / "measurement.json"


def look(activation: Activation) -> dict[str, Any]:
    """What a measurement would measure: `{release, threads, repacks, model}`. Changes nothing. Raises HostError where it could not."""
    digest = activation.current()
    release = digest and activation.release(digest)
    if not digest or not release:
        raise HostError("the host serves no release", "roll one out with `./pipress up`")
    if release.get("embedding"):
        raise HostError(
            "the host serves an embedding model, and llama-bench measures how fast a model generates",
            "measure a host that serves one that chats",
        )
    # Behind a load balancer it can be waited for.
    if not release["healthCheck"].get("drainSeconds"):
        activation.require_idle(release)
    return {
        "release": digest,
        "threads": release["settings"]["threads"],
        "repacks": "--no-repack" not in release["settings"].get("flags", {}),
        "model": describe_model(_model_of(activation)),
    }


def measure(
    activation: Activation, bench: Path, sizes: Sizes, limit: float, user: str | None
) -> dict[str, Any]:
    """Measures, and keeps and returns the outcome: `{ok, reason}` and, where `ok`, what `look`, llama-bench and Board say.

    `limit` is how many seconds llama-bench may take; `user` is whom it runs as, None for the user of this process.
    """
    outcome_path(activation.root).unlink(missing_ok=True)
    try:
        outcome = {"ok": True, "reason": None, **_measure(activation, bench, sizes, limit, user)}
    except (HostError, HealthCheckFailed) as problem:
        outcome = {"ok": False, "reason": str(problem)}
    except SystemExit:
        outcome = {"ok": False, "reason": "the measurement was stopped — run the same command again"}
    write_json(outcome_path(activation.root), outcome)
    return outcome


def _measure(
    activation: Activation, bench: Path, sizes: Sizes, limit: float, user: str | None
) -> dict[str, Any]:
    with activation.try_locked() as locked:
        if not locked:
            raise HostError(
                "an activation is at work on the host", "run the same command again when it has ended"
            )
        subject = look(activation)
        own = {"threads": subject["threads"], "repacks": subject["repacks"]}
        other = {"threads": sizes.threads or own["threads"], "repacks": own["repacks"] and not sizes.stock}
        command = [str(bench), "--model", str(_model_of(activation))]
        command += ["--threads", _each(own["threads"], other["threads"])]
        command += ["--n-prompt", str(sizes.prompt), "--n-gen", str(sizes.generate)]
        command += ["--repack", _each(own["repacks"], other["repacks"])]
        command += ["--repetitions", str(sizes.repetitions), "--output", "json"]
        board = Board()
        with activation.stopped():
            activation.note("measuring")
            printed = _run(command, limit, board, user)
    is_compared = sizes.stock or sizes.threads is not None
    beside = {**other, **_figures_of(printed, **other)} if is_compared else None
    return {**subject, **_figures_of(printed, **own), "beside": beside, **board.summary()}


def _each(*values: int) -> str:
    """What llama-bench takes for several values of an option."""
    return ",".join(str(int(value)) for value in sorted(set(values)))


def _run(command: list[str], limit: float, board: Board, user: str | None) -> str:
    """What llama-bench prints. It ends with this, whatever ends this."""
    # It reads a model and a clock, and needs no more rights than everybody has.
    rights = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    try:
        bench = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", **rights
        )
    except OSError as problem:
        raise HostError(
            f"llama-bench does not run here: {problem}", "report it, with the board's name"
        ) from problem
    until = time.monotonic() + limit
    try:
        while True:
            try:
                printed, said = bench.communicate(timeout=SAMPLE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                board.look()
                if time.monotonic() > until:
                    raise HostError(
                        f"llama-bench was not ready after {limit / 60:.0f} minutes",
                        "see that nothing else is at work on the board",
                    ) from None
    finally:
        if bench.poll() is None:
            bench.kill()
            bench.communicate()
    board.look()
    if bench.returncode != 0:
        how = f"was killed by signal {-bench.returncode}" if bench.returncode < 0 else "failed"
        last = " | ".join(line.strip() for line in said.splitlines()[-3:] if line.strip())
        raise HostError(
            f"llama-bench {how}: {last or 'it said nothing'}",
            "signal 9 means that the memory did not suffice: see that nothing else takes it",
        )
    return printed


def _figures_of(printed: str, threads: int, repacks: bool) -> dict[str, Any]:
    """`{prompt, generation, build}` from llama-bench's JSON: tokens per second, averages of all repetitions."""
    try:
        ways = [(test, test["n_threads"], test["repack"]) for test in json.loads(printed)]
        tests = [test for test, *way in ways if way == [threads, repacks]]
        [prompt] = [test for test in tests if test["n_gen"] == 0]
        [generation] = [test for test in tests if test["n_prompt"] == 0]
        return {
            "prompt": round(float(prompt["avg_ts"]), 3),
            "generation": round(float(generation["avg_ts"]), 3),
            "build": int(generation["build_number"]),
        }
    except (ValueError, KeyError, TypeError) as problem:
        raise HostError(f"llama-bench printed no results: {printed[:200]!r}", "report it") from problem


def wait_for_outcome(root: Path, is_running: Any, timeout: float) -> dict[str, Any] | None:
    """The outcome of the measurement that runs, or None where it ended without one or takes longer than `timeout` seconds."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        # Asked in this order, so that an outcome written just before the unit ended is not missed.
        running = is_running()
        outcome = read_json(outcome_path(root))
        if not running:
            return outcome
        time.sleep(SAMPLE_SECONDS)
    return None


def _model_of(activation: Activation) -> Path:
    return activation.root / "current" / "model.gguf"
