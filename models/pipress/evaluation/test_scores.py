"""Scores of rows, with the real programs on a tiny model, and beside llama-perplexity's."""

import multiprocessing
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipress.conftest import prose
from pipress.errors import StageError
from pipress.evaluation.scores import load_scores, mean_of_rows, score_against, score_reference
from pipress.programs import run_program
from pipress.quantization.llama_quantize import quantize
from pipress.tokenization import llama_encoder

LENGTH = 256


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


def rows_of(llama_cpp_bin: Path, model: Path, text: str, length: int = LENGTH) -> np.ndarray:
    """The text from its beginning, as llama-perplexity cuts it: nothing before it and nothing in between."""
    (ids,) = llama_encoder(llama_cpp_bin, model).encode([text])
    count = len(ids) // length
    return np.array(ids[: count * length]).reshape(count, length)


@pytest.fixture
def coarse(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> Path:
    quantize(llama_cpp_bin, tiny_gguf / "model.gguf", tmp_path / "coarse.gguf", "Q4_0", None)
    return tmp_path / "coarse.gguf"


@pytest.mark.parametrize("length", [255, 256])
def test_the_figures_are_those_of_llama_perplexity(
    length: int, llama_cpp_bin: Path, tiny_gguf: Path, coarse: Path, tmp_path: Path
) -> None:
    model, logits, text = tiny_gguf / "model.gguf", tmp_path / "logits", prose(1, 60)
    rows = rows_of(llama_cpp_bin, model, text, length)
    base = score_reference(llama_cpp_bin, model, rows, logits)
    scores = score_against(llama_cpp_bin, coarse, rows, logits)

    (tmp_path / "text").write_text(text)
    theirs = [llama_cpp_bin / "llama-perplexity", "-m", model, "-c", str(length), "-b", str(length)]
    run_program([*theirs, "-f", tmp_path / "text", "--kl-divergence-base", tmp_path / "base"])
    theirs[2] = coarse
    output = "\n".join(run_program([*theirs, "--kl-divergence", "--kl-divergence-base", tmp_path / "base"]))

    def figure(name: str) -> float:
        return float(re.search(rf"{name}\s*:\s*([\d.]+)", output)[1])  # type: ignore[index]

    assert base.perplexity.value == pytest.approx(figure(r"Mean PPL\(base\)"), rel=1e-4)
    assert scores.perplexity.value == pytest.approx(figure(r"Mean PPL\(Q\)"), rel=1e-4)
    assert mean_of_rows(scores.kld).value == pytest.approx(figure("Mean    KLD"), rel=2e-3)
    assert 100 * mean_of_rows(scores.same).value == pytest.approx(figure("Same top p"), abs=0.2)


def test_a_model_does_not_diverge_from_itself(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    model, logits = tiny_gguf / "model.gguf", tmp_path / "logits"
    rows = rows_of(llama_cpp_bin, model, prose(1, 30))
    base = score_reference(llama_cpp_bin, model, rows, logits)
    itself = score_against(llama_cpp_bin, model, rows, logits)
    assert np.array_equal(base.nll, itself.nll) and base.kld is None
    assert abs(itself.kld).max() < 1e-3 and itself.same.min() == 1
    itself.save(tmp_path / "scores.npy")
    assert np.array_equal(load_scores(tmp_path / "scores.npy").kld, itself.kld)


@pytest.mark.usefixtures("crowded")
def test_every_row_is_told_on_a_crowded_machine(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    model, logits = tiny_gguf / "model.gguf", tmp_path / "logits"
    rows = rows_of(llama_cpp_bin, model, prose(1, 100))[:4]
    for score in (score_reference, score_against):
        told: list[int] = []
        assert score(llama_cpp_bin, model, rows, logits, told.append).nll.shape == (4, LENGTH // 2 - 1)
        assert told == [1, 2, 3, 4]


def test_the_error_of_a_mean_is_that_of_rows() -> None:
    """Tokens of a row go together: a hundred equal ones say no more than one."""
    values = np.array([1.0, 2.0, 4.0, 5.0])
    one, hundred = mean_of_rows(values[:, None]), mean_of_rows(np.repeat(values[:, None], 100, axis=1))
    assert one == hundred and one.value == 3 and one.error == pytest.approx(np.std(values, ddof=1) / 2)
    assert mean_of_rows(np.ones((1, 7))).error == 0


def test_too_little_text_is_told(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the text has fewer than 256 tokens"):
        score_reference(llama_cpp_bin, tiny_gguf / "model.gguf", np.empty((0, LENGTH), int), tmp_path / "logits")


def test_a_reference_of_something_else_is_told(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    model, logits = tiny_gguf / "model.gguf", tmp_path / "logits"
    rows = rows_of(llama_cpp_bin, model, prose(1, 60))
    logits.write_bytes(b"not log-probabilities")
    with pytest.raises(StageError, match=r"cannot be compared .* damaged"):
        score_against(llama_cpp_bin, model, rows, logits)
    score_reference(llama_cpp_bin, model, rows, logits)
    with pytest.raises(StageError, match=r"cannot be compared .* of other rows"):
        score_against(llama_cpp_bin, model, rows[1:], logits)
    with pytest.raises(StageError, match=r"cannot be compared .* another vocabulary"):
        score_against(llama_cpp_bin, model, rows + 1000, logits)
