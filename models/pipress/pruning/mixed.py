"""One parameter budget over blocks, attention groups and FFN width: the combination that loses least.

A plan within the budget is a point on a line: so many blocks dropped, so many key-value heads dropped, and the FFN as
narrow as the rest of the budget asks. Which combination is best, and not only which single move comes next, is
searched, as Shortened LLaMA (Kim et al., arXiv:2402.02834) and Minitron (Muralidharan et al., arXiv:2407.14679) find
that depth and width are worth different amounts at different ratios. Every candidate is really cut and refitted, on
fewer tokens, and judged by its loss on tokens that its fit has not seen.
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
from pipress.weights.streamed import Report, StreamedLlama

# Tokens that a candidate is fitted on, and judged by.
FIT_TOKENS = 2048
TRIAL_TOKENS = 1024


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
    """Searches the combinations. Prints the loss of each that was tried."""
    length = sequences.shape[1]
    fit, trial = max(1, FIT_TOKENS // length), max(1, TRIAL_TOKENS // length)
    sample = spread(sequences, fit + trial)
    if len(sample) < 2:
        raise StageError(
            f"the calibration text has fewer than {2 * length} tokens", "take more text for datasets.calibration"
        )
    # Every so-manyth sequence is for trial: both kinds come from all of the text.
    judged = torch.zeros(len(sample), dtype=torch.bool)
    judged[torch.linspace(1, len(sample) - 1, min(trial, len(sample) - 1)).round().long()] = True
    sample = torch.cat([sample[~judged], sample[judged]])
    n_fit = int((~judged).sum())
    model_shape = shape_of(model.config.to_dict())
    influence = block_influence.score(model, sequences, lambda done: report(0.1 * done))
    untouched = model.embed(sample[n_fit:])
    for index in range(model.config.num_hidden_layers):
        untouched = model.forward(model.layer(index), untouched)
    base, tried = model.losses(untouched, sample[n_fit:]).mean().item(), 0

    def plan_for(shape: Shape) -> Plan:
        blocks = tuple(sorted(influence.topk(shape.layers).indices.tolist()))
        return Plan(shape, blocks, channels=ffn_second_order.choose, groups=attention_groups.choose)

    def advance(done: float) -> None:
        """A tenth for each trial: how many there will be is not known before the last."""
        report(min(0.99, 0.1 + 0.1 * (tried + done)))

    def loss(shape: Shape) -> float:
        """Increase of the loss per parameter removed: no two plans remove exactly the same."""
        nonlocal tried
        hidden = cut(model, plan_for(shape), sample, True, lambda name, tensor: None, advance, n_fit)
        value = model.losses(hidden[n_fit:], sample[n_fit:]).mean().item()
        tried += 1
        sizes = f"{shape.layers} blocks, FFN {shape.ffn}, {shape.kv_heads} key-value heads"
        print(f"{sizes}: loss {value:.4f}, unpruned {base:.4f}", flush=True)
        return (value - base) / (model_shape.parameters - shape.parameters)

    return plan_for(search(targets, loss))


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
