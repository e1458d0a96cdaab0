"""One parameter budget over blocks, attention groups and FFN width: the combination that loses least.

A plan within the budget is a point on a line: so many blocks dropped, so many key-value heads dropped, and the FFN as
narrow as the rest of the budget asks. Which combination is best, and not only which single move comes next, is
searched, as Shortened LLaMA (Kim et al., arXiv:2402.02834) and Minitron (Muralidharan et al., arXiv:2407.14679) find
that depth and width are worth different amounts at different ratios. Every candidate is really cut and refitted, on
fewer tokens, and judged by its loss on tokens that its fit has not seen.

So few tokens cannot tell near ones apart. The best of the search, and those that remove one kind of part alone, are
judged once more on all of the text, each half by a cut that was fitted on the other.
"""

from collections.abc import Callable

import torch

from pipress.errors import StageError
from pipress.pruning import attention_groups, block_influence, ffn_second_order
from pipress.pruning.budget import mixes
from pipress.pruning.cut import cut
from pipress.pruning.plan import Plan
from pipress.pruning.shape import Shape, shape_of
from pipress.texts.rows import spread
from pipress.weights.calibration import check_enough
from pipress.weights.streamed import Report, StreamedLlama

# Tokens that a candidate of the search is fitted on, and judged by.
FIT_TOKENS = 2048
TRIAL_TOKENS = 1024
# Standard errors of a difference that two candidates have to be apart for one of them to be called better.
ERRORS = 2
# Of those that the search cannot call worse than its best, so many are judged on all of the text.
FINALISTS = 3
# Shares of the progress: where the search begins, and where it ends at the latest.
SEARCH, SEARCHED = 0.1, 0.5
# Of the search, for each trial: how many there will be is not known before the last.
PER_TRIAL = 0.03


def targets(shape: Shape, share: float) -> list[Shape]:
    """Every combination that removes about `share` of the parameters. Raises StageError where there is none."""
    combinations = list(mixes(shape, share * shape.parameters))
    if not combinations:
        raise StageError(
            f"no combination of blocks, attention groups and FFN width removes {share:.0%} of the parameters and loads",
            "choose another pruningRatio",
        )
    return combinations


def plan(model: StreamedLlama, sequences: torch.Tensor, targets: list[Shape], report: Report) -> Plan:
    """Searches the combinations. Prints the loss of each that was tried. Raises StageError for text of one sequence."""
    check_enough(sequences, 2, sequences.shape[1])
    whole = shape_of(model.config.to_dict())
    influence = block_influence.score(model, sequences, lambda done: report(SEARCH * done))
    base = model.losses(model.last_states(sequences), sequences).cpu()  # (n, length - 1)

    def plan_for(shape: Shape) -> Plan:
        blocks = tuple(sorted(influence.topk(shape.layers).indices.tolist()))
        return Plan(shape, blocks, channels=ffn_second_order.choose, groups=attention_groups.choose)

    def rises(shape: Shape, fitted: torch.Tensor, judged: torch.Tensor, advance: Report) -> torch.Tensor:
        """Rise of every judged token's loss per parameter removed: no two plans remove exactly the same.

        fitted, judged: indices of sequences. Returns (len(judged), length - 1).
        """
        sample = sequences[torch.cat([fitted, judged])]
        hidden = cut(model, plan_for(shape), sample, True, lambda name, tensor: None, advance, len(fitted))
        losses = model.losses(hidden[len(fitted) :], sample[len(fitted) :]).cpu()
        sizes = f"{shape.layers} blocks, FFN {shape.ffn}, {shape.kv_heads} key-value heads"
        means = f"loss {losses.mean().item():.4f}, unpruned {base[judged].mean().item():.4f}"
        print(f"{sizes}: {means}, {losses.numel()} tokens", flush=True)
        return (losses - base[judged]) / (whole.parameters - shape.parameters)

    tried: dict[Shape, torch.Tensor] = {}
    sample = trial_sample(sequences)

    def trial(shape: Shape) -> float:
        done = len(tried)
        tried[shape] = rises(shape, *sample, lambda share: report(min(SEARCHED, SEARCH + PER_TRIAL * (done + share))))
        return tried[shape].mean().item()

    search(targets, trial)
    entrants = finalists(tried, [shape for shape in targets if is_pure(shape, whole)])
    cuts = 0

    def judge(shape: Shape, half: int) -> torch.Tensor:
        nonlocal cuts
        done, rows = cuts / (2 * len(entrants)), torch.arange(len(sequences))
        cuts += 1
        return rises(
            shape,
            rows[1 - half :: 2],
            rows[half::2],
            lambda share: report(SEARCHED + (1 - SEARCHED) * (done + share / (2 * len(entrants)))),
        )

    return plan_for(best_of(entrants, judge))


