"""Whole blocks by block influence: the blocks that turn the hidden states least go.

ShortGPT (Men et al., arXiv:2403.03853): the influence of block i is 1 - E[cos(h_i, h_{i+1})], with h_i the hidden
state of a token before it and h_{i+1} after it. The blocks of least influence are removed at once.
"""

import torch

from pipress.pruning.budget import shallower
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.texts.rows import spread
from pipress.weights.streamed import Report, StreamedLlama

# Means over tokens settle fast: more than this many move no block's rank.
SCORE_TOKENS = 4096


def targets(shape: Shape, share: float) -> list[Shape]:
    """As many blocks less as come nearest to `share` of the parameters. Raises StageError where none would load."""
    return [shallower(shape, share * shape.parameters)]


@torch.no_grad()
def score(model: StreamedLlama, sequences: torch.Tensor, report: Report) -> torch.Tensor:
    """Influence of every block on the given text: (n_layers), from 0 (does nothing) to 2.

    sequences: (n, length) token ids. report: called with the share done.
    """
    hidden = model.embed(spread(sequences, max(1, SCORE_TOKENS // sequences.shape[1])))
    n_layers = model.config.num_hidden_layers
    influence = torch.zeros(n_layers)
    for index in range(n_layers):
        before, hidden = hidden, model.forward(model.layer(index), hidden)
        influence[index] = 1 - torch.nn.functional.cosine_similarity(before, hidden, dim=-1).mean()
        report((index + 1) / n_layers)
    return influence


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Keeps the blocks of most influence."""
    (target,) = targets
    influence = score(model, sequences, report)
    return Plan(target, blocks=tuple(sorted(influence.topk(target.layers).indices.tolist())))
