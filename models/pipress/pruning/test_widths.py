"""FFN widths of single layers: the costs they follow from, and that a model of such widths is what it says."""

import copy
from collections.abc import Callable

import pytest
import torch

from pipress.errors import StageError
from pipress.pruning import ffn_second_order, widths
from pipress.pruning.conftest import Small
from pipress.pruning.cut import cut_feed_forward
from pipress.pruning.least_squares import RIDGE, removal_costs, removal_order
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import problems_of
from pipress.pruning.test_cut_layers import IDS as CUT_IDS
from pipress.pruning.test_cut_layers import cut_model, seen_by
from pipress.pruning.widths import allocate, split, widths_of_layers

IDS = torch.randint(0, 50, (40, 16), generator=torch.Generator().manual_seed(1))


def test_a_removal_costs_what_the_best_refit_of_the_rest_leaves() -> None:
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randn(300, 12, generator=generator) * torch.linspace(0.5, 2, 12)
    weight = torch.randn(12, 5, generator=generator)
    moments = Moments(12, 5, torch.device("cpu"))
    moments.add(tokens, tokens @ weight, torch.ones(300, 5))
    order = removal_order(moments, weight, 12, 4, RIDGE)
    costs = removal_costs(moments, weight, order, RIDGE)
    assert len(costs) == 9 and costs[0] == 0
    for count in range(1, 9):
        gone, kept = order[:count], [i for i in range(12) if i not in order[:count].tolist()]
        gram = (tokens.T @ tokens).double()
        gram.diagonal().mul_(1 + RIDGE)
        wanted = weight[gone].double()
        made_up = torch.linalg.solve(gram[kept][:, kept], gram[kept][:, gone] @ wanted)
        left = (wanted * (gram[gone][:, gone] @ wanted)).sum() - (made_up * (gram[kept][:, gone] @ wanted)).sum()
        assert costs[count].item() == pytest.approx(left.item(), rel=1e-3)


def test_the_cheapest_next_step_is_taken_until_the_budget_is_spent() -> None:
    costs = torch.tensor([[0, 1, 3, 6.0], [0, 4, 9, 15], [0, 0.5, 1, 1.5]])
    assert allocate(costs, 3) == [0, 0, 3]
    assert allocate(costs, 5) == [2, 0, 3], "a layer that has given all it may gives no more"
    assert allocate(costs, 7) == [3, 1, 3]
    assert allocate(costs, 9) == [3, 3, 3]


@pytest.mark.parametrize(("sequences", "length", "judged"), [(40, 16, 8), (40, 1024, 2), (2, 16, 1), (9, 4096, 1)])
def test_few_sequences_all_over_the_text_judge(sequences: int, length: int, judged: int) -> None:
    rows = torch.arange(sequences)[:, None].expand(-1, length)
    fit, judging = split(rows)
    assert len(judging) == judged and len(fit) == sequences - judged
    assert sorted([*fit[:, 0].tolist(), *judging[:, 0].tolist()]) == list(range(sequences))
    if judged > 2:
        places = judging[:, 0].float() / sequences
        assert places.diff().max() < 2 / judged and places[0] < 1 / judged and places[-1] > 1 - 2 / judged


def test_a_layer_that_does_little_is_narrow(small: Callable[..., Small], monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(intermediate_size=128)
    with torch.no_grad():
        model.whole.model.layers[1].mlp.down_proj.weight.mul_(0.1)
    model.whole.save_pretrained(model.folder)
    monkeypatch.setattr(widths, "BLOCK_ROW", 16)
    shares: list[float] = []
    found = widths_of_layers(model.stream, IDS, model.shape.smaller(ffn=64), shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert sum(found) == 4 * 64 and all(width % 16 == 0 and 32 <= width <= 128 for width in found)
    assert found[1] == 32 and max(found) > 64


def test_a_layer_that_does_nothing_gives_what_it_may(small: Callable[..., Small]) -> None:
    model = small(intermediate_size=128)
    with torch.no_grad():
        model.whole.model.layers[2].mlp.down_proj.weight.zero_()
    model.whole.save_pretrained(model.folder)
    assert widths_of_layers(model.stream, IDS, model.shape.smaller(ffn=64), lambda done: None)[2] == 32


def test_text_of_one_sequence_is_refused(small: Callable[..., Small]) -> None:
    model = small()
    with pytest.raises(StageError, match="fewer than 32 tokens"):
        widths_of_layers(model.stream, IDS[:1], model.shape.smaller(ffn=32), lambda done: None)


@torch.no_grad()
def test_what_a_layer_costs_is_measured_with_all_others_whole(
    small: Callable[..., Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Transformers, with one layer cut and refitted, and every other as it was."""
    model = small(intermediate_size=128)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(widths, "allocate", lambda costs, budget: seen.append(costs) or [budget // 4] * 4)
    target = model.shape.smaller(ffn=64)
    assert widths_of_layers(model.stream, IDS, target, lambda done: None) == (64,) * 4
    fit, judged = split(IDS)
    whole = model.whole(judged).logits.log_softmax(dim=-1)
    plan = Plan(target, (0, 1, 2, 3), ffn_second_order.choose)
    for index, costs in enumerate(seen[0]):
        cut_one, layer = copy.deepcopy(model.whole), model.stream.layer(index)
        streams = seen_by(model.whole, fit, index)
        cut_feed_forward(model.stream, layer, plan, 64, streams["between"], streams["after"], True)
        cut_one.model.layers[index].mlp = layer.mlp
        found = cut_one(judged).logits.log_softmax(dim=-1)
        expected = (whole.exp() * (whole - found)).sum(dim=-1).mean().item()
        assert costs[0] == 0 and costs[2].item() == pytest.approx(expected, rel=1e-3)
        assert len(costs) == 4 and costs.diff().min() > 0, "of 128, 96, 64 and 32 channels"


@torch.no_grad()
def test_a_model_of_such_widths_is_what_the_cut_computed(small: Callable[..., Small]) -> None:
    model = small()
    shape = model.shape.smaller(ffn=48, ffn_widths=(64, 32, 64, 32))
    plan = Plan(shape, (0, 1, 2, 3), ffn_second_order.choose)
    result, hidden = cut_model(model, plan, reconstruct=True)
    assert {name: tuple(tensor.shape) for name, tensor in result.state_dict().items() if name in shape.tensors()} == (
        shape.tensors()
    )
    assert sum(parameter.numel() for parameter in result.parameters()) == shape.parameters
    torch.testing.assert_close(hidden, seen_by(result, CUT_IDS, 3)["after"])


def test_widths_that_do_not_come_to_their_mean_would_not_load(small: Callable[..., Small]) -> None:
    shape = small().shape
    assert problems_of(shape.smaller(ffn_widths=(32, 96, 64, 64))) == []
    assert "do not come to 64 in the mean" in problems_of(shape.smaller(ffn_widths=(32, 64, 64, 64)))[0]
    assert "do not come to 64 in the mean" in problems_of(shape.smaller(ffn_widths=(64, 64, 64)))[0]
    assert "FFN width 40, 88 is no multiple of 32" in problems_of(shape.smaller(ffn_widths=(40, 88, 64, 64)))[0]
