"""What a pruning method decides: the shape of the result, which blocks stay, and how channels and heads are chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pipress.pruning.moments import Moments
from pipress.pruning.shape import Shape
from pipress.weights.llama import Attention, FeedForward

# (moments of down_proj's inputs, the layer's FFN, how many) -> channels to keep, sorted
ChooseChannels = Callable[[Moments, FeedForward, int], torch.Tensor]
# (moments of o_proj's inputs, the layer's attention, how many) -> key-value heads to keep, sorted
ChooseGroups = Callable[[Moments, Attention, int], torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """A pruned model to be. A choice is needed only where the shape is smaller in what it chooses."""

    shape: Shape
    blocks: tuple[int, ...]
    channels: ChooseChannels | None = None
    groups: ChooseGroups | None = None
