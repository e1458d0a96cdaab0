"""FFN width by activation: the channels that matter least to the layer's output go.

A channel j of a layer's feed-forward part adds `a_j * W_down[:, j]` to the residual stream, so what it contributes on
average is mean |a_j| times the norm of that column: the channel form of Wanda (Sun et al., arXiv:2306.11695) as in
Wanda-sp and FLAP (An et al., arXiv:2312.11983). The strength of a unit's signal as its importance is also what
Minitron prunes by (Muralidharan et al., arXiv:2407.14679).
"""

import torch

from pipress.pruning.budget import narrower
from pipress.pruning.moments import Moments
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.weights.llama import FeedForward
from pipress.weights.streamed import Report, StreamedLlama


def targets(shape: Shape, share: float) -> list[Shape]:
    """The FFN width that removes about `share` of the parameters. Raises StageError where none would load."""
    return [narrower(shape, share * shape.parameters)]


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Which channels go is decided layer by layer, from the scores."""
    (target,) = targets
    return Plan(target, blocks=tuple(range(target.layers)), channels=choose)


def score(moments: Moments, mlp: FeedForward) -> torch.Tensor:
    """Importance of every channel: (d_ff)."""
    return moments.magnitude * mlp.down_proj.weight.norm(dim=0)


def choose(moments: Moments, mlp: FeedForward, width: int) -> torch.Tensor:
    """The `width` best channels, sorted."""
    return score(moments, mlp).topk(width).indices.sort().values
