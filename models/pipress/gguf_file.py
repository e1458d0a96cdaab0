"""GGUF files: does llama.cpp load them, and what do they say."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from pipress.errors import StageError
from pipress.programs import run_program


def generate(
    llama_cpp_bin: Path,
    model: Path,
    prompt: str,
    tokens: int,
    on_line: Callable[[str], None] = lambda line: None,
    on_start: Callable[[int], None] = lambda pid: None,
) -> str:
    """Loads the file and generates text with it, greedily. Returns only what was generated.

    on_line: called with what llama.cpp says of the run; on_start: with the process id.
    Raises StageError when it does not load, or says nothing at all.
    """
    command = [llama_cpp_bin / "llama-simple", "-m", model, "-n", str(tokens), "-ngl", "0", prompt]
    with tempfile.TemporaryFile() as answer:
        try:
            run_program(command, on_line, stdout=answer, on_start=on_start)
        except StageError as error:
            raise StageError(f"{model.name} does not load: {error.what}", error.remedy) from error
        answer.seek(0)
        text = answer.read().decode("utf-8", errors="replace")
    print(text, flush=True)
    return _after_prompt(text, prompt)


def check_generates(llama_cpp_bin: Path, model: Path) -> None:
    """A file counts as made when it has said something."""
    if not generate(llama_cpp_bin, model, "The capital of France is", 8).strip():
        raise StageError(f"{model.name} loads but generates nothing", "the model is damaged")


def _after_prompt(text: str, prompt: str) -> str:
    """llama-simple prints the prompt's tokens first, a beginning-of-text token before them where there is one."""
    end = prompt.rstrip()[-16:]
    before, separator, after = text.rpartition(end) if text.count(end) == 1 else text.partition(end)
    return (after if separator else before).strip()