def trial_sample(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the sequences that the search fits on, and of those that it judges by.

    sequences: (n, length), n at least 2. Every so-manyth sequence is judged by: both kinds come from all of the text.
    """
    length = sequences.shape[1]
    fit, trial = max(1, FIT_TOKENS // length), max(1, TRIAL_TOKENS // length)
    sample = spread(torch.arange(len(sequences)), fit + trial)
    judged = torch.zeros(len(sample), dtype=torch.bool)
    judged[torch.linspace(1, len(sample) - 1, min(trial, len(sample) - 1)).round().long()] = True
    return sample[~judged], sample[judged]


def is_pure(shape: Shape, whole: Shape) -> bool:
    """Whether it is smaller in one kind of part alone."""
    return sum(getattr(shape, size) != getattr(whole, size) for size in ("layers", "ffn", "kv_heads")) == 1


def contenders(rises: dict[Shape, torch.Tensor]) -> list[Shape]:
    """Those that cannot be called worse than the one of lowest mean, which comes first; then by their means.

    rises: of every candidate, the same tokens'. Their differences are taken for independent: what makes a token hard
    cancels in them.
    """
    ranked = sorted(rises, key=lambda shape: rises[shape].mean().item())

    def is_near(shape: Shape) -> bool:
        difference = (rises[shape] - rises[ranked[0]]).double().flatten()
        error = difference.std(correction=0) / len(difference) ** 0.5
        return bool(difference.mean() <= ERRORS * error)

    return [shape for shape in ranked if is_near(shape)]


def finalists(tried: dict[Shape, torch.Tensor], pure: list[Shape]) -> list[Shape]:
    """The first FINALISTS of those that may be best by the search, and the pure ones, whether tried or not."""
    best = contenders(tried)[:FINALISTS]
    return best + [shape for shape in pure if shape not in best]


def best_of(entrants: list[Shape], rises: Callable[[Shape, int], torch.Tensor]) -> Shape:
    """The one of lowest loss on both halves of the text. What the first half calls worse is not cut a second time.

    rises: (candidate, half) -> what its tokens' losses rise by.
    """
    seen: dict[Shape, torch.Tensor] = {}
    for half in (0, 1):
        if len(entrants) > 1:
            new = {shape: rises(shape, half) for shape in entrants}
            seen = {shape: torch.cat([seen[shape], rise]) if shape in seen else rise for shape, rise in new.items()}
            entrants = contenders(seen)
    return entrants[0]


def search(candidates: list[Shape], loss: Callable[[Shape], float]) -> Shape:
    """The candidate of lowest loss, found by climbing along the number of blocks, one number of heads after the other.

    Fewer heads are tried as long as that helps. The loss along a line is taken to have one valley.
    """
    known: dict[Shape, float] = {}

    def look(shape: Shape) -> float:
        if shape not in known:
            known[shape] = loss(shape)
        return known[shape]

    best: Shape | None = None
    for kv_heads in sorted({shape.kv_heads for shape in candidates}, reverse=True):
        line = sorted((shape for shape in candidates if shape.kv_heads == kv_heads), key=lambda shape: -shape.layers)
        index = (
            len(line) // 4 if best is None else min(range(len(line)), key=lambda i: abs(line[i].layers - best.layers))
        )
        if best is not None and look(line[index]) >= known[best]:
            break
        step = max(1, len(line) // 4)
        while step:
            near = min(
                (i for i in (index - step, index, index + step) if 0 <= i < len(line)), key=lambda i: look(line[i])
            )
            if near == index:
                step //= 2
            index = near
        best = line[index]
    assert best is not None
    return best
