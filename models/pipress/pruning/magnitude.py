"""FFN channels by the size of their weights alone: a control, blind to what the channels do on text.

The group magnitude of Torch-Pruning (Fang et al., arXiv:2301.12900), its default: the L2 norm over a channel's row of
gate, row of up and column of down.
"""

import torch

from pipress.pruning.ffn_activation import targets
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.weights.llama import FeedForward
from pipress.weights.streamed import Report, StreamedLlama

__all__ = ["plan", "score", "targets"]


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Which channels go is decided layer by layer."""
    (target,) = targets
    return Plan(target, blocks=tuple(range(target.layers)), channels=choose)


def score(mlp: FeedForward) -> torch.Tensor:
    """Importance of every channel: (d_ff)."""
    rows = mlp.gate_proj.weight.square().sum(dim=1) + mlp.up_proj.weight.square().sum(dim=1)
    return (rows + mlp.down_proj.weight.square().sum(dim=0)).sqrt()


def choose(moments: Moments, mlp: FeedForward, width: int) -> torch.Tensor:
    """The `width` channels of most weight, sorted."""
    return score(mlp).topk(width).indices.sort().values
