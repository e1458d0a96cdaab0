"""Which text is trained on and which is held back: never the same document, whatever its length."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from pipress.errors import StageError
from pipress.recovery import text as text_module
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


def documents(folder: Path, lengths: list[int]) -> list[int]:
    """Writes calibration.txt: the n-th document has so many tokens, and says which it is throughout."""
    texts = [(f"{chr(ord('A') + index % 26)}{index:04d}" * length)[:length] for index, length in enumerate(lengths)]
    (folder / "calibration.txt").write_text("\n\n".join(texts))
    return lengths


def documents_in(sequences: torch.Tensor, model: Path) -> set[str]:
    """Every whole mark of a document in the sequences."""
    tokenizer = load_tokenizer(model)
    return {mark for row in sequences.tolist() for mark in re.findall(r"[A-Z]\d{4}", tokenizer.decode(row))}


@pytest.mark.parametrize("longest", [10, 31, 40, 100, 400])
@pytest.mark.parametrize("seed", range(4))
def test_no_document_is_both_trained_on_and_held_back(
    longest: int, seed: int, tiny_model: Path, tmp_path: Path
) -> None:
    lengths = torch.randint(8, longest + 1, (20_000 // longest,), generator=torch.Generator().manual_seed(seed))
    documents(tmp_path, lengths.tolist())
    text = read_training_text(tmp_path, tiny_model, params(tokens=10**6))
    held_back = text.sequences[text.held_back]
    training = text.sequences[: text.n_training]
    assert held_back.shape == (8, LENGTH) and len(training) >= 4
    assert not documents_in(training, tiny_model) & documents_in(held_back, tiny_model)


@pytest.mark.parametrize("last", [31, 30, 8 * 32 - 1, 10 * 32 - 1, 20])
def test_as_little_as_possible_is_left_out(last: int, tiny_model: Path, tmp_path: Path) -> None:
    """Documents of one sequence each, the last of another length: what begins in what is held back is no one's."""
    documents(tmp_path, [31] * 60 + [last])  # and the token that ends each
    text = read_training_text(tmp_path, tiny_model, params(tokens=10**6))
    n_all = (60 * 32 + last + 1) // LENGTH
    first_held_back = (n_all - 8) * LENGTH
    expected = first_held_back // 32 if first_held_back <= 60 * 32 else 60
    assert text.n_training == expected
    # The text's end is what is held back.
    assert documents_in(text.sequences[-1:], tiny_model) <= {"H0059", "I0060"}


@pytest.mark.parametrize(("first", "left_out"), [(31, 0), (30, 1), (0, 1), (16, 1)])
def test_a_sequence_is_left_out_for_a_single_token_of_a_document_that_is_held_back(
    first: int, left_out: int, tiny_model: Path, tmp_path: Path
) -> None:
    """After the first document all others, of one sequence each, begin at the same place of a sequence."""
    documents(tmp_path, [first] + [31] * 60)
    text = read_training_text(tmp_path, tiny_model, params(tokens=10**6))
    n_all = (first + 1 + 60 * 32) // LENGTH
    assert text.n_training == n_all - 8 - left_out


def test_a_text_that_is_one_document_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    documents(tmp_path, [100 * LENGTH])
    with pytest.raises(StageError, match=r"8 are held back, 92 left out .* needs 4 — .* an empty line parts documents"):
        read_training_text(tmp_path, tiny_model, params())


def test_where_no_token_ends_a_document_one_sequence_is_left_out(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(folder: Path) -> Any:
        tokenizer = load_tokenizer(folder)
        tokenizer.eos_token = None
        return tokenizer

    monkeypatch.setattr(text_module, "load_tokenizer", endless)
    documents(tmp_path, [100 * LENGTH])
    assert read_training_text(tmp_path, tiny_model, params(tokens=10**6)).n_training == 91


@pytest.mark.parametrize(("sequences", "held_back"), [(13, 8), (12, 8), (5, 0), (4, 0)])
def test_the_least_text_is_one_step_beside_what_is_held_back(
    sequences: int, held_back: int, tiny_model: Path, tmp_path: Path
) -> None:
    """At least one sequence is held back, also where the recipe asks for less than that."""
    documents(tmp_path, [31] * sequences)
    p = params(validationTokens=max(1, held_back * LENGTH))
    if sequences - max(1, held_back) < 4:
        with pytest.raises(StageError, match=f"gives {sequences} sequences of 32 tokens; {max(1, held_back)} are held"):
            read_training_text(tmp_path, tiny_model, p)
        return
    text = read_training_text(tmp_path, tiny_model, p)
    assert len(text.sequences) == text.n_training + max(1, held_back) and text.n_training >= 4


@pytest.mark.parametrize(
    ("tokens", "epochs", "expected"), [(40 * LENGTH, 2, 20), (40 * LENGTH, 1, 40), (6 * LENGTH, 2, 4), (10**6, 1, 52)]
)
def test_training_takes_as_much_text_as_its_epochs_need_from_all_over_it(
    tokens: int, epochs: int, expected: int, tiny_model: Path, tmp_path: Path
) -> None:
    documents(tmp_path, [31] * 60)
    text = read_training_text(tmp_path, tiny_model, params(tokens=tokens, epochs=epochs))
    assert text.n_training == expected
    first, last = (documents_in(text.sequences[i : i + 1], tiny_model) for i in (0, expected - 1))
    assert first == {"A0000"} and last == {"Z0051"}


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
