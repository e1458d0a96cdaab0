"""Which inputs of a linear layer can go, and how the others make up for them: least squares on calibration moments.

Optimal Brain Surgeon (Hassibi and Stork, 1992) for one linear layer at a time: with H = X^T X of its inputs, removing
the inputs J changes the output least if the remaining weights move by -H^-1[:, J] (H^-1[J, J])^-1 W[J], which costs
tr(W[J]^T (H^-1[J, J])^-1 W[J]). SparseGPT (arXiv:2301.00774) prunes single weights so; ZipLM (Kurtic et al.,
arXiv:2302.04089) whole FFN channels and attention heads, and OSSCAR (Meng et al., arXiv:2403.12983) poses it as one
choice of channels. The update needs no bias and changes no shape, so the result loads as it would without.

Weights are (d_in, d_out) here: a linear layer's `weight` transposed.
"""

import torch

from pipress.errors import StageError
from pipress.pruning.moments import TINY, Moments

# Ridge penalty as a share of each input's second moment.
RIDGE = 0.01
# Those that a refit chooses from: the less text there is, the larger the one that holds.
RIDGES = (0.01, 0.1, 1.0)
# Share of the units to be removed that go between two looks at what the rest is worth.
REMOVED_AT_A_TIME = 1 / 16
# Channels looked at for each that goes in between.
CANDIDATES = 4
# Outputs that say what share of a correction holds.
JUDGED_OUTPUTS = 128


def removal_order(moments: Moments, weight: torch.Tensor, units: int, keep: int, ridge: float) -> torch.Tensor:
    """The order in which units of inputs are best removed until `keep` are left: (units - keep), first to go first.

    units: the d_in inputs are so many equal runs (FFN channels of one, key-value heads of many).
    """
    size = len(weight) // units
    inverse = torch.cholesky_inverse(_factor(moments.gram, ridge))
    weight = weight.clone()
    alive = torch.arange(units, device=weight.device)
    order = []
    # Single channels are many: some go between two updates of the whole inverse. Heads are few: one by one.
    step = max(1, round((units - keep) * REMOVED_AT_A_TIME)) if size == 1 else 1
    while len(alive) > keep:
        gone = _cheapest(inverse, weight, size, min(step, len(alive) - keep))
        order.append(alive[gone])
        staying = units_left(len(alive), gone)
        lost, kept = inputs_of(gone, size), inputs_of(staying, size)
        between = inverse[kept][:, lost]
        # (kept, lost) (lost, lost)^-1
        share = torch.linalg.solve(inverse[lost][:, lost], between, left=False)
        weight = weight[kept].addmm_(share, weight[lost], alpha=-1)
        inverse = inverse[kept][:, kept].addmm_(share, between.T, alpha=-1)
        alive = alive[staying]
    return torch.cat(order) if order else alive[:0]


def removal_costs(moments: Moments, weight: torch.Tensor, order: torch.Tensor, ridge: float) -> torch.Tensor:
    """What the layer's output loses when the first n inputs of `order` go and the others make up for them.

    Of every n from 0 to len(order), as a sum over tokens and outputs of what is left of their squares, float64:
    tr(W[J]^T (H^-1[J, J])^-1 W[J]), J being those n. One factorisation tells all of them, because a part of its
    factor is the factor of a part.
    """
    inverse = torch.cholesky_inverse(_factor(moments.gram, ridge))[order][:, order].double()
    rows = torch.linalg.solve_triangular(torch.linalg.cholesky(inverse), weight[order].double(), upper=False)
    return torch.nn.functional.pad(rows.square().sum(dim=1).cumsum(0), (1, 0))


def _cheapest(inverse: torch.Tensor, weight: torch.Tensor, size: int, count: int) -> torch.Tensor:
    """The `count` units that cost least when they go one after the other: (count).

    For single channels the candidates are the CANDIDATES * count cheapest, but among them every removal counts for
    the next: two channels that say the same are both cheap until one of them is gone.
    """
    if size > 1:
        blocks = torch.stack(
            [inverse[start : start + size, start : start + size] for start in range(0, len(weight), size)]
        )
        rows = weight.view(len(blocks), size, -1)
        return (rows * torch.linalg.solve(blocks, rows)).sum(dim=(1, 2)).topk(count, largest=False).indices
    costs = weight.square().sum(dim=1) / inverse.diagonal()
    candidates = costs.topk(min(len(costs), CANDIDATES * count), largest=False).indices
    inner, rows = inverse[candidates][:, candidates], weight[candidates]
    open_ = torch.ones(len(candidates), dtype=torch.bool, device=weight.device)
    picked = []
    for _ in range(count):
        costs = (rows.square().sum(dim=1) / inner.diagonal()).where(open_, torch.inf)
        pick = int(costs.argmin())
        picked.append(pick)
        open_[pick] = False
        share = inner[:, pick] / inner[pick, pick]
        # What is picked stays in place as rows of zeros and a diagonal of one.
        rows = rows - share[:, None] * rows[pick]
        inner = inner - share[:, None] * inner[pick]
        inner[pick, pick] = 1
    return candidates[picked]


