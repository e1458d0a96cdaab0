"""Which inputs of a linear layer can go, and how the others make up for them: least squares on calibration moments.

Optimal Brain Surgeon (Hassibi and Stork, 1992) for one linear layer at a time: with H = X^T X of its inputs, removing
the inputs J changes the output least if the remaining weights move by -H^-1[:, J] (H^-1[J, J])^-1 W[J], which costs
tr(W[J]^T (H^-1[J, J])^-1 W[J]). SparseGPT (arXiv:2301.00774) prunes single weights so; ZipLM (Kurtic et al.,
arXiv:2302.04089) whole FFN channels and attention heads, and OSSCAR (Meng et al., arXiv:2403.12983) poses it as one
choice of channels. The update needs no bias and changes no shape, so the result still loads as a plain `llama`.

Weights are (d_in, d_out) here: a linear layer's `weight` transposed.
"""

import torch

from pipress.errors import StageError
from pipress.pruning.moments import TINY, Moments

# Ridge penalty as a share of each input's second moment.
RIDGE = 0.01
# Share of the units to be removed that go between two looks at what the rest is worth.
REMOVED_AT_A_TIME = 1 / 16


def ridge_of(moments: Moments, ridge: float) -> torch.Tensor:
    """Ridge penalties, (d_in): a share of each input's own second moment, so that scale does not matter."""
    return ridge * moments.gram.diagonal() + TINY


def removal_order(moments: Moments, weight: torch.Tensor, units: int, keep: int, ridge: float) -> torch.Tensor:
    """The order in which units of inputs are best removed until `keep` are left: (units - keep), first to go first.

    units: the d_in inputs are so many equal runs (FFN channels of one, key-value heads of many).
    """
    size = len(weight) // units
    inverse = torch.cholesky_inverse(_factor(moments.gram, ridge_of(moments, ridge)))
    weight = weight.clone()
    alive = torch.arange(units, device=weight.device)
    order = []
    step = max(1, round((units - keep) * REMOVED_AT_A_TIME))
    while len(alive) > keep:
        costs = _costs(inverse, weight, len(alive), size)
        ranked = costs.argsort()
        gone, stay = ranked[: min(step, len(alive) - keep)], ranked[min(step, len(alive) - keep) :].sort().values
        order.append(alive[gone])
        lost, kept = inputs_of(gone, size), inputs_of(stay, size)
        between = inverse[kept][:, lost]
        # (kept, lost) (lost, lost)^-1
        share = torch.linalg.solve(inverse[lost][:, lost], between, left=False)
        weight = weight[kept] - share @ weight[lost]
        inverse = inverse[kept][:, kept] - share @ between.T
        alive = alive[stay]
    return torch.cat(order) if order else alive[:0]


def _costs(inverse: torch.Tensor, weight: torch.Tensor, units: int, size: int) -> torch.Tensor:
    """What removing each unit alone costs: (units)."""
    if size == 1:
        return weight.square().sum(dim=1) / inverse.diagonal()
    blocks = torch.stack([inverse[i * size : (i + 1) * size, i * size : (i + 1) * size] for i in range(units)])
    rows = weight.view(units, size, -1)
    return (rows * torch.linalg.solve(blocks, rows)).sum(dim=(1, 2))


def refit(moments: Moments, weight: torch.Tensor, kept: torch.Tensor, ridge: float) -> torch.Tensor:
    """Weights of the inputs `kept` that bring the output nearest to what it should be: (len(kept), d_out).

    Ridge regression around the weights as they are: where the calibration text says nothing, nothing moves.
    """
    gram, weight = moments.gram[kept][:, kept], weight[kept]
    factor = _factor(gram, ridge_of(moments, ridge)[kept])
    return weight + torch.cholesky_solve(moments.cross[kept] - gram @ weight, factor)


def inputs_of(units: torch.Tensor, size: int) -> torch.Tensor:
    """Inputs that belong to units of `size` inputs each."""
    return (units[:, None] * size + torch.arange(size, device=units.device)).flatten()


def _factor(gram: torch.Tensor, penalties: torch.Tensor) -> torch.Tensor:
    matrix = gram.clone()
    matrix.diagonal().add_(penalties)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed or not torch.isfinite(factor.diagonal()).all():
        raise StageError(
            "the calibration activations cannot be fitted: they are not finite, or overflow",
            "the model's weights are damaged: fetch it again",
        )
    return factor
