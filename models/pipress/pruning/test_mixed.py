"""The search for the best mix: on losses that are known, and on a small model judged as it stands."""

import random
from collections.abc import Callable
from typing import Any

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
    cuts: list[tuple[list[int], list[int]]] = []

    def recorded(stream: object, plan: Plan, sample: torch.Tensor, *rest: Any) -> torch.Tensor:
        rows = [next(i for i, row in enumerate(text.tolist()) if row == seen) for seen in sample.tolist()]
        cuts.append((rows[: rest[-1]], rows[rest[-1] :]))
        return cut(stream, plan, sample, *rest)

    monkeypatch.setattr(mixed, "cut", recorded)
    losses: dict[Shape, float] = {}

    def look(targets: list[Shape], loss: Callable[[Shape], float]) -> Shape:
        losses.update({target: loss(target) for target in targets})
        return targets[0]

    judged: dict[tuple[Shape, int], torch.Tensor] = {}

    def judge(entrants: list[Shape], rises: Callable[[Shape, int], torch.Tensor]) -> Shape:
        judged.update({(shape, half): rises(shape, half) for half in (0, 1) for shape in entrants})
        return targets[1]

    monkeypatch.setattr(mixed, "search", look)
    monkeypatch.setattr(mixed, "best_of", judge)
    targets = [model.shape.smaller(layers=3), model.shape.smaller(layers=3, ffn=32, kv_heads=2)]
    plan = mixed.plan(model.stream, text, targets, shares.append)
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1
    assert {round(share, 3) for share in shares} >= {0.025, 0.1, 0.13, 0.16}

    trials, finals = cuts[: len(targets)], cuts[len(targets) :]
    for fitted, looked_at in trials:
        assert (len(fitted), len(looked_at)) == (n_fit, n_judged) and not set(fitted) & set(looked_at)
        # Both kinds come from all of the text.
        assert fitted == sorted(fitted) and looked_at == sorted(looked_at) and looked_at[-1] == sequences - 1
        assert looked_at[0] <= max(1, sequences / 4)
    # In the end every sequence is judged once, by a cut that was fitted on the half without it.
    entrants = [shape for shape, half in judged if half == 0]
    assert targets[0] in entrants, "it removes blocks alone"
    for half, halves in ((0, finals[: len(entrants)]), (1, finals[len(entrants) :])):
        assert len(halves) == len(entrants)
        evens, odds = list(range(0, sequences, 2)), list(range(1, sequences, 2))
        assert all(pair == ((evens, odds) if half else (odds, evens)) for pair in halves)

    influence = block_influence.score(model.stream, text, lambda done: None).tolist()
    least = influence.index(min(influence))
    assert plan == Plan(
        targets[1],
        tuple(block for block in range(4) if block != least),
        ffn_second_order.choose,
        attention_groups.choose,
    )

    def rise(target: Shape, fitted: list[int], looked_at: list[int]) -> float:
        monkeypatch.setattr("pipress.pruning.test_cut_layers.IDS", text[fitted + looked_at])
        blocks = plan.blocks if target.layers == 3 else (0, 1, 2, 3)
        wanted = Plan(target, blocks, plan.channels, plan.groups)
        pruned, _ = cut_model(model, wanted, reconstruct=True, n_fit=len(fitted))
        return cross_entropy(pruned, text[looked_at]) - cross_entropy(model.whole, text[looked_at])

    for target, loss in losses.items():
        removed = model.shape.parameters - target.parameters
        assert loss == pytest.approx(rise(target, *trials[0]) / removed, rel=1e-3, abs=1e-4 / removed)
    for (target, half), found in judged.items():
        removed = model.shape.parameters - target.parameters
        expected = rise(target, *finals[half * len(entrants)]) / removed
        assert found.mean().item() == pytest.approx(expected, rel=1e-3, abs=1e-4 / removed)


