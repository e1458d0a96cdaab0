"""AWQ's scale search, and the fold (Lin et al., "AWQ", arXiv:2306.00978).

A few input channels of a linear layer carry large activations, and errors in their weights cost most. Multiplying those
weights by s > 1 before rounding, and their inputs by 1/s, makes the errors smaller where it counts and changes nothing
else. Here 1/s is folded into what makes the inputs: the norm before, or the linear layer before. The result is a plain
Llama in full precision that computes what it computed; only rounding it costs less.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from pipress.awq.blocks import Block, round_to_blocks
from pipress.weights.llama import DecoderLayer

# Scales below this would blow up what they divide.
SMALLEST = 1e-4

Turns = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Fold:
    """Linear layers that share their input, and the layer that makes it: where its scales go and come from.

    source: a norm, or the linear layer whose outputs the inputs are proportional to, channel by channel.
    """

    name: str
    source: nn.Module
    linears: tuple[nn.Linear, ...]
    # Where the error is looked at: from the linears' input, batch by batch, to the output of the block they begin.
    inputs: list[torch.Tensor]
    output: Callable[[int], torch.Tensor]


def layer_folds(layer: DecoderLayer, hidden: list[torch.Tensor], turns: list[Turns]) -> Iterable[Callable[[], Fold]]:
    """The groups of a decoder layer, in the order of the data.

    hidden: what the layer is given, batches of (n, length, hidden); turns: their rotary cosines and sines. Each group
    is built when it is its turn: its inputs are those that the folds before it leave.
    """
    attention, mlp = layer.self_attn, layer.mlp

    def before_attention() -> Fold:
        inputs = [layer.input_layernorm(h) for h in hidden]
        linears = (attention.q_proj, attention.k_proj, attention.v_proj)
        return Fold(
            "qkv",
            layer.input_layernorm,
            linears,
            inputs,
            lambda i: attention(inputs[i], turns[i], None)[0],
        )

    def heads() -> Fold:
        inputs = [attention_heads(layer, h, turn) for h, turn in zip(hidden, turns, strict=True)]
        return Fold("o", attention.v_proj, (attention.o_proj,), inputs, lambda i: attention.o_proj(inputs[i]))

    def before_ffn() -> Fold:
        inputs = [layer.post_attention_layernorm(m) for m in _after_attention(layer, hidden, turns)]
        linears = (mlp.gate_proj, mlp.up_proj)
        return Fold("gate-up", layer.post_attention_layernorm, linears, inputs, lambda i: mlp(inputs[i]))

    def channels() -> Fold:
        normed = (layer.post_attention_layernorm(m) for m in _after_attention(layer, hidden, turns))
        inputs = [mlp.act_fn(mlp.gate_proj(x)) * mlp.up_proj(x) for x in normed]
        return Fold("down", mlp.up_proj, (mlp.down_proj,), inputs, lambda i: mlp.down_proj(inputs[i]))

    yield before_attention
    # Under grouped-query attention one value feeds several heads: o_proj has more inputs than v_proj has outputs.
    if attention.v_proj.out_features == attention.o_proj.in_features:
        yield heads
    yield before_ffn
    yield channels


@torch.no_grad()
def search(fold: Fold, block: Block, grid_points: int) -> tuple[torch.Tensor, float, float]:
    """The scales, (in), under which rounding the group's weights disturbs the block's output least.

    Candidates are mean |x| to the power of alpha, alpha = 0, 1/grid, 2/grid, ...; alpha = 0 is no scaling. Returns the
    scales too with the mean squared error of the output without them and with them.
    """
    magnitude = torch.stack([x.abs().flatten(0, -2).mean(dim=0) for x in fold.inputs]).mean(dim=0)
    wanted = [fold.output(i) for i in range(len(fold.inputs))]
    originals = [linear.weight.data for linear in fold.linears]
    best, errors = torch.ones_like(magnitude), []
    try:
        for point in range(grid_points):
            scales = magnitude.clamp(min=SMALLEST) ** (point / grid_points)
            scales = scales / (scales.max() * scales.min()).sqrt()
            for linear, weight in zip(fold.linears, originals, strict=True):
                linear.weight.data = round_to_blocks(weight * scales, block).div_(scales)
            error = sum((fold.output(i) - wanted[i]).square().mean().item() for i in range(len(wanted))) / len(wanted)
            if error < min(errors, default=float("inf")):
                best = scales
            errors.append(error)
    finally:
        for linear, weight in zip(fold.linears, originals, strict=True):
            linear.weight.data = weight
    return best, errors[0], min(errors)


@torch.no_grad()
def apply(fold: Fold, scales: torch.Tensor) -> None:
    """Folds the scales in, in place: into the linears' columns, and their inverse into what comes before."""
    source = fold.source
    source.weight.data = source.weight / (scales[:, None] if isinstance(source, nn.Linear) else scales)
    if getattr(source, "bias", None) is not None:
        source.bias.data = source.bias / scales
    for linear in fold.linears:
        linear.weight.data = linear.weight * scales


def attention_heads(layer: DecoderLayer, hidden: torch.Tensor, turns: Turns) -> torch.Tensor:
    """What `o_proj` is given: the heads' outputs side by side, (n, length, n_head * head_dim)."""
    seen: list[torch.Tensor] = []
    # append returns None: a hook that returns a value changes the pass
    hook = layer.self_attn.o_proj.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        layer.self_attn(layer.input_layernorm(hidden), turns, None)
    finally:
        hook.remove()
    return seen[0]


def _after_attention(layer: DecoderLayer, hidden: list[torch.Tensor], turns: list[Turns]) -> list[torch.Tensor]:
    """The residual stream between attention and FFN."""
    return [h + layer.self_attn(layer.input_layernorm(h), turn, None)[0] for h, turn in zip(hidden, turns, strict=True)]
