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


def best_mix(options: dict[str, list[Option]], budget: int) -> tuple[int, float]:
    """Size and loss of the best of all mixes within the budget."""
    mixes = (
        {name: option.kind for name, option in zip(options, mix, strict=True)} for mix in product(*options.values())
    )
    sizes = (total(options, mix) for mix in mixes)
    return min((size for size in sizes if size[0] <= budget), key=lambda size: size[1])


def by_price(options: dict[str, list[Option]]) -> list[dict[str, Option]]:
    """For every price of a byte, from the highest to the lowest, what each tensor would choose for itself."""
    slopes = {
        (a.loss - b.loss) / (b.bytes - a.bytes)
        for choices in options.values()
        for a, b in product(choices, repeat=2)
        if b.bytes > a.bytes
    }
    prices = [slope + nudge for slope in slopes for nudge in (-1e-9, 1e-9) if slope + nudge > 0]
    return [
        {name: min(choices, key=lambda option: option.loss + price * option.bytes) for name, choices in options.items()}
        for price in sorted(prices, reverse=True)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_at_every_budget_that_a_price_per_byte_comes_to_the_allocation_is_the_best_of_all(seed: int) -> None:
    options = random_options(seed, tensors=4, types=4)
    seen = 0
    for mix in by_price(options):
        budget = sum(option.bytes for option in mix.values())
        size, loss = total(options, allocate(options, budget))
        assert size <= budget and loss == pytest.approx(sum(option.loss for option in mix.values()), abs=1e-6)
        assert loss == pytest.approx(best_mix(options, budget)[1], abs=1e-6)
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("seed", range(4))
def test_between_these_budgets_it_is_near_and_wastes_no_exchange(seed: int) -> None:
    options = random_options(seed, tensors=4, types=3)
    least, most = (sum(pick(o.bytes for o in choices) for choices in options.values()) for pick in (min, max))
    for budget in range(least, most + 40, 10):
        chosen = allocate(options, budget)
        size, loss = total(options, chosen)
        assert size <= budget and loss <= 1.4 * best_mix(options, budget)[1]
        for name, choices in options.items():
            now = next(option for option in choices if option.kind == chosen[name])
            better = [o for o in choices if o.loss < now.loss and size - now.bytes + o.bytes <= budget]
            assert better == [], "what is left would pay for it"


@pytest.mark.parametrize("seed", range(6))
def test_the_hull_is_what_some_price_would_choose(seed: int) -> None:
    state = random.Random(seed)
    choices = [Option(f"k{i}", state.randrange(1, 12), state.randrange(1, 30) / 7) for i in range(9)]
    wanted = {(mix["t"].bytes, mix["t"].loss) for mix in by_price({"t": choices})}
    smallest = min(choices, key=lambda option: (option.bytes, option.loss))
    hull = lower_hull(choices)
    assert {(option.bytes, option.loss) for option in hull} == wanted | {(smallest.bytes, smallest.loss)}
    assert [option.bytes for option in hull] == sorted(option.bytes for option in hull)


def test_of_options_on_one_line_the_ends_are_enough() -> None:
    a, b, c = Option("a", 10, 3.0), Option("b", 20, 2.0), Option("c", 30, 1.0)
    assert lower_hull([a, b, c]) == [a, c]
    assert lower_hull([a]) == [a] and lower_hull([Option("x", 10, 4.0), a]) == [a]


def test_a_budget_of_exactly_the_smallest_options_takes_these() -> None:
    options = random_options(1, tensors=3, types=3)
    least = sum(min(option.bytes for option in choices) for choices in options.values())
    assert set(allocate(options, least).values()) == {"k0"}


def test_exchanges_go_on_while_bytes_are_left_and_may_give_bytes_back() -> None:
    options = {
        "a": [Option("x", 10, 1.0), Option("y", 14, 0.5), Option("z", 6, 0.9)],
        "b": [Option("x", 10, 1.0), Option("y", 16, 0.2)],
    }
    # First b, which helps most and takes all; then a for less, which leaves 4.
    assert refine(options, {"a": "x", "b": "x"}, 6) == {"a": "z", "b": "y"}
    assert refine(options, {"a": "x", "b": "x"}, 0) == {"a": "z", "b": "x"}
    assert refine(options, {"a": "x", "b": "x"}, 10) == {"a": "y", "b": "y"}
    assert refine(options, {"a": "y", "b": "y"}, 100) == {"a": "y", "b": "y"}
