"""Choices and cuts on small models with random weights, parts of which do nothing or say the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from pipress.pruning import angular_distance, attention_groups, block_influence, ffn_activation, ffn_second_order
from pipress.pruning.cut import cut
from pipress.pruning.least_squares import refit, removal_order
from pipress.pruning.mixed import search
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape, shape_of
from pipress.weights.streamed import StreamedLlama

CPU = torch.device("cpu")
IDS = torch.randint(0, 64, (16, 32), generator=torch.Generator().manual_seed(1))
Change = Callable[[PreTrainedModel], None]


@pytest.fixture(params=["llama", "qwen2", "qwen3"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Change], tuple[StreamedLlama, torch.Tensor]]:
    """A model of 5 layers, changed as the test wants, as a stream; and its hidden states after the last layer."""

    def make(change: Change) -> tuple[StreamedLlama, torch.Tensor]:
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            request.param,
            vocab_size=64,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=5,
            num_attention_heads=6,
            num_key_value_heads=3,
            head_dim=8,
            initializer_range=0.2,
            tie_word_embeddings=True,
        )
        whole = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for name, parameter in whole.named_parameters():
                if name.endswith("bias") or "_norm" in name:
                    parameter.add_(torch.empty_like(parameter).uniform_(-0.3, 0.3))
            change(whole)
        whole.save_pretrained(tmp_path)
        model = StreamedLlama(tmp_path, CPU)
        return model, model.last_states(IDS)

    return make


def cut_to(model: StreamedLlama, plan: Plan, reconstruct: bool, n_fit: int | None = None) -> torch.Tensor:
    written: dict[str, torch.Tensor] = {}
    hidden = cut(model, plan, IDS, reconstruct, written.__setitem__, lambda done: None, n_fit)
    rest = ("model.embed_tokens.weight", "model.norm.weight")
    assert {name: tuple(tensor.shape) for name, tensor in written.items()} == {
        name: size for name, size in plan.shape.tensors().items() if name not in rest
    }
    return hidden


def shape(model: StreamedLlama) -> Shape:
    return shape_of(model.config.to_dict())


def test_a_model_of_which_nothing_is_cut_is_the_same(build, tmp_path: Path) -> None:
    model, before = build(lambda whole: None)
    written: dict[str, torch.Tensor] = {}
    plan = Plan(shape(model), blocks=(0, 1, 2, 3, 4))
    after = cut(model, plan, IDS, False, written.__setitem__, lambda done: None)
    assert torch.equal(after, before)
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(written.get(name, tensor), tensor)
    states = AutoModelForCausalLM.from_pretrained(tmp_path)(IDS, output_hidden_states=True).hidden_states
    layer = model.forward(model.layer(0), model.embed(IDS))
    torch.testing.assert_close(layer, states[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [ffn_activation, ffn_second_order])
@pytest.mark.parametrize("reconstruct", [False, True])
def test_channels_that_do_nothing_go_first_and_then_nothing_changes(build, method, reconstruct) -> None:
    def change(whole: PreTrainedModel) -> None:
        for layer in whole.model.layers:
            layer.mlp.down_proj.weight[:, ::3] = 0

    model, before = build(change)
    target = shape(model).smaller(ffn=64)
    after = cut_to(model, method.plan(model, IDS, [target], lambda done: None), reconstruct)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


def test_a_channel_that_others_can_stand_for_costs_nothing_to_remove(build) -> None:
    """Every third channel is another's double: alone none of them may go, refitted one of each pair may."""

    def change(whole: PreTrainedModel) -> None:
        for layer in whole.model.layers:
            for linear in (layer.mlp.gate_proj, layer.mlp.up_proj):
                linear.weight[::3] = linear.weight[1::3]

    model, before = build(change)
    target = shape(model).smaller(ffn=64)
    plan = ffn_second_order.plan(model, IDS, [target], lambda done: None)
    scale = before.square().mean()
    refitted = (cut_to(model, plan, True) - before).square().mean() / scale
    plain = (cut_to(model, plan, False) - before).square().mean() / scale
    assert refitted < 1e-3 and plain > 0.05


def test_groups_of_heads_that_do_nothing_go_first_and_then_nothing_changes(build) -> None:
    def change(whole: PreTrainedModel) -> None:
        for index, layer in enumerate(whole.model.layers):
            group = index % 3  # two heads of 8 to a group
            layer.self_attn.o_proj.weight[:, group * 16 : group * 16 + 16] = 0

    model, before = build(change)
    target = shape(model).smaller(kv_heads=2)
    assert target.heads == 4
    plan = attention_groups.plan(model, IDS, [target], lambda done: None)
    torch.testing.assert_close(cut_to(model, plan, False), before, rtol=1e-4, atol=1e-4)


