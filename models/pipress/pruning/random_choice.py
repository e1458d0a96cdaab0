"""FFN channels at random: a control. What a method is worth is how much better than this it is."""

import torch

from pipress.pruning.ffn_activation import targets
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.weights.llama import FeedForward
from pipress.weights.streamed import Report, StreamedLlama

__all__ = ["plan", "targets"]

SEED = 1


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Other channels in every layer, the same ones in every run."""
    (target,) = targets
    generator = torch.Generator().manual_seed(SEED)

    def choose(moments: Moments, mlp: FeedForward, width: int) -> torch.Tensor:
        kept = torch.randperm(mlp.down_proj.in_features, generator=generator)[:width].sort().values
        return kept.to(mlp.down_proj.weight.device)

    return Plan(target, blocks=tuple(range(target.layers)), channels=choose)
