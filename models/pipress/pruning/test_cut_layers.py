"""The cut against Transformers: what it writes is the model that it says it computed, refitted where it should be."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from pipress.pruning.conftest import Small
from pipress.pruning.cut import cut
from pipress.pruning.least_squares import refit
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.weights.files import WIDTHS
from pipress.weights.llama import LlamaForCausalLM

IDS = torch.randint(0, 50, (9, 16), generator=torch.Generator().manual_seed(1))
CHANNELS, GROUPS = torch.tensor([j for j in range(64) if j % 2]), torch.tensor([0, 2])
SIZES: list[dict[str, int]] = [{"ffn": 32}, {"kv_heads": 2, "layers": 3}, {"ffn": 32, "kv_heads": 2, "layers": 3}]


def plan_for(model: Small, sizes: dict[str, int]) -> Plan:
    blocks = (0, 2, 3) if "layers" in sizes else (0, 1, 2, 3)
    return Plan(model.shape.smaller(**sizes), blocks, lambda *_: CHANNELS, lambda *_: GROUPS)


def cut_model(
    model: Small, plan: Plan, reconstruct: bool, n_fit: int | None = None
) -> tuple[LlamaForCausalLM, torch.Tensor]:
    """The model that was written, by Transformers, and the hidden states that the cut ended with."""
    written: dict[str, torch.Tensor] = {}
    shares: list[float] = []
    hidden = cut(model.stream, plan, IDS, reconstruct, written.__setitem__, shares.append, n_fit)
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1])
    shape = plan.shape
    config = LlamaConfig.from_dict(
        {
            **model.whole.config.to_dict(),
            "num_hidden_layers": shape.layers,
            "intermediate_size": shape.ffn,
            WIDTHS: shape.ffn_widths,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
        }
    )
    other = {name: value for name, value in model.whole.state_dict().items() if ".layers." not in name}
    result = LlamaForCausalLM(config).eval()
    result.load_state_dict({**other, **written})
    return result, hidden


@torch.no_grad()
def seen_by(whole: LlamaForCausalLM, ids: torch.Tensor, layer: int) -> dict[str, torch.Tensor]:
    """What a layer's two output projections take in, and the residual stream before and after either half."""
    seen: dict[str, Any] = {}
    block = whole.model.layers[layer]

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, *_: seen.__setitem__(name, inputs[0])

    hooks = [
        block.register_forward_pre_hook(keep("before")),
        block.self_attn.o_proj.register_forward_pre_hook(keep("heads")),
        block.post_attention_layernorm.register_forward_pre_hook(keep("between")),
        block.mlp.down_proj.register_forward_pre_hook(keep("channels")),
        block.register_forward_hook(lambda module, inputs, output: seen.__setitem__("after", output)),
    ]
    whole(ids)
    for hook in hooks:
        hook.remove()
    return seen


BIASES = {"attention_bias": True, "mlp_bias": True}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("biases", [{}, BIASES])
def test_what_is_written_is_the_model_without_the_parts_that_went(
    small: Callable[..., Small], sizes: dict[str, int], biases: dict[str, bool]
) -> None:
    model = small(**biases)
    plan = plan_for(model, sizes)
    result, hidden = cut_model(model, plan, reconstruct=False)
    torch.testing.assert_close(hidden, seen_by(result, IDS, plan.shape.layers - 1)["after"])
    # The same model, left as large as it was: what went does nothing.
    kept_inputs = [
        i for group in (GROUPS.tolist() if "kv_heads" in sizes else range(3)) for i in range(group * 8, group * 8 + 8)
    ]
    kept_channels = CHANNELS.tolist() if "ffn" in sizes else list(range(64))
    with torch.no_grad():
        for index, layer in enumerate(model.whole.model.layers):
            for linear, kept in ((layer.self_attn.o_proj, kept_inputs), (layer.mlp.down_proj, kept_channels)):
                gone = [i for i in range(linear.in_features) if i not in kept or index not in plan.blocks]
                linear.weight[:, gone] = 0
                if linear.bias is not None and index not in plan.blocks:
                    linear.bias.zero_()
    torch.testing.assert_close(hidden, seen_by(model.whole, IDS, 3)["after"])


