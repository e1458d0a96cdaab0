"""Second-order selection and the refit against trying everything, on the tokens themselves, in float64."""

import pytest
import torch

from pipress.errors import StageError
from pipress.pruning import least_squares
from pipress.pruning.least_squares import RIDGES, refit, removal_order
from pipress.pruning.moments import TINY, Moments

CPU = torch.device("cpu")


def correlated(seed: int, tokens: int, inputs: int, scale: float = 1.0) -> torch.Tensor:
    """Inputs that say much the same, and differ in size."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(inputs, inputs, generator=generator) * torch.linspace(0.3, 2, inputs)
    return scale * torch.randn(tokens, inputs, generator=generator) @ mixing


def moments(inputs: torch.Tensor, wanted: torch.Tensor) -> Moments:
    seen = Moments(inputs.shape[1], wanted.shape[1], CPU)
    seen.add(inputs, wanted, torch.ones_like(wanted))
    return seen


def ridge_fit(inputs: torch.Tensor, wanted: torch.Tensor, ridge: float) -> torch.Tensor:
    """Least squares of the tokens and, for each input, one more that asks its weight to be zero."""
    inputs, wanted = inputs.double(), wanted.double()
    penalty = (ridge * inputs.square().sum(dim=0) + TINY).sqrt().diag()
    rows, zeros = torch.cat([inputs, penalty]), torch.zeros(len(penalty), wanted.shape[1], dtype=torch.float64)
    return torch.linalg.lstsq(rows, torch.cat([wanted, zeros])).solution


def cost_of_removing(gone: list[int], inputs: torch.Tensor, weight: torch.Tensor, ridge: float) -> float:
    """The least that tokens and penalties change when the other weights are fitted anew without these inputs."""
    inputs, weight = inputs.double(), weight.double()
    rows = torch.cat([inputs, (ridge * inputs.square().sum(dim=0) + TINY).sqrt().diag()])
    kept = [i for i in range(len(weight)) if i not in gone]
    change = rows @ weight - rows[:, kept] @ torch.linalg.lstsq(rows[:, kept], rows @ weight).solution
    return change.square().sum().item()


def best_removals(inputs: torch.Tensor, weight: torch.Tensor, units: int, keep: int, ridge: float) -> list[int]:
    """Units in the order in which each next one, everything fitted anew, costs least."""
    size, order = len(weight) // units, []
    while units - len(order) > keep:
        costs = {
            unit: cost_of_removing(
                [other * size + i for other in (*order, unit) for i in range(size)], inputs, weight, ridge
            )
            for unit in range(units)
            if unit not in order
        }
        order.append(min(costs, key=costs.__getitem__))
    return order


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at_a_time", [1 / 16, 0.5, 1.0])
@pytest.mark.parametrize(("units", "size"), [(9, 1), (6, 2), (5, 3)])
@pytest.mark.parametrize(("ridge", "scale"), [(0.01, 0.02), (0.3, 1.0)])
def test_each_unit_that_goes_is_the_one_whose_loss_the_rest_makes_up_for_best(
    seed: int, at_a_time: float, units: int, size: int, ridge: float, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "REMOVED_AT_A_TIME", at_a_time)
    inputs = correlated(seed, 40, units * size, scale)
    weight = torch.randn(units * size, 3, generator=torch.Generator().manual_seed(seed + 100))
    before = weight.clone()
    order = removal_order(moments(inputs, inputs @ weight), weight, units, 2, ridge)
    assert order.tolist() == best_removals(inputs, weight, units, 2, ridge)
    assert torch.equal(weight, before)


def test_many_channels_go_a_few_at_a_time_and_that_costs_little_more_than_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, cheapest = [], least_squares._cheapest
    monkeypatch.setattr(least_squares, "_cheapest", lambda *given: looks.append(given) or cheapest(*given))
    inputs = correlated(1, 200, 48)
    weight = torch.randn(48, 4, generator=torch.Generator().manual_seed(1))
    gone = removal_order(moments(inputs, inputs @ weight), weight, 48, 16, 0.01).tolist()
    assert len(set(gone)) == 32 and len(looks) == 16
    one_by_one = cost_of_removing(best_removals(inputs, weight, 48, 16, 0.01), inputs, weight, 0.01)
    assert cost_of_removing(gone, inputs, weight, 0.01) < 1.02 * one_by_one


def test_the_size_of_an_input_does_not_matter_where_its_weight_makes_up_for_it() -> None:
    inputs, scale = correlated(2, 60, 8), 10.0 ** torch.arange(-2, 2).repeat(2)
    weight = torch.randn(8, 3, generator=torch.Generator().manual_seed(2))
    plain = removal_order(moments(inputs, inputs @ weight), weight, 8, 1, 0.01)
    assert torch.equal(
        removal_order(moments(inputs * scale, inputs @ weight), weight / scale[:, None], 8, 1, 0.01), plain
    )


def test_an_input_that_is_always_zero_goes_first() -> None:
    inputs = correlated(3, 60, 6)
    inputs[:, 4] = 0
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))
    assert removal_order(moments(inputs, inputs @ weight), weight, 6, 3, 0.01)[0] == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_no_numbers_are_refused(value: float) -> None:
    inputs = correlated(3, 60, 6)
    inputs[7, 2] = value
    with pytest.raises(StageError, match="cannot be fitted"):
        removal_order(moments(inputs, torch.ones(60, 3)), torch.ones(6, 3), 6, 3, 0.01)


def test_moments_that_no_activations_have_are_refused() -> None:
    seen = moments(correlated(3, 60, 3), torch.ones(60, 2))
    seen.gram[0, 1] = seen.gram[1, 0] = 10 * seen.gram.max()
    with pytest.raises(StageError, match="cannot be fitted"):
        removal_order(seen, torch.ones(3, 2), 3, 1, 0.01)


Text = tuple[torch.Tensor, torch.Tensor]


def best_refit(texts: tuple[Text, Text], weight: torch.Tensor, kept: list[int], judged: list[int]) -> torch.Tensor:
    """Every ridge with every share, in hundredths, of either correction: the best on the half that was not fitted."""
    gone = [i for i in range(len(weight)) if i not in kept]
    weight = weight.double()

    def corrections(text: Text, ridge: float) -> list[torch.Tensor]:
        inputs, wanted = (tensor.double() for tensor in text)
        missing = inputs[:, gone] @ weight[gone], wanted - inputs @ weight
        return [ridge_fit(inputs[:, kept], part, ridge) for part in missing]

    steps = torch.linspace(0, 1, 101, dtype=torch.float64)
    shares = torch.cartesian_prod(steps, steps)
    scored = []
    for ridge in RIDGES:
        error = torch.zeros(len(shares), dtype=torch.float64)
        for fitted, (inputs, wanted) in zip(texts, texts[::-1], strict=True):
            seen = inputs[:, kept].double()
            left = (wanted.double() - seen @ weight[kept])[:, judged].flatten()
            parts = torch.stack([(seen @ part)[:, judged].flatten() for part in corrections(fitted, ridge)])
            error += (left - shares @ parts).square().sum(dim=1)
        scored.append((error.min().item(), ridge, shares[error.argmin()]))
    _, ridge, best = min(scored, key=lambda entry: entry[0])
    whole = corrections((torch.cat([texts[0][0], texts[1][0]]), torch.cat([texts[0][1], texts[1][1]])), ridge)
    return weight[kept] + best[0] * whole[0] + best[1] * whole[1]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("tokens", "noise"), [(9, 3.0), (40, 1.0), (60, 0.1)])
@pytest.mark.parametrize("kept", [[0, 2, 3, 5, 6], list(range(8))])
def test_a_refit_is_the_best_of_all_ridges_and_shares_on_text_that_was_not_fitted(
    seed: int, tokens: int, noise: float, kept: list[int]
) -> None:
    generator = torch.Generator().manual_seed(seed + 10)
    weight, drift = torch.randn(8, 4, generator=generator), 0.4 * torch.randn(8, 4, generator=generator)

    def text(part: int) -> Text:
        inputs = correlated(seed, 2 * tokens, 8)[part::2]
        return inputs, inputs @ (weight + drift) + noise * torch.randn(tokens, 4, generator=generator)

    texts = text(0), text(1)
    halves = moments(*texts[0]), moments(*texts[1])
    expected = best_refit(texts, weight, kept, judged=[0, 1, 2, 3]).float()
    torch.testing.assert_close(refit(halves, weight, torch.tensor(kept)), expected, rtol=1e-3, atol=1e-3)


def test_of_many_outputs_some_from_first_to_last_tell_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "JUDGED_OUTPUTS", 3)
    generator = torch.Generator().manual_seed(4)
    weight, kept = torch.randn(6, 7, generator=generator), [1, 2, 4]
    # The outputs between those that are looked at are mostly noise: they would have other shares. Without any noise in
    # the others, the share of what there is not would be a matter of rounding.
    noise = torch.tensor([0.5, 9, 9, 0.5, 9, 9, 0.5])
    texts = tuple(
        (inputs, inputs @ weight + noise * torch.randn(30, 7, generator=generator))
        for inputs in (correlated(5, 30, 6), correlated(6, 30, 6))
    )
    halves = moments(*texts[0]), moments(*texts[1])
    expected = best_refit(texts, weight, kept, judged=[0, 3, 6]).float()
    torch.testing.assert_close(refit(halves, weight, torch.tensor(kept)), expected, rtol=1e-3, atol=1e-3)


def test_with_enough_text_without_noise_a_refit_is_plain_least_squares() -> None:
    weight, kept = torch.randn(6, 3, generator=torch.Generator().manual_seed(7)), torch.tensor([0, 1, 4, 5])
    inputs = correlated(8, 4000, 6)
    halves = moments(inputs[::2], inputs[::2] @ weight), moments(inputs[1::2], inputs[1::2] @ weight)
    refitted = refit(halves, weight, kept)
    exact = torch.linalg.lstsq(inputs[:, kept], inputs @ weight).solution

    def error(of: torch.Tensor) -> float:
        return (inputs[:, kept] @ of - inputs @ weight).square().sum().item()

    assert error(exact) <= error(refitted) < 1.05 * error(exact) < 0.8 * error(weight[kept])
