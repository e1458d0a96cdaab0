"""Running llama-quantize: what it would do, and doing it."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipress.errors import StageError
from pipress.programs import run_program
from pipress.quantization.source_model import Mix

TENSOR = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
FALLBACK = re.compile(r"(\d+) of \d+ tensor\(s\) required fallback")
PLANNED = re.compile(r"^\[\s*\d+/\s*\d+\]\s+(\S+)\s+- \[[^\]]*\], type =.*-> .*\((\w+)\)$", re.M)


def quantize(
    llama_cpp_bin: Path,
    source: Path,
    target: Path,
    file_type: str,
    imatrix: Path | None,
    overrides: Mix | None = None,
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Writes `target`. Returns how many tensors took another type because their rows do not fit.

    overrides: types by tensor name, over what `file_type` says.
    Every tensor of the source is checked on the way: NaN and infinite weights end in a StageError.
    """
    fallbacks = 0

    def on_line(line: str) -> None:
        nonlocal fallbacks
        if match := FALLBACK.search(line):
            fallbacks = int(match[1])
        if match := TENSOR.search(line):
            on_tensor(int(match[1]), int(match[2]))

    with _overriding(overrides) as types:
        run_program(
            [
                llama_cpp_bin / "llama-quantize",
                *_matrix(imatrix),
                *types,
                *(source, target, file_type, str(len(os.sched_getaffinity(0)))),
            ],
            on_line,
            # The matrix's name becomes metadata of the file: it is to be the same on every builder.
            cwd=None if imatrix is None else imatrix.parent,
        )
    return fallbacks


def planned_types(
    llama_cpp_bin: Path, source: Path, file_type: str, imatrix: Path | None, overrides: Mix | None = None
) -> Mix | None:
    """Types that llama-quantize would give to the tensors it changes; None where it would refuse the file type."""
    with _overriding(overrides) as types:
        command = [llama_cpp_bin / "llama-quantize", "--dry-run", *_matrix(imatrix), *types, source, file_type]
        try:
            result = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=None if imatrix is None else imatrix.parent,
                check=False,
            )
        except FileNotFoundError:
            raise StageError(f"{command[0]} is missing", "run `npm start` again: bootstrap builds it") from None
    if result.returncode != 0:
        return None
    matches = PLANNED.findall(result.stdout.decode("utf-8", errors="replace"))
    return {name: kind.upper() for name, kind in matches}


@contextmanager
def _overriding(overrides: Mix | None) -> Iterator[list[str | Path]]:
    """Arguments that give single tensors a type of their own."""
    if not overrides:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        types = Path(folder, "types.txt")
        types.write_text("".join(f"{exactly(name)}={kind.lower()}\n" for name, kind in overrides.items()))
        yield ["--tensor-type-file", types]


def exactly(name: str) -> str:
    """A pattern that matches this tensor and no other."""
    return "^" + name.replace(".", r"\.") + "$"


def _matrix(imatrix: Path | None) -> list[str]:
    return [] if imatrix is None else ["--imatrix", imatrix.name]
