"""What each method scores, against a plain computation in loops, and which units it keeps for it."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP

from pipress.pruning import (
    angular_distance,
    attention_groups,
    block_influence,
    ffn_activation,
    ffn_second_order,
    magnitude,
    mixed,
    random_choice,
)
from pipress.pruning.conftest import Small
from pipress.pruning.moments import Moments
from pipress.pruning.test_least_squares import best_removals
from pipress.texts.rows import spread

IDS = torch.randint(0, 50, (9, 16), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def residual_streams(model: Small, ids: torch.Tensor) -> list[torch.Tensor]:
    """Hidden states before the first layer and after each one."""
    streams: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))
        for layer in model.whole.model.layers
    ]
    last = model.whole.model.norm.register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))
    model.whole(ids)
    for hook in (*hooks, last):
        hook.remove()
    return streams


def cosines(before: torch.Tensor, after: torch.Tensor) -> list[float]:
    """One for each token."""
    return [
        sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))
        for one, other in zip(before.flatten(0, 1).tolist(), after.flatten(0, 1).tolist(), strict=True)
    ]


@pytest.fixture(params=[16 * 4, 16 * 100, 3])
def some(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """The sequences that so many tokens are, at least one, from all over the text."""
    monkeypatch.setattr(block_influence, "SCORE_TOKENS", request.param)
    monkeypatch.setattr(angular_distance, "SCORE_TOKENS", request.param)
    return spread(IDS, max(1, request.param // 16))


def test_influence_is_one_minus_the_mean_cosine_over_a_block(small: Callable[..., Small], some: torch.Tensor) -> None:
    model, shares = small(), list[float]()
    streams = residual_streams(model, some)
    expected = [1 - sum(near := cosines(*pair)) / len(near) for pair in pairwise(streams)]
    influence = block_influence.score(model.stream, IDS, shares.append)
    assert influence.tolist() == pytest.approx(expected, abs=1e-5)
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0])
    plan = block_influence.plan(model.stream, IDS, [model.shape.smaller(layers=2)], lambda done: None)
    assert plan.blocks == tuple(sorted(sorted(range(4), key=lambda block: expected[block])[2:]))
    assert plan.shape.layers == 2


@pytest.mark.parametrize("dropped", [1, 2])
def test_a_distance_is_the_mean_angle_between_both_ends_of_a_run(
    small: Callable[..., Small], some: torch.Tensor, dropped: int
) -> None:
    model, shares = small(), list[float]()
    streams = residual_streams(model, some)
    expected = []
    for start in range(4 - dropped + 1):
        angles = [math.acos(cosine) / math.pi for cosine in cosines(streams[start], streams[start + dropped])]
        expected.append(sum(angles) / len(angles))
    distances = angular_distance.score(model.stream, IDS, dropped, shares.append)
    assert distances.tolist() == pytest.approx(expected, abs=1e-5)
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0])
    plan = angular_distance.plan(model.stream, IDS, [model.shape.smaller(layers=4 - dropped)], lambda done: None)
    start = expected.index(min(expected))
    assert plan.blocks == tuple(block for block in range(4) if block not in range(start, start + dropped))


def test_states_that_do_not_move_are_at_no_distance(small: Callable[..., Small]) -> None:
    """Rounding takes their cosine beyond one."""
    model = small()
    for layer in model.whole.model.layers:
        layer.self_attn.o_proj.weight.data.zero_(), layer.mlp.down_proj.weight.data.zero_()
    model.whole.save_pretrained(model.folder)
    distances = angular_distance.score(model.stream, IDS, 2, lambda done: None)
    assert distances.tolist() == pytest.approx([0, 0, 0], abs=1e-3)


@pytest.fixture
def ffn(small: Callable[..., Small]) -> tuple[LlamaMLP, torch.Tensor, Moments]:
    """A feed-forward part, tokens of what goes into its down projection, and their moments."""
    mlp = small(1).stream.layer(0).mlp
    tokens = torch.randn(300, 64, generator=torch.Generator().manual_seed(2)) * torch.linspace(0.1, 3, 64)
    moments = Moments(64, 24, torch.device("cpu"))
    moments.add(tokens, tokens @ mlp.down_proj.weight.T, torch.ones(300, 24))
    return mlp, tokens, moments


def test_activation_is_a_channel_s_mean_size_times_the_norm_of_its_column(
    ffn: tuple[LlamaMLP, torch.Tensor, Moments],
) -> None:
    mlp, tokens, moments = ffn
    down = mlp.down_proj.weight.tolist()
    expected = [tokens[:, j].abs().mean().item() * math.sqrt(sum(row[j] ** 2 for row in down)) for j in range(64)]
    assert (ffn_activation.score(moments, mlp) / 300).tolist() == pytest.approx(expected, rel=1e-4)
    best = sorted(sorted(range(64), key=lambda j: expected[j])[-40:])
    assert ffn_activation.choose(moments, mlp, 40).tolist() == best


def test_magnitude_is_the_norm_of_all_weights_of_a_channel(ffn: tuple[LlamaMLP, torch.Tensor, Moments]) -> None:
    mlp, _, moments = ffn
    gate, up, down = (linear.weight.tolist() for linear in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    expected = [math.hypot(*gate[j], *up[j], *(row[j] for row in down)) for j in range(64)]
    assert magnitude.score(mlp).tolist() == pytest.approx(expected, rel=1e-5)
    best = sorted(sorted(range(64), key=lambda j: expected[j])[-40:])
    assert magnitude.choose(moments, mlp, 40).tolist() == best


def test_second_order_keeps_what_is_left_by_the_cheapest_removals(ffn: tuple[LlamaMLP, torch.Tensor, Moments]) -> None:
    mlp, tokens, moments = ffn
    gone = best_removals(tokens, mlp.down_proj.weight.T, 64, 60, 0.01)
    assert ffn_second_order.choose(moments, mlp, 60).tolist() == [j for j in range(64) if j not in gone]


def test_attention_keeps_the_groups_that_are_left_by_the_cheapest_removals(small: Callable[..., Small]) -> None:
    attention: LlamaAttention = small(1, num_attention_heads=12, num_key_value_heads=6).stream.layer(0).self_attn
    tokens = torch.randn(300, 24, generator=torch.Generator().manual_seed(3)) * torch.linspace(2, 0.5, 24)
    moments = Moments(24, 24, torch.device("cpu"))
    moments.add(tokens, tokens @ attention.o_proj.weight.T, torch.ones(300, 24))
    gone = best_removals(tokens, attention.o_proj.weight.T, 6, 2, 0.01)
    assert attention_groups.choose(moments, attention, 2).tolist() == [g for g in range(6) if g not in gone]


def test_random_channels_differ_between_layers_and_not_between_runs(
    ffn: tuple[LlamaMLP, torch.Tensor, Moments], small: Callable[..., Small]
) -> None:
    mlp, _, moments = ffn
    model = small()

    def channels() -> list[list[int]]:
        plan = random_choice.plan(model.stream, IDS, [model.shape.smaller(ffn=32)], lambda done: None)
        assert plan.channels is not None and plan.blocks == (0, 1, 2, 3)
        return [plan.channels(moments, mlp, 32).tolist() for _ in range(2)]

    first, second = channels()
    assert channels() == [first, second] and first != second
    for chosen in (first, second):
        assert chosen == sorted(set(chosen)) and len(chosen) == 32 and set(chosen) < set(range(64))


@pytest.mark.parametrize("method", [ffn_activation, ffn_second_order, magnitude, random_choice, attention_groups])
def test_methods_that_look_at_layers_one_by_one_keep_every_block(small: Callable[..., Small], method: object) -> None:
    model = small()
    target = model.shape.smaller(kv_heads=2) if method is attention_groups else model.shape.smaller(ffn=32)
    plan = method.plan(model.stream, IDS, [target], lambda done: None)
    assert plan.shape == target and plan.blocks == (0, 1, 2, 3)
    assert (plan.groups is None) is (method is not attention_groups)


@pytest.mark.parametrize(
    ("method", "share", "sizes"),
    [
        (ffn_activation, 0.3, {"ffn": 32}),
        (ffn_second_order, 0.3, {"ffn": 32}),
        (random_choice, 0.3, {"ffn": 32}),
        (magnitude, 0.3, {"ffn": 32}),
        (block_influence, 0.4, {"layers": 2}),
        (angular_distance, 0.4, {"layers": 2}),
        (attention_groups, 0.08, {"kv_heads": 2}),
    ],
)
def test_a_share_is_spent_on_what_the_method_removes(
    small: Callable[..., Small], method: object, share: float, sizes: dict[str, int]
) -> None:
    shape = small().shape
    assert method.targets(shape, share) == [shape.smaller(**sizes)]
    assert shape.smaller(**sizes) in mixed.targets(shape, 1 - shape.smaller(**sizes).parameters / shape.parameters)
