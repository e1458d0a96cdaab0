"""Running llama.cpp's programs: output into the log, progress out of the output, errors in one line."""

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pipress.errors import StageError

PR_SET_PDEATHSIG = 1
KEPT_LINES = 60
TRACEBACK = "Traceback (most recent call last):"
WORDS_OF_FAILURE = ("error", "fail", "invalid", "unknown")
LONGEST_REASON = 240
LIBC = ctypes.CDLL(None, use_errno=True)


def run_program(
    command: list[str | Path],
    on_line: Callable[[str], None] = lambda line: None,
    env: dict[str, str] | None = None,
    stdout: IO[bytes] | None = None,
    cwd: Path | None = None,
    on_start: Callable[[int], None] = lambda pid: None,
    stdin: IO[bytes] | None = None,
) -> list[str]:
    """Runs `command` to its end and returns the last lines of its output.

    on_line: called with every line or piece ended by a carriage return or comma, for progress.
    env: added to this process's environment.
    stdout: where standard output goes; without it, both outputs are read together.
    cwd: folder to run it in; without it, this process's.
    on_start: called with its process id.
    stdin: what it reads; without it, nothing.
    Raises StageError when the program is missing or fails.
    """
    name = Path(command[0]).name
    if name.startswith("python"):
        name = Path(command[1]).name
    print("$", *command, flush=True)
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
            env={**os.environ, **(env or {})},
            preexec_fn=die_with_parent,
            cwd=cwd,
        )
    except FileNotFoundError:
        raise StageError(f"{command[0]} is missing", "run `npm start` again: bootstrap builds it") from None
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    line = ""
    try:
        on_start(process.pid)
        for piece in _pieces(process.stdout if stdout is None else process.stderr):
            if piece.strip():
                on_line(piece)
            line += piece
            if not piece.endswith(","):
                lines.append(line.rstrip())
                line = ""
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"
        raise StageError(f"{name} {how}: {_telling_line([*lines, line])}", "the log has its output")
    return [line for line in [*lines, line] if line]


def die_with_parent() -> None:
    """Lets the system kill this process when the one that started it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _pieces(stream: IO[bytes] | None) -> Iterator[str]:
    """Lines, also those that end in a carriage return; what comes is copied to the log at once."""
    assert stream is not None
    rest = ""
    while chunk := os.read(stream.fileno(), 65536):
        text = chunk.decode("utf-8", errors="replace")
        sys.stdout.write(text.replace("\r", "\n"))
        sys.stdout.flush()
        *whole, rest = (rest + text).replace("\r", "\n").replace(",", ",\n").split("\n")
        yield from whole
    if rest:
        yield rest


def _telling_line(lines: Sequence[str]) -> str:
    """The line that most likely says why: that under the last traceback, else the first that speaks of an error.

    llama.cpp's programs say first what is wrong and then what they could not do therefore; Python says it last.
    """
    told = [line for line in lines if line.strip()]
    if TRACEBACK in told:
        after = told[len(told) - told[::-1].index(TRACEBACK) :]
        reason = next((line for line in after if not line.startswith(" ")), after[-1] if after else TRACEBACK)
    else:
        wrong = [line for line in told if any(word in line.lower() for word in WORDS_OF_FAILURE)]
        reason = wrong[0] if wrong else (told or ["no output"])[-1]
    return reason.strip()[:LONGEST_REASON]


def when_started(pid: int) -> str | None:
    """Which boot and when in it (clock ticks) a process began, for telling it from a later one of the same number; None
    when there is no such process. Field 22 of proc_pid_stat(5)."""
    try:
        # The name in the second field may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='utf-8').strip()} {fields[19]}"
    except (OSError, IndexError):
        return None
