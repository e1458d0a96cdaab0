"""Attention in whole groups: a key-value head goes together with the query heads that share it.

What a group contributes is what its columns of the output projection add to the residual stream. Groups go in the
order in which least squares over the calibration text loses least, as ZipLM removes attention heads (Kurtic et al.,
arXiv:2302.04089); that heads are units which can be spared at all is from Michel et al., arXiv:1905.10650, and that
under grouped-query attention the group is the unit from LLM-Pruner (Ma et al., arXiv:2305.11627). Head size and heads
per group stay as they are.
"""

import torch

from pipress.pruning.budget import fewer_heads
from pipress.pruning.least_squares import RIDGE, removal_order
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.weights.llama import Attention
from pipress.weights.streamed import Report, StreamedLlama


def targets(shape: Shape, share: float) -> list[Shape]:
    """The number of groups that removes about `share` of the parameters. Raises StageError where none would load."""
    return [fewer_heads(shape, share * shape.parameters)]


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Which groups go is decided layer by layer."""
    (target,) = targets
    return Plan(target, blocks=tuple(range(target.layers)), groups=choose)


def choose(moments: Moments, attention: Attention, kv_heads: int) -> torch.Tensor:
    """The `kv_heads` groups to keep, sorted."""
    groups = attention.config.num_key_value_heads
    gone = removal_order(moments, attention.o_proj.weight.T, groups, kv_heads, RIDGE)
    return torch.tensor(sorted(set(range(groups)) - set(gone.tolist())), device=gone.device)
