"""Hugging Face's format to GGUF, by llama.cpp's own converter."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipress import as_llama
from pipress.programs import run_program
from pipress.weights.files import WIDTHS, read_config
from pipress.weights.layouts import QWEN2, find_layout


def known_architectures(script: Path) -> set[str]:
    """Names of the architectures that the converter writes a text model of, as config.json has them.

    Read from its source: asked for them, it would import PyTorch and a hundred modules.
    """
    source = script.parent / "conversion" / "__init__.py"
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") == "TEXT_MODEL_MAP":
            return set(ast.literal_eval(statement.value))  # type: ignore[arg-type]
    raise AssertionError(f"{source} has no TEXT_MODEL_MAP")


def convert_folder(
    script: Path,
    folder: Path,
    target: Path,
    options: list[str],
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs the converter on a model folder. Raises StageError with the converter's own reason where it fails.

    Where every layer has its own FFN width the file is of the architecture `deci`; a Qwen2 of which heads were removed
    is of `llama`, because llama.cpp's `qwen2` takes as many values of heads as the model is wide. Otherwise it is of
    the model's own.
    options: what it is told beside folder and target, e.g. `["--outtype", "f16"]`.
    """
    program = [as_llama.__file__, script] if _is_written_as_llama(read_config(folder)) else [script]
    run_program(
        [sys.executable, *program, folder, "--outfile", target, *options],
        on_line,
        # The converter belongs to the gguf package of its own tree.
        env={"PYTHONPATH": str(script.parent / "gguf-py")},
    )


def _is_written_as_llama(config: dict[str, Any]) -> bool:
    if config.get(WIDTHS):
        return True
    if find_layout(config) != QWEN2 or "head_dim" not in config:
        return False
    return config["num_attention_heads"] * config["head_dim"] != config["hidden_size"]
