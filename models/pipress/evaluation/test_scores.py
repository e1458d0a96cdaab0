"""Reading llama-perplexity's output, with the real program on a tiny model."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipress.conftest import prose
from pipress.errors import StageError
from pipress.evaluation.perplexity import measure_divergence, measure_perplexity

CONTEXT = 256


def _turn() -> None:
    while True:
        pass


@pytest.fixture
def crowded() -> Iterator[None]:
    """One core for this process and what it starts, shared with four others."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    others = [multiprocessing.get_context("spawn").Process(target=_turn, daemon=True) for _ in range(4)]
    try:
        for other in others:
            other.start()
        yield
    finally:
        for other in others:
            other.kill()
            other.join()
        os.sched_setaffinity(0, cores)


@pytest.mark.usefixtures("crowded")
def test_the_last_lines_come_through_on_a_crowded_machine(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    model, logits = tiny_gguf / "model.gguf", tmp_path / "logits"
    assert measure_perplexity(llama_cpp_bin, model, prose(1, 100).encode(), CONTEXT, 4, logits).chunks == 4
    for _ in range(5):
        assert measure_divergence(llama_cpp_bin, model, logits, CONTEXT).perplexity.chunks == 4


def test_too_little_text_is_told(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the text has fewer than 512 tokens"):
        measure_perplexity(llama_cpp_bin, tiny_gguf / "model.gguf", b"too short", CONTEXT, 4)


def test_a_damaged_reference_is_told(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "logits").write_bytes(b"not log-probabilities")
    with pytest.raises(StageError, match=r"cannot be compared .* are damaged"):
        measure_divergence(llama_cpp_bin, tiny_gguf / "model.gguf", tmp_path / "logits", CONTEXT)
