"""FFN width by least squares: those channels go whose loss the others make up for best.

ZipLM (Kurtic et al., arXiv:2302.04089), structured Optimal Brain Surgeon: removing channels costs what is left of the
layer's output error after the other channels' output weights are refitted; they go a few at a time, the rest being
looked at anew in between. Two channels that say the same are worth little each to such a score, and both much to one
that looks at them singly.
"""

import torch

from pipress.pruning.ffn_activation import targets
from pipress.pruning.least_squares import RIDGE, removal_order, units_left
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.weights.llama import FeedForward
from pipress.weights.streamed import Report, StreamedLlama

__all__ = ["choose", "plan", "targets"]


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Which channels go is decided layer by layer."""
    (target,) = targets
    return Plan(target, blocks=tuple(range(target.layers)), channels=choose)


def choose(moments: Moments, mlp: FeedForward, width: int) -> torch.Tensor:
    """The `width` channels to keep, sorted."""
    channels = mlp.down_proj.in_features
    gone = removal_order(moments, mlp.down_proj.weight.T, channels, width, RIDGE)
    return units_left(channels, gone)
