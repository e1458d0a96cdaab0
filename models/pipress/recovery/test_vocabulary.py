"""The part of the vocabulary against counting over all of it."""

import math

import pytest
import torch

from pipress.recovery import vocabulary
from pipress.recovery.vocabulary import VocabularyPart

VOCABULARY = 60


def teacher(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of four sequences, and an output layer that likes some tokens."""
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(4, 100, 8, generator=generator), torch.randn(VOCABULARY, 8, generator=generator)


def probabilities(rows: torch.Tensor, head: torch.Tensor) -> list[float]:
    """Of each token, the mean over the rows, one after the other."""
    total = [0.0] * len(head)
    for row in rows.tolist():
        weights = [math.exp(sum(a * b for a, b in zip(row, token, strict=True))) for token in head.tolist()]
        total = [sum_ + weight / sum(weights) for sum_, weight in zip(total, weights, strict=True)]
    return [value / len(rows) for value in total]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8, 0.99])
@pytest.mark.parametrize("sampled", [4096, 3])
def test_the_fewest_tokens_that_carry_the_share_are_always_there(
    share: float, sampled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "SAMPLE_TOKENS", sampled)
    states, head = teacher()
    rows = states.flatten(0, 1) if sampled == 4096 else states.flatten(0, 1)[[0, 199, 399]]
    likely = probabilities(rows, head)
    order = sorted(range(VOCABULARY), key=lambda token: -likely[token])
    count = next(n for n in range(1, VOCABULARY + 1) if sum(likely[token] for token in order[:n]) >= share)
    assert VocabularyPart(states, head, share, seed=1).kept.tolist() == order[:count]


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_of_the_others_a_quarter_as_many_are_drawn_and_stand_for_all_of_them(share: float) -> None:
    states, head = teacher()
    part = VocabularyPart(states, head, share, seed=1)
    kept, targets = set(part.kept.tolist()), torch.tensor([[0, 1], [2, 3]])
    always = kept | {0, 1, 2, 3}
    for step in range(20):
        ids, weights = part.choose(step, targets)
        drawn = [token for token in ids.tolist() if token not in always]
        assert ids.tolist() == sorted(set(ids.tolist())) and always <= set(ids.tolist())
        assert len(drawn) == min(VOCABULARY - len(always), math.ceil(len(kept) / 4))
        for token, weight in zip(ids.tolist(), weights.tolist(), strict=True):
            stands_for = (VOCABULARY - len(always)) / len(drawn) if token in drawn else 1
            assert math.exp(weight) == pytest.approx(stands_for)


def test_every_token_is_drawn_about_as_often_and_by_seed_and_step_alone() -> None:
    states, head = teacher()
    part, same, other = (VocabularyPart(states, head, 0.5, seed) for seed in (1, 1, 2))
    targets = torch.tensor([5])
    steps = [part.choose(step, targets)[0].tolist() for step in range(300)]
    assert [same.choose(step, targets)[0].tolist() for step in (299, 7)] == [steps[299], steps[7]]
    # Neighbouring seeds do not draw what this one draws a step later.
    others = [other.choose(step, targets)[0].tolist() for step in range(300)]
    assert sum(seen in steps[:20] for seen in others[:20]) < 5
    outside = set(range(VOCABULARY)) - set(part.kept.tolist()) - {5}
    counts = [sum(token in ids for ids in steps) for token in outside]
    expected = 300 * math.ceil(len(part.kept) / 4) / len(outside)
    assert min(counts) > 0.4 * expected and max(counts) < 1.8 * expected


def test_where_none_is_left_to_draw_the_whole_vocabulary_is_looked_at() -> None:
    states, head = teacher()
    assert VocabularyPart(states, head, 0.5, seed=1).choose(0, torch.arange(VOCABULARY)) is None
    assert VocabularyPart(states, head, 1.0, seed=1).choose(0, torch.arange(3)) is None
    assert VocabularyPart(states, head, 0.5, seed=1).choose(0, torch.arange(VOCABULARY - 1)) is not None
