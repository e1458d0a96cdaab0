"""Perplexity and divergence from a reference model, by llama-perplexity.

It counts the second half of every chunk only, so that each token has at least that much context. A reference run keeps
the log-probabilities of every counted token in a file (16 bits each); a model measured against that file is measured
on the very same tokens.
"""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipress.errors import StageError
from pipress.programs import run_program
from pipress.tokens import BYTES_PER_TOKEN

CHUNK_DONE = re.compile(r"\[(\d+)\]\d")
FINAL = re.compile(r"Final estimate: PPL = ([\d.]+|-?nan|inf) \+/- ([\d.]+|-?nan|inf)")
CHUNK_COMPARED = re.compile(r"^\s*(\d+)\s+\S+ ±")
NUMBER = r"\s*(-?[\d.]+|-?nan|-?inf)"
COMPARED = {
    "perplexity": re.compile(rf"Mean PPL\(Q\)\s*:{NUMBER} ±{NUMBER}"),
    "kld": re.compile(rf"Mean\s+KLD:{NUMBER} ±{NUMBER}"),
    "top": re.compile(rf"Same top p:{NUMBER} ±{NUMBER}"),
}

OnChunk = Callable[[int], None]


@dataclass(frozen=True)
class Perplexity:
    """Perplexity, its standard error, over how many chunks."""

    value: float
    error: float
    chunks: int


@dataclass(frozen=True)
class Divergence:
    """Mean KL divergence from the reference in nats per token, and how often the likeliest token is the same (0 to 1).

    Every error is a standard error. https://github.com/ggml-org/llama.cpp/blob/master/tools/perplexity/README.md
    """

    kld: float
    kld_error: float
    top: float
    top_error: float
    perplexity: Perplexity


def measure_perplexity(
    llama_cpp_bin: Path,
    model: Path,
    text: bytes,
    context: int,
    chunks: int,
    logits: Path | None = None,
    on_chunk: OnChunk = lambda done: None,
) -> Perplexity:
    """Perplexity over the first `chunks` chunks of `context` tokens of the text.

    logits: where to keep the log-probabilities for `measure_divergence`.
    Raises StageError when the text is too short, or the result is no number.
    """
    done, final = 0, None

    def on_line(line: str) -> None:
        nonlocal done, final
        final = FINAL.search(line) or final
        for match in CHUNK_DONE.finditer(line):
            done = int(match[1])
            on_chunk(done)

    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(text[: chunks * context * BYTES_PER_TOKEN])
        file.flush()
        keep = [] if logits is None else ["--kl-divergence-base", logits]
        sizes = ["--chunks", str(chunks)]
        command = [*_command(llama_cpp_bin, model, context), "-f", file.name, *sizes, *keep]
        run_program(command, on_line)
    if final is None:
        raise StageError(
            f"llama-perplexity gave no estimate: the text has fewer than {2 * context} tokens, or the model is damaged",
            "give it more text; the log has its output",
        )
    return Perplexity(_finite(final[1]), _finite(final[2]), done)


def measure_divergence(
    llama_cpp_bin: Path, model: Path, logits: Path, context: int, on_chunk: OnChunk = lambda done: None
) -> Divergence:
    """Compares a model with the one whose log-probabilities are in `logits`, on the tokens that it was run on.

    Raises StageError when the two do not fit together, or the result is no number.
    """
    done, matches, wrong = 0, {}, ""

    def on_line(line: str) -> None:
        nonlocal done, wrong
        if match := CHUNK_COMPARED.match(line):
            done = int(match[1])
            on_chunk(done)
        if "inconsistent vocabulary" in line:
            wrong = "its vocabulary is not the reference's"
        elif "does not look like a file" in line or "failed reading" in line:
            wrong = "the reference's log-probabilities are damaged"
        for name, pattern in COMPARED.items():
            if match := pattern.search(line):
                matches[name] = (match[1], match[2])

    command = [*_command(llama_cpp_bin, model, context), "--kl-divergence", "--kl-divergence-base", logits]
    run_program(command, on_line)
    if wrong or len(matches) < len(COMPARED):
        raise StageError(
            f"{model.name} cannot be compared with the reference: {wrong or 'fewer than 100 tokens to compare on'}",
            "give it more text and the same base model; the log has llama-perplexity's output",
        )
    values = {name: (_finite(value), _finite(error)) for name, (value, error) in matches.items()}
    return Divergence(
        *values["kld"], values["top"][0] / 100, values["top"][1] / 100, Perplexity(*values["perplexity"], done)
    )


def _command(llama_cpp_bin: Path, model: Path, context: int) -> list[str | Path]:
    # A batch is one chunk: its progress is heard after each, and its logits take the least memory.
    sizes = ["-c", str(context), "-b", str(context), "-t", str(len(os.sched_getaffinity(0)))]
    return [llama_cpp_bin / "llama-perplexity", "-m", model, "-ngl", "0", "--no-warmup", *sizes]


def _finite(text: str) -> float:
    value = float(text)
    if not abs(value) < float("inf"):
        raise StageError("the perplexity is not a number", "the model is damaged: look at the stages before this one")
    return value