def refit(halves: tuple[Moments, Moments], weight: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Weights of the inputs `kept` that bring the output nearer to what it should be: (len(kept), d_out).

    halves: moments of two halves of the text. What is to be made up for has two parts: what the removed inputs did, and
    how far the stream has already gone astray. Each gets its correction, a ridge regression, and of each correction
    only the share that holds on text it was not fitted on: fitted on one half and judged on the other, and the other
    way round (stacked regressions, Breiman 1996), as the ridge is found too. Little text, or an error that these inputs
    cannot know of, moves little.
    """
    gone = torch.ones(len(weight), dtype=torch.bool, device=weight.device)
    gone[kept] = False
    ridge, shares = _what_holds(halves, weight, kept, gone)
    both = halves[0] + halves[1]
    wanted = sum(share * part for share, part in zip(shares, _missing(both, weight, kept, gone), strict=True))
    return weight[kept] + torch.cholesky_solve(wanted, _factor(both.gram[kept][:, kept], ridge))


def _what_holds(
    halves: tuple[Moments, Moments], weight: torch.Tensor, kept: torch.Tensor, gone: torch.Tensor
) -> tuple[float, list[float]]:
    """The ridge, and the share of either correction, that do best on text that was not fitted on."""
    # Three numbers are looked for: a part of the outputs tells them as well as all would.
    columns = torch.linspace(0, weight.shape[1] - 1, min(weight.shape[1], JUDGED_OUTPUTS)).round().long()
    quadratic = torch.zeros(len(RIDGES), 2, 2, dtype=torch.float64)
    linear = torch.zeros(len(RIDGES), 2, dtype=torch.float64)
    for fitted, judging in (halves, halves[::-1]):
        missing = torch.cat(_missing(fitted, weight, kept, gone, columns), dim=1)
        wanted = sum(_missing(judging, weight, kept, gone, columns))
        fitted_gram, judging_gram = fitted.gram[kept][:, kept], judging.gram[kept][:, kept]
        for row, ridge in enumerate(RIDGES):
            corrections = torch.cholesky_solve(missing, _factor(fitted_gram, ridge)).chunk(2, dim=1)
            for i, correction in enumerate(corrections):
                linear[row, i] += (correction * wanted).sum().double().cpu()
                seen = judging_gram @ correction
                for j, other in enumerate(corrections):
                    quadratic[row, i, j] += (other * seen).sum().double().cpu()
    shares = [_best_shares(*judged) for judged in zip(quadratic, linear, strict=True)]
    best = min(range(len(RIDGES)), key=lambda row: shares[row][1])
    return RIDGES[best], shares[best][0]


def _missing(
    moments: Moments,
    weight: torch.Tensor,
    kept: torch.Tensor,
    gone: torch.Tensor,
    columns: torch.Tensor | slice = slice(None),
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross moments of the kept inputs with what the removed ones did, and with the rest: (len(kept), columns) each."""
    gram, weight = moments.gram[kept], weight[:, columns]
    return gram[:, gone] @ weight[gone], moments.cross[kept][:, columns] - gram @ weight


def _best_shares(quadratic: torch.Tensor, linear: torch.Tensor) -> tuple[list[float], float]:
    """Shares s in [0, 1] of two corrections that minimise s' quadratic s - 2 linear' s, and that minimum."""
    steps = torch.linspace(0, 1, 101, dtype=torch.float64)
    shares = torch.cartesian_prod(steps, steps)
    loss = ((shares @ quadratic) * shares).sum(dim=1) - 2 * shares @ linear
    return shares[loss.argmin()].tolist(), loss.min().item()


def units_left(units: int, gone: torch.Tensor) -> torch.Tensor:
    """Those of so many units that are not among `gone`, sorted."""
    left = torch.ones(units, dtype=torch.bool, device=gone.device)
    left[gone] = False
    return left.nonzero().squeeze(1)


def inputs_of(units: torch.Tensor, size: int) -> torch.Tensor:
    """Inputs that belong to units of `size` inputs each."""
    return (units[:, None] * size + torch.arange(size, device=units.device)).flatten()


def _factor(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """Cholesky factor of second moments, (n, n), and a ridge: a share of each one, so that scale does not matter."""
    matrix = gram.clone()
    matrix.diagonal().add_(ridge * gram.diagonal() + TINY)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed or not torch.isfinite(factor.diagonal()).all():
        raise StageError(
            "the calibration activations cannot be fitted: they are not finite, or overflow",
            "the model's weights are damaged: fetch it again",
        )
    return factor
