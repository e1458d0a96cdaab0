"""Adapters against the formula that they stand for, and which weights a recipe trains."""

import math
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.recovery.adapters import LowRankLinear, scale_of, trainable
from pipress.recovery.merging import _merged


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen_input", [False, True])
def test_an_adapter_computes_and_learns_as_its_formula(bias: bool, frozen_input: bool) -> None:
    torch.manual_seed(0)
    adapted = LowRankLinear(torch.nn.Linear(6, 5, bias=bias), 3, 12.0, generator())
    adapted.b.data.normal_()
    x = torch.randn(2, 4, 6, requires_grad=not frozen_input)
    other, a, b = (value.detach().clone().requires_grad_() for value in (x, adapted.a, adapted.b))
    expected = torch.nn.functional.linear(other, adapted.linear.weight, adapted.linear.bias) + 4 * (other @ a.T) @ b.T
    torch.testing.assert_close(adapted(x), expected)
    weights = torch.randn(2, 4, 5)
    (adapted(x) * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(adapted.a.grad, a.grad)
    torch.testing.assert_close(adapted.b.grad, b.grad)
    if not frozen_input:
        torch.testing.assert_close(x.grad, other.grad)
    assert all(parameter.grad is None for parameter in adapted.linear.parameters())


def test_an_adapter_begins_at_the_layer_as_it_is_with_inputs_as_a_linear_layer_has_them() -> None:
    linear = torch.nn.Linear(100, 50, bias=False)
    adapted = LowRankLinear(linear, 40, 8.0, generator())
    x = torch.randn(3, 100)
    assert torch.equal(adapted(x), linear(x)) and not adapted.b.any()
    bound = 1 / math.sqrt(100)
    assert adapted.a.shape == (40, 100) and adapted.b.shape == (50, 40)
    assert adapted.a.abs().max() <= bound and adapted.a.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert abs(adapted.a.mean().item()) < 0.01


def test_an_adapter_of_a_rounded_layer_keeps_small_updates() -> None:
    adapted = LowRankLinear(torch.nn.Linear(6, 5, bias=False).bfloat16(), 3, 3.0, generator())
    assert adapted.a.dtype == adapted.b.dtype == torch.float32
    output = adapted(torch.randn(2, 6))
    output.float().sum().backward()
    assert output.dtype == torch.bfloat16 and adapted.b.grad.dtype == adapted.a.grad.dtype == torch.float32


@pytest.mark.parametrize(("rank", "alpha"), [(4, 8.0), (16, 4.0)])
def test_merging_adds_to_a_layer_what_its_adapter_adds_to_the_output(rank: int, alpha: float) -> None:
    linear = torch.nn.Linear(8, 6, bias=False)
    adapted = LowRankLinear(linear, rank, alpha, generator())
    adapted.b.data.normal_()
    trained = {"layer.a": adapted.a.detach(), "layer.b": adapted.b.detach(), "norm.weight": torch.ones(3)}
    x = torch.randn(3, 8)
    merged = _merged("layer.weight", linear.weight.detach(), trained, scale_of(rank, alpha))
    torch.testing.assert_close(x @ merged.T, adapted(x).detach())
    assert torch.equal(_merged("norm.weight", torch.zeros(3), trained, 1.0), torch.ones(3))
    assert torch.equal(_merged("other.weight", torch.zeros(3), trained, 1.0), torch.zeros(3))


def model(tied: bool = True) -> LlamaForCausalLM:
    sizes = {"num_hidden_layers": 3, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40, tie_word_embeddings=tied)).bfloat16()


def recipe(**changes: Any) -> dict[str, Any]:
    targets = {"targetModules": ["q_proj", "down_proj"]}
    return {"seed": 1, "rank": 2, "alpha": 4.0, "fullLayers": 0, "lmHead": False, **targets, **changes}


@pytest.mark.parametrize("full", [0, 1, 2, 3, 5])
def test_layers_are_trained_by_adapters_and_the_last_in_full(full: int) -> None:
    student = model()
    whole = {name for name, _ in student.named_parameters()}
    trained = trainable(student, recipe(fullLayers=full))
    n_adapted = max(0, 3 - full)
    adapters = {
        f"model.layers.{layer}.{module}.{which}"
        for layer in range(n_adapted)
        for module in ("self_attn.q_proj", "mlp.down_proj")
        for which in "ab"
    }
    in_full = {name for name in whole if any(f".layers.{layer}." in name for layer in range(n_adapted, 3))}
    assert set(trained) == adapters | in_full
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in trained.values())
    others = {name: parameter for name, parameter in student.named_parameters() if name not in trained}
    assert not any(parameter.requires_grad for parameter in others.values())


@pytest.mark.parametrize("tied", [True, False])
def test_the_output_layer_is_trained_where_the_recipe_says_so(tied: bool) -> None:
    student = model(tied)
    name = "model.embed_tokens.weight" if tied else "lm_head.weight"
    trained = trainable(student, recipe(lmHead=True))
    assert name in trained and trained[name].dtype == torch.float32
    assert (student.lm_head.weight is student.model.embed_tokens.weight) is tied
    assert name not in trainable(model(tied), recipe())


def test_adapters_follow_from_the_seed_and_differ_from_each_other() -> None:
    one, same, other = (trainable(model(), recipe(seed=seed)) for seed in (1, 1, 2))
    starts = {name: value for name, value in one.items() if name.endswith(".a")}
    assert all(torch.equal(value, same[name]) and not torch.equal(value, other[name]) for name, value in starts.items())
    of_queries = [value for name, value in starts.items() if "q_proj" in name]
    assert len(of_queries) == 3 and not torch.equal(of_queries[0], of_queries[1])
