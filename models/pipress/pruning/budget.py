"""From "this share of the parameters" to shapes that load: arithmetic on config.json's sizes, no weights."""

from collections.abc import Iterator

from pipress.errors import StageError
from pipress.pruning.shape import BLOCK_ROW, FEWEST_LAYERS, K_QUANT_ROW, Shape, check_shape, problems_of

# How far from the wanted share a multiple of 256 may be before a multiple of 32 is taken instead.
TOLERANCE = 0.2
# FFNs of at least this width are cut in steps of 256 only, where blocks and heads can take what such a step is off by.
WIDE = 16 * K_QUANT_ROW


def narrower(shape: Shape, parameters: float) -> Shape:
    """The shape with the FFN width that removes about `parameters`.

    A multiple of 256 where one comes close, else of 32. Raises StageError where no width would do.
    """
    per_channel = shape.channel_parameters * shape.layers
    wanted = shape.ffn - parameters / per_channel
    for step in (K_QUANT_ROW, BLOCK_ROW):
        nearest = round(wanted / step) * step
        close = abs(nearest - wanted) <= TOLERANCE * (shape.ffn - wanted)
        if step <= nearest < shape.ffn and (close or step == BLOCK_ROW):
            return check_shape(shape.smaller(ffn=nearest))
    least, most = (channels * per_channel / shape.parameters for channels in (BLOCK_ROW, shape.ffn - BLOCK_ROW))
    raise StageError(
        f"removing {parameters / shape.parameters:.0%} of the parameters would need an FFN width of {wanted:.0f} (it "
        f"is {shape.ffn}); llama.cpp loads multiples of {BLOCK_ROW} that are smaller",
        f"choose pruningRatio between {least:.3f} and {max(0, most):.2f}, or another method",
    )


def shallower(shape: Shape, parameters: float) -> Shape:
    """The shape with as many whole blocks less as come nearest to `parameters`. Raises StageError where none do."""
    dropped, share = round(parameters / shape.layer_parameters), parameters / shape.parameters
    if 1 <= dropped <= shape.layers - FEWEST_LAYERS:
        return check_shape(shape.smaller(layers=shape.layers - dropped))
    least, most = (n * shape.layer_parameters / shape.parameters for n in (1, shape.layers - FEWEST_LAYERS))
    raise StageError(
        f"removing {share:.0%} of the parameters would drop {dropped} of {shape.layers} blocks; at least 1 must go "
        f"and {FEWEST_LAYERS} must stay",
        f"choose pruningRatio between {least / 2:.3f} and {most:.2f}, or another method",
    )


def fewer_heads(shape: Shape, parameters: float) -> Shape:
    """The shape with as many groups of heads less as come nearest to `parameters`.

    A group is a key-value head with its query heads. Raises StageError where no number of them loads, or the nearest is
    nowhere near.
    """
    group_parameters = shape.kv_group_parameters * shape.layers
    options = [shape.smaller(kv_heads=kv) for kv in range(1, shape.kv_heads)]
    options = [option for option in options if not problems_of(option)]
    shares = sorted((shape.parameters - option.parameters) / shape.parameters for option in options)
    nearest = min(options, key=lambda option: abs(shape.parameters - option.parameters - parameters), default=None)
    if nearest is None or abs(shape.parameters - nearest.parameters - parameters) > 0.5 * group_parameters:
        named = ", ".join(f"{share:.3f}" for share in shares) or "none"
        raise StageError(
            f"removing {parameters / shape.parameters:.0%} of the parameters is not a whole number of the "
            f"{shape.kv_heads} key-value heads with their query heads, the same in every layer",
            f"what whole groups come to here: {named}; choose pruningRatio near one of these, or another method",
        )
    return check_shape(nearest)


def mixes(shape: Shape, parameters: float) -> Iterator[Shape]:
    """Every combination of dropped blocks, dropped key-value heads and FFN width that removes about `parameters`."""
    step = K_QUANT_ROW if shape.ffn >= WIDE else BLOCK_ROW
    for kv_heads in range(shape.kv_heads, 0, -1):
        for layers in range(shape.layers, FEWEST_LAYERS - 1, -1):
            started = shape.smaller(kv_heads=kv_heads, layers=layers)
            left = parameters - (shape.parameters - started.parameters)
            per_step = started.channel_parameters * layers * step
            if abs(left) < per_step / 2:
                candidate = started
            elif left < 0:
                break
            else:
                width = round((started.ffn - left / (started.channel_parameters * layers)) / step) * step
                candidate = started.smaller(ffn=width)
            if candidate != shape and not problems_of(candidate):
                yield candidate
