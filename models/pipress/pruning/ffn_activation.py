"""FFN width by activation: the channels that matter least to the layer's output go.

A channel j of a layer's feed-forward part adds `a_j * W_down[:, j]` to the residual stream, so what it contributes on
average is mean |a_j| times the norm of that column: the channel form of Wanda (Sun et al., arXiv:2306.11695) as in
Wanda-sp and FLAP (An et al., arXiv:2312.11983). The strength of a unit's signal as its importance is also what
Minitron prunes by (Muralidharan et al., arXiv:2407.14679).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.errors import StageError

# Rows of a multiple of 256 take k-quants; 32 is the block of every other type of llama.cpp.
K_QUANT_ROW = 256
BLOCK_ROW = 32
# How far from the wanted share a multiple of 256 may be before a multiple of 32 is taken instead.
TOLERANCE = 0.2


@dataclass(frozen=True)
class Plan:
    """Which FFN channels stay: `keep` has the shape (n_layers, width), each row sorted."""

    keep: torch.Tensor
    width: int


def plan_width(config: LlamaConfig, parameters: int, share: float) -> int:
    """FFN width that removes about `share` of all `parameters`; the same for every layer, as llama.cpp wants it.

    A multiple of 256 where one comes close, else of 32. Raises StageError where no width would do.
    """
    width = config.intermediate_size
    per_channel = 3 * config.hidden_size * config.num_hidden_layers  # gate, up and down
    wanted = width - share * parameters / per_channel
    for step in (K_QUANT_ROW, BLOCK_ROW):
        nearest = round(wanted / step) * step
        close = abs(nearest - wanted) <= TOLERANCE * (width - wanted)
        if step <= nearest < width and (close or step == BLOCK_ROW):
            return nearest
    removable = max(0, width - BLOCK_ROW) * per_channel / parameters
    raise StageError(
        f"removing {share:.0%} of the parameters would need an FFN width of {wanted:.0f} (it is {width}); llama.cpp "
        f"loads multiples of {BLOCK_ROW} that are smaller",
        f"choose parametersRemoved between {BLOCK_ROW * per_channel / parameters:.3f} and {removable:.2f}",
    )


@torch.no_grad()
def score(
    model: LlamaForCausalLM, sequences: torch.Tensor, batch: int, report: Callable[[float], None]
) -> torch.Tensor:
    """Importance of every FFN channel on the given text: (n_layers, d_ff), float32.

    sequences: (n, length) token ids. report: called with the share done.
    """
    layers = model.model.layers
    sums = torch.zeros(len(layers), model.config.intermediate_size)

    def watch(index: int) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            # (batch, length, d_ff) -> (d_ff); returns nothing: a hook that returns a value changes the pass
            sums[index] += arguments[0].detach().abs().sum(dim=(0, 1), dtype=torch.float32).cpu()

        return hook

    hooks = [layer.mlp.down_proj.register_forward_pre_hook(watch(i)) for i, layer in enumerate(layers)]
    try:
        for start in range(0, len(sequences), batch):
            # The body alone: the logits are not needed.
            model.model(sequences[start : start + batch].to(model.device), use_cache=False)
            report(min(1.0, (start + batch) / len(sequences)))
    finally:
        for hook in hooks:
            hook.remove()
    means = sums / sequences.numel()
    norms = torch.stack([layer.mlp.down_proj.weight.float().norm(dim=0).cpu() for layer in layers])
    return means * norms


def plan(scores: torch.Tensor, width: int) -> Plan:
    """The `width` best channels of every layer."""
    return Plan(keep=scores.topk(width, dim=1).indices.sort(dim=1).values, width=width)


@torch.no_grad()
def cut(model: LlamaForCausalLM, chosen: Plan) -> None:
    """Removes all other channels, in place."""
    for layer, keep in zip(model.model.layers, chosen.keep, strict=True):
        mlp, keep = layer.mlp, keep.to(layer.mlp.down_proj.weight.device)
        for linear in (mlp.gate_proj, mlp.up_proj):
            linear.weight = nn.Parameter(linear.weight[keep].clone(), requires_grad=False)
            if linear.bias is not None:
                linear.bias = nn.Parameter(linear.bias[keep].clone(), requires_grad=False)
            linear.out_features = chosen.width
        mlp.down_proj.weight = nn.Parameter(mlp.down_proj.weight[:, keep].clone(), requires_grad=False)
        mlp.down_proj.in_features = chosen.width
        mlp.intermediate_size = chosen.width
    model.config.intermediate_size = chosen.width