def idle(*blocks: int) -> Change:
    def change(whole: PreTrainedModel) -> None:
        for index in blocks:
            whole.model.layers[index].self_attn.o_proj.weight.zero_()
            whole.model.layers[index].mlp.down_proj.weight.zero_()

    return change


def test_blocks_that_do_nothing_go_first_and_then_nothing_changes(build) -> None:
    model, before = build(idle(1, 3))
    plan = block_influence.plan(model, IDS, [shape(model).smaller(layers=3)], lambda done: None)
    assert plan.blocks == (0, 2, 4)
    torch.testing.assert_close(cut_to(model, plan, False), before, rtol=1e-4, atol=1e-4)


def test_a_run_of_blocks_goes_where_its_two_ends_are_most_alike(build) -> None:
    model, _ = build(idle(2, 3))
    scores = angular_distance.score(model, IDS, 2, lambda done: None)
    assert scores.shape == (4,) and scores[2] == scores.min() and scores[2] < 1e-3
    plan = angular_distance.plan(model, IDS, [shape(model).smaller(layers=3)], lambda done: None)
    assert plan.blocks == (0, 1, 4)


def test_what_a_dropped_block_did_is_made_up_for_by_one_that_can_on_text_that_was_not_fitted(build) -> None:
    """The FFN of block 4 sees much the same as that of block 3, so it can say what block 3 said too."""

    def change(whole: PreTrainedModel) -> None:
        dropped, following = whole.model.layers[3], whole.model.layers[4]
        for layer in (dropped, following):
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.mul_(0.2)
        dropped.mlp.gate_proj.weight.copy_(following.mlp.gate_proj.weight)
        dropped.mlp.up_proj.weight.copy_(following.mlp.up_proj.weight)

    model, before = build(change)
    plan = Plan(shape(model).smaller(layers=4), blocks=(0, 1, 2, 4))
    errors = [(cut_to(model, plan, refit, 12)[12:] - before[12:]).square().mean() for refit in (False, True)]
    assert errors[1] < 0.5 * errors[0]


def test_a_refit_on_little_text_moves_no_more_than_holds_on_other_text() -> None:
    """What is wanted is mostly noise: to follow it would cost more than the removed inputs did."""
    torch.manual_seed(0)
    weight, kept = torch.randn(32, 8), torch.arange(24)

    def text(tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.randn(tokens, 32)
        return inputs, inputs @ weight + 20 * torch.randn(tokens, 8)

    def moments() -> Moments:
        summed, (inputs, wanted) = Moments(32, 8, CPU), text(40)
        summed.add(inputs, wanted, torch.ones(40, 8))
        return summed

    halves = moments(), moments()
    inputs, _ = text(4000)

    def error(with_weight: torch.Tensor) -> float:
        return (inputs[:, kept] @ with_weight - inputs @ weight).square().mean().item()

    both = halves[0] + halves[1]
    followed = torch.linalg.solve(both.gram[kept][:, kept], both.cross[kept])
    assert error(followed) > 5 * error(weight[kept])
    assert error(refit(halves, weight, kept)) < 1.3 * error(weight[kept])


def test_half_a_text_alone_moves_nothing() -> None:
    torch.manual_seed(0)
    weight, kept, seen = torch.randn(12, 5), torch.arange(8), Moments(12, 5, CPU)
    seen.add(torch.randn(400, 12), torch.randn(400, 5), torch.ones(400, 5))
    torch.testing.assert_close(refit((seen, Moments(12, 5, CPU)), weight, kept), weight[kept])


def test_units_of_several_inputs_go_together_in_the_order_of_what_they_cost() -> None:
    torch.manual_seed(0)
    moments = Moments(12, 5, CPU)
    moments.add(torch.randn(400, 12), torch.randn(400, 5), torch.ones(400, 5))
    weight = torch.randn(12, 5)
    weight[3:6] *= 0.01
    weight[9:12] *= 0.1
    assert removal_order(moments, weight, 4, 2, 0.01).tolist() == [1, 3]
    assert removal_order(moments, weight, 4, 4, 0.01).tolist() == []


def test_the_search_finds_the_valley_with_few_looks(build) -> None:
    model, _ = build(lambda whole: None)
    start = shape(model)
    line = [start.smaller(layers=40 - n, ffn=32 * (n + 1)) for n in range(16)]
    other = [start.smaller(layers=40 - n, ffn=32 * (n + 1), kv_heads=2) for n in range(10)]
    looks: list[Shape] = []

    def loss(candidate: Shape) -> float:
        looks.append(candidate)
        return abs(candidate.layers - 29) + (0.5 if candidate.kv_heads == 2 else 0)

    assert search([*line, *other], loss) == line[11]
    assert len(looks) == len(set(looks)) <= 12
    assert sum(candidate.kv_heads == 2 for candidate in looks) == 1
