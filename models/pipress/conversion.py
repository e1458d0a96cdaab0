"""Hugging Face's format to GGUF, by llama.cpp's own converter."""

import sys
from collections.abc import Callable
from pathlib import Path

from pipress import deci
from pipress.programs import run_program
from pipress.weights.files import WIDTHS, read_config


def convert_folder(
    script: Path,
    folder: Path,
    target: Path,
    options: list[str],
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs the converter on a model folder. Raises StageError with the converter's own reason where it fails.

    Where every layer has its own FFN width the file is of the architecture `deci`, else `llama`.
    options: what it is told beside folder and target, e.g. `["--outtype", "f16"]`.
    """
    program = [deci.__file__, script] if read_config(folder).get(WIDTHS) else [script]
    run_program(
        [sys.executable, *program, folder, "--outfile", target, *options],
        on_line,
        # The converter belongs to the gguf package of its own tree.
        env={"PYTHONPATH": str(script.parent / "gguf-py")},
    )
