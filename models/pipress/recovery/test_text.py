"""Which text is trained on and which is held back, and in which order."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from pipress.conftest import write_texts
from pipress.errors import StageError
from pipress.recovery.text import TrainingText, read_training_text
from pipress.validation import check_params
from pipress.weights.folder import load_tokenizer

LENGTH = 32


def params(**changes: Any) -> dict[str, Any]:
    base = {
        "tokens": 40 * LENGTH,
        "sequenceLength": LENGTH,
        "batchSize": 4,
        "epochs": 2,
        "validationTokens": 8 * LENGTH,
    }
    return {**check_params("recover", base), **changes}


def documents(count: int, first: int = 0, length: int = 31) -> str:
    """The n-th document has so many tokens, and says which it is throughout."""
    names = (f"{chr(ord('A') + index % 26)}{index:04d}" for index in range(first, first + count))
    return "\n\n".join((name * length)[:length] for name in names)


def documents_in(sequences: torch.Tensor, model: Path) -> set[str]:
    """Every whole mark of a document in the sequences."""
    tokenizer = load_tokenizer(model)
    return {mark for row in sequences.tolist() for mark in re.findall(r"[A-Z]\d{4}", tokenizer.decode(row))}


def test_training_reads_what_is_for_it_and_judging_what_is_held_back(tiny_model: Path, tmp_path: Path) -> None:
    write_texts(tmp_path, documents(60), validation=documents(20, first=100))
    text = read_training_text(tmp_path, tiny_model, params(tokens=10**6))
    held_back, training = text.sequences[text.held_back], text.sequences[: text.n_training]
    assert held_back.shape == (8, LENGTH) and training.shape == (60, LENGTH)
    assert documents_in(training, tiny_model) == {f"{chr(65 + i % 26)}{i:04d}" for i in range(60)}
    assert all(int(mark[1:]) >= 100 for mark in documents_in(held_back, tiny_model))


@pytest.mark.parametrize(("sequences", "held_back"), [(3, 8), (4, 0), (0, 8)])
def test_too_little_for_a_step_or_for_a_look_is_refused(
    sequences: int, held_back: int, tiny_model: Path, tmp_path: Path
) -> None:
    write_texts(tmp_path, documents(sequences), validation=documents(held_back, first=100))
    message = f"gives {sequences} sequences of 32 tokens, and {held_back} of the documents that are held back"
    with pytest.raises(StageError, match=message):
        read_training_text(tmp_path, tiny_model, params())


def test_the_least_text_is_one_step_and_one_sequence_that_is_held_back(tiny_model: Path, tmp_path: Path) -> None:
    """Also where the recipe asks for less than a sequence to judge by."""
    write_texts(tmp_path, documents(4), validation=documents(1, first=100))
    text = read_training_text(tmp_path, tiny_model, params(validationTokens=1))
    assert (text.n_training, len(text.sequences)) == (4, 5)


@pytest.mark.parametrize(
    ("tokens", "epochs", "expected"), [(40 * LENGTH, 2, 20), (40 * LENGTH, 1, 40), (6 * LENGTH, 2, 4), (10**6, 1, 60)]
)
def test_training_takes_as_much_text_as_its_epochs_need_from_all_over_it(
    tokens: int, epochs: int, expected: int, tiny_model: Path, tmp_path: Path
) -> None:
    write_texts(tmp_path, documents(60), validation=documents(8, first=100))
    text = read_training_text(tmp_path, tiny_model, params(tokens=tokens, epochs=epochs))
    assert text.n_training == expected
    seen = sorted(int(mark[1:]) for mark in documents_in(text.sequences[: text.n_training], tiny_model))
    # Wherever one looks, a document is near.
    assert max(later - sooner for sooner, later in zip([-1, *seen], [*seen, 60], strict=True)) <= 2 * 60 // expected + 1


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_every_pass_sees_every_sequence_once_in_an_order_that_follows_from_seed_and_pass(batch: int) -> None:
    sequences = torch.arange(14 * 2).view(14, 2)
    text, same, other = (TrainingText(sequences, 9, batch, seed) for seed in (1, 1, 2))
    steps = -(-3 * 9 // batch)
    rows = [row for step in range(steps) for row in text.rows(step).tolist()]
    passes = [rows[start : start + 9] for start in (0, 9, 18)]
    assert all(sorted(seen) == list(range(9)) for seen in passes)
    assert len({tuple(seen) for seen in passes}) == 3
    assert [len(text.rows(step)) for step in range(steps)] == [batch] * steps
    later = reversed(range(steps))
    assert all(same.rows(step).tolist() == text.rows(step).tolist() for step in later), "a function of the step alone"
    assert [row for step in range(steps) for row in other.rows(step).tolist()] != rows
    one, two = (
        {tuple(TrainingText(sequences, 9, 9, seed).rows(step).tolist()) for step in range(8)} for seed in (1, 2)
    )
    assert not one & two, "neighbouring seeds do not share passes"