def heads_of(whole: LlamaForCausalLM, layer: torch.nn.Module, stream: torch.Tensor) -> torch.Tensor:
    """What goes into the attention's output projection of a whole layer where the residual stream is as given."""
    heads: list[torch.Tensor] = []
    hook = layer.self_attn.o_proj.register_forward_pre_hook(lambda module, given: heads.append(given[0]))
    layer(stream, position_embeddings=whole.model.rotary_emb(stream, torch.arange(16)[None]))
    hook.remove()
    return heads[0]


def fitted(
    linear: torch.nn.Linear, inputs: torch.Tensor, wanted: torch.Tensor, stream: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """A projection refitted on every other sequence and those between, (out, kept)."""
    halves = []
    for part in (slice(0, None, 2), slice(1, None, 2)):
        moments = Moments(linear.in_features, linear.out_features, torch.device("cpu"))
        bias = 0 if linear.bias is None else linear.bias
        moments.add(inputs[part], wanted[part] - stream[part] - bias, stream[part])
        halves.append(moments)
    return refit((halves[0], halves[1]), linear.weight.T, kept).T


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("biases", "n_fit"), [({}, None), (BIASES, 6)])
@torch.no_grad()
def test_every_layer_is_refitted_to_what_the_unpruned_model_had_there(
    small: Callable[..., Small], sizes: dict[str, int], biases: dict[str, bool], n_fit: int | None
) -> None:
    model = small(**biases)
    plan = plan_for(model, sizes)
    result, hidden = cut_model(model, plan, reconstruct=True, n_fit=n_fit)
    torch.testing.assert_close(hidden, seen_by(result, IDS, plan.shape.layers - 1)["after"])
    fit = IDS[:n_fit]
    inputs = (
        torch.cat([torch.arange(group * 8, group * 8 + 8) for group in GROUPS])
        if "kv_heads" in sizes
        else torch.arange(24)
    )
    channels = CHANNELS if "ffn" in sizes else torch.arange(64)
    for index, block in enumerate(plan.blocks):
        unpruned, pruned, layer = (
            seen_by(model.whole, fit, block),
            seen_by(result, fit, index),
            model.whole.model.layers[block],
        )
        heads = heads_of(model.whole, layer, pruned["before"])
        expected = fitted(layer.self_attn.o_proj, heads, unpruned["between"], pruned["before"], inputs)
        written = result.model.layers[index]
        torch.testing.assert_close(written.self_attn.o_proj.weight, expected, rtol=1e-3, atol=1e-4)
        normed = layer.post_attention_layernorm(pruned["between"])
        whole = torch.nn.functional.silu(layer.mlp.gate_proj(normed)) * layer.mlp.up_proj(normed)
        expected = fitted(layer.mlp.down_proj, whole, unpruned["after"], pruned["between"], channels)
        torch.testing.assert_close(written.mlp.down_proj.weight, expected, rtol=1e-3, atol=1e-4)
        assert torch.equal(written.mlp.up_proj.weight, layer.mlp.up_proj.weight[channels])


def test_choices_are_made_on_both_halves_of_the_text_that_the_cut_is_fitted_on(small: Callable[..., Small]) -> None:
    model, seen = small(), []

    def choose(moments: Moments, part: torch.nn.Module, count: int) -> torch.Tensor:
        assert not torch.is_grad_enabled(), "nothing is kept for a backward pass"
        seen.append((moments, count))
        return GROUPS if count == 2 else CHANNELS

    plan = Plan(model.shape.smaller(ffn=32, kv_heads=2), (0, 1, 2, 3), choose, choose)
    cut_model(model, plan, reconstruct=False, n_fit=5)
    assert [count for _, count in seen] == [2, 32] * 4
    first = seen_by(model.whole, IDS[:5], 0)
    scale = first["before"].square().mean(dim=-1, keepdim=True).rsqrt()
    torch.testing.assert_close(seen[0][0].magnitude, (first["heads"] * scale).abs().sum(dim=(0, 1)))


def test_text_of_one_sequence_refits_nothing(small: Callable[..., Small]) -> None:
    model = small()
    plan = plan_for(model, {"ffn": 32})
    refitted, plain = (cut_model(model, plan, reconstruct, n_fit=1)[1] for reconstruct in (True, False))
    torch.testing.assert_close(refitted, plain)
