"""The arithmetic of budgets against counting the parameters of every shape there is."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipress.errors import StageError
from pipress.pruning.budget import fewer_heads, mixes, narrower, shallower
from pipress.pruning.shape import Shape, problems_of

SMALL = Shape(layers=6, ffn=320, heads=8, kv_heads=4, hidden=64, head_dim=8, vocabulary=500, tied=True)
BIASED = Shape(
    *(5, 1536, 12, 6, 96, 8, 700, False),
    attention_bias=True,
    mlp_bias=True,
)
# The first wide enough for steps of 256, and the last that is not.
WIDE = Shape(layers=5, ffn=4096, heads=6, kv_heads=3, hidden=48, head_dim=8, vocabulary=300, tied=False)
NEARLY_WIDE = replace(WIDE, ffn=4064)
SHAPES = [SMALL, BIASED, WIDE, NEARLY_WIDE]
SHARES = [share / 200 for share in range(1, 180, 3)]


def counted(shape: Shape) -> int:
    """All parameters, tensor by tensor."""
    total = 0
    for size in shape.tensors().values():
        count = 1
        for length in size:
            count *= length
        total += count
    return total


def off(shape: Shape, smaller: Shape, budget: float) -> float:
    """How far from the budget a smaller shape is."""
    return abs(counted(shape) - counted(smaller) - budget)


def tried(method: Callable[[Shape, float], Shape], shape: Shape, budget: float) -> Shape | None:
    try:
        return method(shape, budget)
    except StageError:
        return None


@pytest.mark.parametrize("shape", SHAPES)
def test_a_width_is_the_nearest_multiple_of_256_where_one_is_close_and_else_of_32(shape: Shape) -> None:
    found = 0
    for share in SHARES:
        budget = share * counted(shape)
        in_256, in_32 = (
            min((shape.smaller(ffn=w) for w in range(0, shape.ffn + 1, step)), key=lambda s: off(shape, s, budget))
            for step in (256, 32)
        )
        result = tried(narrower, shape, budget)
        if in_32.ffn in (0, shape.ffn):
            assert result is None, "less than half a step, or all of the FFN"
            continue
        found += 1
        close = in_256.ffn not in (0, shape.ffn) and off(shape, in_256, budget) <= 0.2 * budget
        assert result == (in_256 if close else in_32)
    assert found > 5


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_go_as_near_to_the_budget_as_whole_blocks_come(shape: Shape) -> None:
    found = 0
    for share in SHARES:
        budget = share * counted(shape)
        result = tried(shallower, shape, budget)
        options = [replace(shape, layers=layers) for layers in range(1, shape.layers + 1)]
        nearest = min(options, key=lambda option: off(shape, option, budget))
        if nearest.layers in (1, shape.layers):
            assert result is None, "none would go, or too few would stay"
            continue
        found += 1
        assert result == nearest
    assert found > 5


@pytest.mark.parametrize("shape", SHAPES)
def test_heads_go_in_the_groups_that_come_within_half_a_group_of_the_budget(shape: Shape) -> None:
    options = [shape.smaller(kv_heads=kv_heads) for kv_heads in range(1, shape.kv_heads)]
    options = [option for option in options if shape.hidden % option.heads == 0]
    group = counted(shape) - counted(shape.smaller(kv_heads=shape.kv_heads - 1))
    found = 0
    for eighths in range(1, 8 * shape.kv_heads + 8):
        budget = group * (eighths + 0.1) / 8
        result = tried(fewer_heads, shape, budget)
        nearest = min(options, key=lambda option: off(shape, option, budget))
        if off(shape, nearest, budget) > group / 2:
            assert result is None
            continue
        found += 1
        assert result == nearest and result.group == shape.group
    assert found > 8


@pytest.mark.parametrize("shape", [SMALL, BIASED, WIDE])
@pytest.mark.parametrize("budget", [0.001, 0.999])
def test_an_error_names_the_shares_between_which_it_works(shape: Shape, budget: float) -> None:
    # A block goes from half of one on.
    for method, fewest, most, first in (
        (narrower, shape.smaller(ffn=shape.ffn - 32), shape.smaller(ffn=32), 1),
        (shallower, shape.smaller(layers=shape.layers - 1), shape.smaller(layers=2), 2),
    ):
        with pytest.raises(StageError, match=f"removing {budget:.0%} of the parameters") as raised:
            method(shape, budget * shape.parameters)
        shares = [1 - counted(smaller) / counted(shape) for smaller in (fewest, most)]
        named = list(map(float, re.findall(r"\d\.\d+", raised.value.remedy)))
        assert named == [pytest.approx(shares[0] / first, abs=0.00051), pytest.approx(shares[1], abs=0.0051)]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_names_what_whole_groups_come_to_and_each_of_these_works(shape: Shape) -> None:
    with pytest.raises(StageError, match="removing 100% of the parameters") as raised:
        fewer_heads(shape, 0.999 * shape.parameters)
    shares = [float(share) for share in re.findall(r"0\.\d+", raised.value.remedy)]
    found = [fewer_heads(shape, share * shape.parameters) for share in shares]
    allowed = [n for n in range(1, shape.kv_heads) if shape.hidden % (n * shape.group) == 0]
    assert [result.kv_heads for result in found] == allowed[::-1]


def test_a_model_with_one_key_value_head_has_none_to_spare() -> None:
    with pytest.raises(StageError, match="come to here: none"):
        fewer_heads(replace(SMALL, kv_heads=1), 0.01 * SMALL.parameters)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.002, 0.01, 0.04, 0.1, 0.2, 0.35, 0.6])
def test_mixes_are_for_each_depth_and_number_of_heads_the_width_that_comes_nearest(shape: Shape, share: float) -> None:
    budget, step = share * counted(shape), 256 if shape.ffn >= 4096 else 32
    expected = set()
    for layers in range(2, shape.layers + 1):
        for kv_heads in range(1, shape.kv_heads + 1):
            started = shape.smaller(layers=layers, kv_heads=kv_heads)
            widths = {*range(step, shape.ffn + 1, step), shape.ffn}
            nearest = min((replace(started, ffn=width) for width in widths), key=lambda s: off(shape, s, budget))
            half = (counted(replace(started, ffn=2 * step)) - counted(replace(started, ffn=step))) / 2
            if off(shape, nearest, budget) <= half and nearest != shape and shape.hidden % nearest.heads == 0:
                expected.add(nearest)
    found = list(mixes(shape, budget))
    assert set(found) == expected and len(found) == len(expected)
    assert all(problems_of(mix) == [] for mix in found)
