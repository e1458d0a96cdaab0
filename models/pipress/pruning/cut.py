"""The cut: one walk through the layers, each loaded, measured on text, cut, refitted, written and freed.

Two sets of hidden states go along: those of the pruned model so far, and those that the unpruned model had there.
Scores are taken on the first, because that is what the layer will see. With `reconstruct`, o_proj and down_proj are
refitted by least squares (`least_squares.py`) so that what the layer puts out comes near to the second: what was
removed from the layer itself is made up for, and as far as that can be known the errors of the layers before are too,
dropped blocks included, which is GPTAQ's asymmetric calibration (Li et al., arXiv:2504.02692).
"""

from collections.abc import Callable

import torch
from torch import nn

from pipress.pruning.least_squares import inputs_of, refit
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.weights.llama import DecoderLayer, FeedForward
from pipress.weights.streamed import Report, StreamedLlama, batches

Write = Callable[[str, torch.Tensor], None]


@torch.no_grad()
def cut(
    model: StreamedLlama,
    plan: Plan,
    sequences: torch.Tensor,
    reconstruct: bool,
    write: Write,
    report: Report,
    n_fit: int | None = None,
) -> torch.Tensor:
    """Hands every tensor of the pruned model's layers to `write`, under its new name and in float32.

    sequences: (n, length) token ids. report: called with the share done. n_fit: the cut is made by the first so many
    sequences only; without it, by all. Returns the hidden states after the last layer for all of them, (n, length,
    hidden).
    """
    hidden = model.embed(sequences)
    unpruned = hidden[:n_fit]
    n_layers = model.config.num_hidden_layers
    for index in range(n_layers):
        layer = model.layer(index)
        between = unpruned
        if reconstruct:
            between = added(unpruned, model.attention, layer)
            unpruned = added(between, model.feed_forward, layer)
        if index in plan.blocks:
            cut_attention(model, layer, plan, hidden[:n_fit], between, reconstruct)
            hidden = added(hidden, model.attention, layer)
            width = plan.shape.widths[plan.blocks.index(index)]
            cut_feed_forward(model, layer, plan, width, hidden[:n_fit], unpruned, reconstruct)
            hidden = added(hidden, model.feed_forward, layer)
            for name, tensor in layer.state_dict().items():
                write(f"model.layers.{plan.blocks.index(index)}.{name}", tensor)
        report((index + 1) / n_layers)
    return hidden


def added(
    hidden: torch.Tensor,
    half: Callable[[DecoderLayer, torch.Tensor], torch.Tensor],
    layer: DecoderLayer,
) -> torch.Tensor:
    """The residual stream with what half a layer adds to it, batch by batch."""
    return torch.cat([part + half(layer, part) for part in batches(hidden)])


def cut_attention(
    model: StreamedLlama,
    layer: DecoderLayer,
    plan: Plan,
    hidden: torch.Tensor,
    wanted: torch.Tensor,
    reconstruct: bool,
) -> None:
    """Cuts the attention of one layer to plan.shape.kv_heads groups, in place.

    hidden: the residual stream that the layer sees. wanted: what it should be after the attention.
    """
    attention, before = layer.self_attn, model.config.num_key_value_heads
    fewer = plan.shape.kv_heads < before
    if not fewer and not reconstruct:
        return
    halves = halves_of(attention.o_proj, lambda part: model.heads(layer, part), hidden, wanted)
    weight = attention.o_proj.weight.T
    kept = torch.arange(before, device=model.device)
    if fewer:
        assert plan.groups is not None
        kept = plan.groups(halves[0] + halves[1], attention, plan.shape.kv_heads)
        keep_rows(attention.q_proj, inputs_of(kept, plan.shape.group * plan.shape.head_dim))
        keep_rows(attention.k_proj, inputs_of(kept, plan.shape.head_dim))
        keep_rows(attention.v_proj, inputs_of(kept, plan.shape.head_dim))
    inputs = inputs_of(kept, plan.shape.group * plan.shape.head_dim)
    set_inputs(attention.o_proj, refit(halves, weight, inputs) if reconstruct else weight[inputs])


def cut_feed_forward(
    model: StreamedLlama,
    layer: DecoderLayer,
    plan: Plan,
    width: int,
    hidden: torch.Tensor,
    wanted: torch.Tensor,
    reconstruct: bool,
) -> None:
    """Cuts the FFN of one layer to `width` channels, in place.

    hidden: the residual stream that the FFN sees. wanted: what it should be after it.
    """
    mlp = layer.mlp
    fewer = width < mlp.down_proj.in_features
    if not fewer and not reconstruct:
        return
    halves = halves_of(mlp.down_proj, lambda part: model.channels(layer, part), hidden, wanted)
    kept = torch.arange(mlp.down_proj.in_features, device=model.device)
    if fewer:
        assert plan.channels is not None
        kept = plan.channels(halves[0] + halves[1], mlp, width)
    keep_channels(mlp, kept, halves if reconstruct else None)


def keep_channels(mlp: FeedForward, kept: torch.Tensor, halves: tuple[Moments, Moments] | None) -> None:
    """Keeps these channels of an FFN, in place; refits what they add up to where moments of two halves are given."""
    weight = mlp.down_proj.weight.T
    for linear in (mlp.gate_proj, mlp.up_proj):
        keep_rows(linear, kept)
    set_inputs(mlp.down_proj, weight[kept] if halves is None else refit(halves, weight, kept))


def halves_of(
    linear: nn.Linear,
    inputs: Callable[[torch.Tensor], torch.Tensor],
    hidden: torch.Tensor,
    wanted: torch.Tensor,
) -> tuple[Moments, Moments]:
    """Moments of a linear layer on every other sequence, and on those between: both halves come from all of the text.

    inputs: what goes into the layer where the residual stream is as given. Of one sequence the second half is empty.
    """
    halves = []
    for stream, target in zip((hidden[::2], hidden[1::2]), (wanted[::2], wanted[1::2]), strict=True):
        moments = Moments(linear.in_features, linear.out_features, hidden.device)
        parts = zip(batches(stream), batches(target), strict=True) if len(stream) else ()
        for part, to_be in parts:
            moments.add(inputs(part), _without_bias(to_be - part, linear), part)
        halves.append(moments)
    return halves[0], halves[1]


def _without_bias(output: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
    return output if linear.bias is None else output - linear.bias


def keep_rows(linear: nn.Linear, rows: torch.Tensor) -> None:
    """Keeps these outputs of a linear layer."""
    linear.weight = nn.Parameter(linear.weight[rows], requires_grad=False)
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias[rows], requires_grad=False)
    linear.out_features = len(rows)


def set_inputs(linear: nn.Linear, weight: torch.Tensor) -> None:
    """Gives a linear layer other inputs with these weights, (d_in, d_out); its bias stays."""
    linear.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
    linear.in_features = len(weight)
