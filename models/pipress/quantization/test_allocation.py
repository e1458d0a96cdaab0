"""The knapsack against trying everything."""

import random
from itertools import product

import pytest

from pipress.quantization.allocation import Option, allocate, lower_hull, refine


def random_options(seed: int, tensors: int, types: int) -> dict[str, list[Option]]:
    state = random.Random(seed)
    return {
        f"t{index}": [
            Option(f"k{kind}", (kind + 1) * size, scale * state.uniform(0.8, 1.2) / 4**kind) for kind in range(types)
        ]
        for index, (size, scale) in enumerate((state.choice([30, 50, 80]), state.random()) for _ in range(tensors))
    }


def total(options: dict[str, list[Option]], chosen: dict[str, str]) -> tuple[int, float]:
    taken = [next(option for option in options[name] if option.kind == kind) for name, kind in chosen.items()]
    return sum(option.bytes for option in taken), sum(option.loss for option in taken)


@pytest.mark.parametrize("seed", range(8))
def test_the_allocation_is_near_the_best_of_all_and_within_the_budget(seed: int) -> None:
    options = random_options(seed, tensors=6, types=4)
    budget = 700
    size, loss = total(options, allocate(options, budget))
    combinations = [dict(zip(options, kinds, strict=True)) for kinds in product(*[["k0", "k1", "k2", "k3"]] * 6)]
    best = min(mix_loss for bytes_, mix_loss in (total(options, chosen) for chosen in combinations) if bytes_ <= budget)
    assert size <= budget
    assert best <= loss <= 1.15 * best


def test_a_budget_below_the_smallest_options_is_refused() -> None:
    with pytest.raises(ValueError, match="take 1 bytes more than there are"):
        allocate({"a": [Option("x", 10, 1.0), Option("y", 20, 0.0)]}, 9)


def test_a_budget_for_everything_takes_the_best_of_everything() -> None:
    options = random_options(3, tensors=5, types=4)
    assert set(allocate(options, 10**6).values()) == {"k3"}


def test_only_options_that_some_price_would_choose_are_on_the_hull() -> None:
    cheap, poor, dear = Option("cheap", 10, 1.0), Option("poor", 20, 0.9), Option("dear", 30, 0.1)
    worse_and_larger = Option("worse", 15, 1.5)
    assert lower_hull([dear, worse_and_larger, poor, cheap]) == [cheap, dear]


def test_what_a_budget_leaves_is_spent_where_it_helps_most() -> None:
    options = {
        "a": [Option("x", 10, 1.0), Option("y", 12, 0.9)],
        "b": [Option("x", 10, 1.0), Option("y", 12, 0.5)],
    }
    assert refine(options, {"a": "x", "b": "x"}, 3) == {"a": "x", "b": "y"}
