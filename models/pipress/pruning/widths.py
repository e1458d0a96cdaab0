"""FFN width of every layer: as wide as what it costs there says, within the budget of one width for all.

What removing channels costs a layer's own output follows from least squares, for every number of them at once
(`removal_costs`). What such an error costs the model differs between layers, tenfold in SmolLM2-135M: an early one goes
through all that follows. So each layer is cut alone, to the width that all would have, and the rest of the model says
what its predictions lose. One walk through the layers does that: states with one layer cut go along, one set for each
layer before. The curve of a layer is its costs by least squares, scaled to what was measured. Channels then go
wherever the next ones cost least. That costs of layers add up is assumed, and holds near the middle: no layer gets less
than half of that width.
"""

import torch

from pipress.pruning.cut import added, halves_of, keep_channels
from pipress.pruning.least_squares import RIDGE, removal_costs, removal_order, units_left
from pipress.pruning.moments import TINY
from pipress.pruning.shape import BLOCK_ROW, K_QUANT_ROW, Shape
from pipress.weights.calibration import check_enough
from pipress.weights.llama import DecoderLayer
from pipress.weights.streamed import Report, StreamedLlama

# Of the sequences, every so-manyth is for judging: as many tokens at most, which are kept once for every layer.
JUDGED_SHARE, JUDGED_TOKENS = 5, 2048
# No layer gets less than this share of the mean width.
LEAST = 0.5


@torch.no_grad()
def widths_of_layers(model: StreamedLlama, sequences: torch.Tensor, target: Shape, report: Report) -> tuple[int, ...]:
    """The FFN width of every layer; in the mean they are target.ffn.

    sequences: (n, length) token ids. report: called with the share done. Raises StageError for text of one sequence.
    """
    check_enough(sequences, 2, sequences.shape[1])
    fit, judged = split(sequences)
    whole, n_fit = model.config.intermediate_size, len(fit)
    step = K_QUANT_ROW if target.ffn % K_QUANT_ROW == whole % K_QUANT_ROW == 0 else BLOCK_ROW
    least = max(step, int(LEAST * target.ffn) // step * step)
    hidden = model.embed(torch.cat([fit, judged]))
    alone: list[torch.Tensor] = []
    curves = []
    for index in range(target.layers):
        layer = model.layer(index)
        alone = [model.forward(layer, states) for states in alone]
        between = added(hidden, model.attention, layer)
        hidden = added(between, model.feed_forward, layer)
        curves.append(cut_alone(model, layer, between[:n_fit], hidden[:n_fit], target.ffn, least)[::step].cpu())
        alone.append(added(between[n_fit:], model.feed_forward, layer))
        report((index + 1) / target.layers)
    costs, removed = torch.stack(curves), (whole - target.ffn) // step
    # An FFN that does nothing costs nothing, whatever rounding says.
    scale = model.divergences(hidden[n_fit:], alone).clamp_min(0) / costs[:, removed].clamp_min(TINY)
    taken = allocate(costs * scale[:, None], removed * target.layers)
    widths = tuple(whole - step * steps for steps in taken)
    print(f"FFN widths: {', '.join(map(str, widths))}", flush=True)
    return widths


def split(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences to fit on, and those to judge by, both from all over the text."""
    count = max(1, min(len(sequences) // JUDGED_SHARE, JUDGED_TOKENS // sequences.shape[1]))
    judged = torch.zeros(len(sequences), dtype=torch.bool)
    judged[torch.linspace(0, len(sequences) - 1, count + 2)[1:-1].round().long()] = True
    return sequences[~judged], sequences[judged]


def cut_alone(
    model: StreamedLlama, layer: DecoderLayer, hidden: torch.Tensor, wanted: torch.Tensor, width: int, least: int
) -> torch.Tensor:
    """Cuts the FFN of a layer to `width` channels, in place, and refits it.

    hidden: the residual stream that the FFN sees. wanted: what it is after it. Returns what the FFN's output loses by
    0, 1, 2, ... fewer channels, down to `least`: (channels - least + 1).
    """
    mlp = layer.mlp
    halves = halves_of(mlp.down_proj, lambda part: model.channels(layer, part), hidden, wanted)
    moments, weight = halves[0] + halves[1], mlp.down_proj.weight.T
    order = removal_order(moments, weight, len(weight), least, RIDGE)
    costs = removal_costs(moments, weight, order, RIDGE)
    keep_channels(mlp, units_left(len(weight), order[: len(weight) - width]), halves)
    return costs


def allocate(costs: torch.Tensor, budget: int) -> list[int]:
    """How many of `budget` steps each layer takes, the cheapest next step first.

    costs: of 0, 1, 2, ... steps in every layer, (n_layers, most + 1).
    """
    taken, most = [0] * len(costs), costs.shape[1] - 1
    prices = costs.diff(dim=1).tolist()
    for _ in range(budget):
        cheapest = min((layer for layer in range(len(taken)) if taken[layer] < most), key=lambda i: prices[i][taken[i]])
        taken[cheapest] += 1
    return taken
