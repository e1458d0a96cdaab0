"""The search for the best mix: on losses that are known, and on a small model judged as it stands."""

import random
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.pruning import attention_groups, block_influence, ffn_second_order, mixed
from pipress.pruning.conftest import Small
from pipress.pruning.cut import cut
from pipress.pruning.mixed import search
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.pruning.test_cut_layers import cut_model

IDS = torch.randint(0, 50, (40, 16), generator=torch.Generator().manual_seed(1))
START = Shape(layers=50, ffn=1024, heads=8, kv_heads=4, hidden=64, head_dim=8, vocabulary=50, tied=True)


def line(length: int, kv_heads: int = 4, first: int = 50) -> list[Shape]:
    return [START.smaller(layers=first - n, ffn=32 * (n + 1), kv_heads=kv_heads) for n in range(length)]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 16, 23])
def test_the_bottom_of_every_valley_is_found(length: int) -> None:
    shapes = line(length)
    for bottom in range(length):
        looks: list[Shape] = []

        def loss(shape: Shape, bottom: int = bottom, looks: list[Shape] = looks) -> float:
            looks.append(shape)
            distance = shapes.index(shape) - bottom
            return distance**2 if distance > 0 else -3 * distance

        given = shapes[:]
        random.Random(bottom).shuffle(given)
        assert search(given, loss) == shapes[bottom]
        assert len(looks) == len(set(looks)), "none is cut twice"
        assert len(looks) <= 2 + 2 * length.bit_length() + length // 4


def test_fewer_heads_are_tried_from_where_more_were_best_as_long_as_that_helps() -> None:
    lines = [*line(16, 4), *line(16, 3, 48), *line(16, 2), *line(16, 1)]
    # The best depth for each number of heads, and how good that is; with one head left it would be best of all.
    best = {4: (44, 3.0), 3: (41, 2.0), 2: (41, 2.5), 1: (41, 0.0)}
    looks: list[Shape] = []

    def loss(shape: Shape) -> float:
        looks.append(shape)
        layers, least = best[shape.kv_heads]
        return least + abs(shape.layers - layers) / 100

    found = search(lines, loss)
    assert (found.layers, found.kv_heads) == (41, 3)
    assert next(shape.layers for shape in looks if shape.kv_heads == 3) == 44
    assert [shape.layers for shape in looks if shape.kv_heads == 2] == [41], "one look tells that fewer do not help"
    assert not any(shape.kv_heads == 1 for shape in looks)


@pytest.mark.parametrize(("sequences", "n_fit", "n_judged"), [(40, 8, 4), (9, 5, 4), (4, 1, 3), (2, 1, 1)])
@torch.no_grad()
def test_a_mix_is_judged_by_its_loss_on_sequences_that_it_was_not_fitted_on(
    small: Callable[..., Small], monkeypatch: pytest.MonkeyPatch, sequences: int, n_fit: int, n_judged: int
) -> None:
    monkeypatch.setattr(mixed, "FIT_TOKENS", 8 * 16)
    monkeypatch.setattr(mixed, "TRIAL_TOKENS", 4 * 16)
    model, text, shares = small(), IDS[:sequences], list[float]()
    cuts: list[tuple[torch.Tensor, int]] = []

    def recorded(stream: object, plan: Plan, sample: torch.Tensor, *rest: object) -> torch.Tensor:
        cuts.append((sample, rest[-1]))
        return cut(stream, plan, sample, *rest)

    monkeypatch.setattr(mixed, "cut", recorded)
    losses: dict[Shape, float] = {}

    def look(targets: list[Shape], loss: Callable[[Shape], float]) -> Shape:
        losses.update({target: loss(target) for target in targets})
        return targets[1]

    monkeypatch.setattr(mixed, "search", look)
    targets = [model.shape.smaller(layers=3), model.shape.smaller(layers=3, ffn=32, kv_heads=2)]
    plan = mixed.plan(model.stream, text, targets, shares.append)
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1
    assert {round(share, 3) for share in shares} >= {0.025, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3}

    for sample, count in cuts:
        rows = [next(i for i, row in enumerate(text.tolist()) if row == seen) for seen in sample.tolist()]
        assert len(set(rows)) == len(rows) == n_fit + n_judged and count == n_fit
        fitted, judged = rows[:count], rows[count:]
        # Both kinds come from all of the text.
        assert fitted == sorted(fitted) and judged == sorted(judged) and judged[-1] == sequences - 1
        assert judged[0] <= max(1, sequences / 4)

    influence = block_influence.score(model.stream, text, lambda done: None).tolist()
    least = influence.index(min(influence))
    assert plan == Plan(
        targets[1],
        tuple(block for block in range(4) if block != least),
        ffn_second_order.choose,
        attention_groups.choose,
    )
    sample = cuts[0][0]
    monkeypatch.setattr("pipress.pruning.test_cut_layers.IDS", sample)
    for target, loss in losses.items():
        wanted = Plan(target, plan.blocks, plan.channels, plan.groups)
        pruned, _ = cut_model(model, wanted, reconstruct=True, n_fit=n_fit)
        rise = cross_entropy(pruned, sample[n_fit:]) - cross_entropy(model.whole, sample[n_fit:])
        removed = model.shape.parameters - target.parameters
        assert loss == pytest.approx(rise / removed, rel=1e-3, abs=1e-4 / removed)


def cross_entropy(model: LlamaForCausalLM, ids: torch.Tensor) -> float:
    """Mean over all next tokens."""
    logits = model(ids).logits[:, :-1].log_softmax(dim=-1)
    return -logits.gather(2, ids[:, 1:, None]).mean().item()


def test_text_of_one_sequence_is_refused(small: Callable[..., Small]) -> None:
    model = small()
    with pytest.raises(StageError, match="fewer than 32 tokens"):
        mixed.plan(model.stream, IDS[:1], [model.shape.smaller(layers=3)], lambda done: None)


def test_a_share_that_no_mix_removes_is_refused() -> None:
    with pytest.raises(StageError, match="removes 100% of the parameters"):
        mixed.targets(START, 0.999)
