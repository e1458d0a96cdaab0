"""A part of the vocabulary that stands for all of it in a training step.

Of a vocabulary of many languages and code, one text uses little: the tokens that carry nearly all of the teacher's
probability are a fifth of it or less, and the loss over them costs that much less. They are always there, and so are
the tokens of the batch; of the others a few are drawn at random for every step and stand for the rest with a weight, as
in sampled softmax (Jean et al., arXiv:1412.2007): the student's distribution cannot wander off to where nobody looks.
"""

import math

import torch

# Of the tokens that are not always there, so many are drawn per one that is.
DRAWN_PER_KEPT = 0.25
# Tokens of text that the teacher's probability is averaged over.
SAMPLE_TOKENS = 4096


class VocabularyPart:
    """Chooses which tokens a step looks at."""

    def __init__(self, states: torch.Tensor, head: torch.Tensor, share: float, seed: int) -> None:
        """states: the teacher's hidden states, (n, length, hidden); head: its output layer, (vocabulary, hidden).

        share: of the teacher's probability, that the tokens that are always there carry; 1 is the whole vocabulary.
        """
        self.seed, self.size = seed, len(head)
        self.kept = None if share >= 1 else _most_likely(states, head, share)

    def choose(self, step: int, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Token ids (m), sorted, and the logarithms of their weights (m); None for the whole vocabulary.

        A function of the step and its targets alone, so that a resumed training draws what it would have drawn.
        """
        if self.kept is None:
            return None
        always = torch.zeros(self.size, dtype=torch.bool)
        always[self.kept] = True
        always[targets.cpu()] = True
        others = (~always).nonzero().squeeze(1)
        count = min(len(others), math.ceil(DRAWN_PER_KEPT * len(self.kept)))
        if count == 0:
            return None
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        drawn = others[torch.randperm(len(others), generator=generator)[:count]]
        weights = torch.zeros(self.size)
        weights[drawn] = math.log(len(others) / count)
        always[drawn] = True
        ids = always.nonzero().squeeze(1)
        return ids, weights[ids]


@torch.no_grad()
def _most_likely(states: torch.Tensor, head: torch.Tensor, share: float) -> torch.Tensor:
    """The fewest tokens that together have `share` of the teacher's probability, averaged over a sample of the text."""
    rows = states.flatten(0, 1)
    rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), SAMPLE_TOKENS)).long()]
    mean = torch.zeros(len(head), dtype=torch.float64)
    for part in rows.split(128):
        mean += (part.to(head.device) @ head.T).float().softmax(dim=-1).sum(dim=0).double().cpu()
    probability, order = (mean / mean.sum()).sort(descending=True)
    return order[: int((probability.cumsum(0) < share).sum()) + 1]
