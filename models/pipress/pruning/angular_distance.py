"""Contiguous blocks by angular distance: the run of blocks goes whose input and output are most alike.

"The Unreasonable Ineffectiveness of the Deeper Layers" (Gromov et al., arXiv:2403.17887): for n blocks to drop, the
distance of starting at block i is E[arccos(cos(h_i, h_{i+n}))] / pi. The paper takes the last token of each sequence;
packed text has no such token that stands out, so all tokens count here.
"""

from collections import deque

import torch

from pipress.pruning.block_influence import SCORE_TOKENS, targets
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape
from pipress.texts.rows import spread
from pipress.weights.streamed import Report, StreamedLlama

__all__ = ["plan", "score", "targets"]


@torch.no_grad()
def score(model: StreamedLlama, sequences: torch.Tensor, dropped: int, report: Report) -> torch.Tensor:
    """Distance, 0 to 1, between the hidden states before and after each run of blocks: (n_layers - dropped + 1)."""
    hidden = model.embed(spread(sequences, max(1, SCORE_TOKENS // sequences.shape[1])))
    n_layers = model.config.num_hidden_layers
    # The hidden states that a run may still begin with: never more than `dropped` of them.
    starts, distances = deque([hidden]), []
    for index in range(n_layers):
        hidden = model.forward(model.layer(index), hidden)
        if len(starts) == dropped:
            alike = torch.nn.functional.cosine_similarity(starts.popleft(), hidden, dim=-1)
            distances.append(alike.clamp(-1, 1).arccos().mean().cpu() / torch.pi)
        starts.append(hidden)
        report((index + 1) / n_layers)
    return torch.stack(distances)


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Drops the run of blocks with the smallest distance."""
    (target,) = targets
    n_layers = model.config.num_hidden_layers
    dropped = n_layers - target.layers
    start = int(score(model, sequences, dropped, report).argmin())
    return Plan(target, blocks=tuple(i for i in range(n_layers) if not start <= i < start + dropped))