def noisy(means: dict[Shape, float], tokens: int, seed: int) -> dict[Shape, torch.Tensor]:
    """Rises of the losses of so many tokens, two to a row: what a token has in common is large, the rest is noise."""
    generator = torch.Generator().manual_seed(seed)
    common = 3 * torch.randn(tokens // 2, 2, generator=generator)
    return {
        shape: mean + common + 0.5 * torch.randn(tokens // 2, 2, generator=generator) for shape, mean in means.items()
    }


def test_those_within_two_errors_of_the_best_may_be_the_best() -> None:
    first, second, third, fourth, fifth = line(5)
    # The error of a difference is 0.5 * sqrt(2) / sqrt(5000) = 0.01.
    means = {first: 0.3, second: 0.003, third: 0.0, fourth: 0.1, fifth: 0.06}
    assert set(mixed.contenders(noisy(means, 5000, 0))) == {second, third}
    means = {first: 0.008, second: 0.5, third: 0.004, fourth: 0.0, fifth: 0.4}
    found = noisy(means, 500_000, 0)
    assert mixed.contenders(found) == [fourth], "more tokens tell apart what few do not"
    assert mixed.contenders({fifth: torch.ones(1, 3)}) == [fifth]
    same = torch.ones(1, 3)
    assert mixed.contenders({fifth: same, first: same}) == [fifth, first], "what ties stays"


def test_the_best_three_and_the_pure_ones_are_finalists() -> None:
    shapes, untried = line(6), START.smaller(ffn=1000)
    sides = torch.tensor([-0.5, 0.5]).repeat(100, 1)
    # The search cannot tell five of them apart: from the first, each of them is so much worse, with an error of 0.035.
    rises = {shapes[0]: torch.zeros(100, 2)} | {shape: sides + 0.01 * n for n, shape in enumerate(shapes[1:5], 1)}
    rises |= {shapes[5]: sides + 1}
    assert mixed.contenders(rises) == shapes[:5]
    assert mixed.finalists(rises, [shapes[1], shapes[4], untried]) == [*shapes[:3], shapes[4], untried]
    assert mixed.finalists({shape: rises[shape] for shape in (shapes[5], shapes[0])}, [untried]) == [shapes[0], untried]


@pytest.mark.parametrize(
    ("sizes", "pure"),
    [
        ({}, False),
        ({"ffn": 512}, True),
        ({"layers": 40}, True),
        ({"kv_heads": 2}, True),
        ({"ffn": 512, "layers": 40}, False),
        ({"layers": 40, "kv_heads": 2}, False),
    ],
)
def test_a_pure_plan_removes_one_kind_of_part(sizes: dict[str, int], pure: bool) -> None:
    assert mixed.is_pure(START.smaller(**sizes), START) is pure


def test_what_the_first_half_calls_worse_is_not_cut_a_second_time() -> None:
    good, near, bad = line(3)
    # What `near` loses more than `good` lies 0.5 to either side of its mean: an error of 0.016 in a thousand tokens.
    common, sides = torch.randn(500, 2), torch.tensor([-0.5, 0.5])
    halves = [
        {good: common, near: common + sides - 0.01, bad: common + sides + 0.05},
        {good: common, near: common + sides + 0.02},
    ]
    cuts: list[tuple[Shape, int]] = []

    def rises(shape: Shape, half: int) -> torch.Tensor:
        cuts.append((shape, half))
        return halves[half][shape]

    assert mixed.contenders(halves[0]) == [near, good]
    assert mixed.best_of([bad, near, good], rises) == good
    assert cuts == [(bad, 0), (near, 0), (good, 0), (near, 1), (good, 1)]


def test_one_finalist_needs_no_judging() -> None:
    (only,) = line(1)

    def rises(shape: Shape, half: int) -> torch.Tensor:
        raise AssertionError("there is nothing to compare it with")

    assert mixed.best_of([only], rises) == only


def test_a_mix_does_not_lose_to_what_it_looked_at_beyond_the_error() -> None:
    """Over many searches: a thousand tokens often choose a plan that is worse; all of the text hardly ever does."""
    shapes = line(7)
    means = {shape: 0.012 * abs(index - 2) for index, shape in enumerate(shapes)}
    error = 0.5 * 2**0.5 / 16_000**0.5
    worse = {"search": 0, "mix": 0}
    for seed in range(40):
        tried = noisy(means, 1000, seed)
        halves = [noisy(means, 8000, 1000 + 2 * seed + half) for half in (0, 1)]
        entrants = mixed.finalists(tried, [shapes[0], shapes[-1]])
        chosen = mixed.best_of(entrants, lambda shape, half, halves=halves: halves[half][shape])
        worse["search"] += means[mixed.contenders(tried)[0]] > mixed.ERRORS * error
        worse["mix"] += means[chosen] - min(means[shape] for shape in entrants) > mixed.ERRORS * error
    assert worse["search"] >= 15 and worse["mix"] <= 2, worse


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
