"""What more tokens of recovery still gained, by held-back text: paired, row by row, so that small gains show."""

from typing import Any

import numpy as np

from pipress.evaluation.scores import Estimate, mean_of_rows

# The end of the training that says whether it still gained.
LAST_SHARE = 0.1


def gain(earlier: dict[str, Any], later: dict[str, Any]) -> Estimate:
    """By how much the loss fell between two looks at held-back text, nats per token."""
    return mean_of_rows(np.subtract(earlier["rows"], later["rows"])[:, None])


def describe_flattening(looks: list[dict[str, Any]]) -> str:
    """Whether the last part of the training gained more than the error of that figure, and since when none did.

    looks: at held-back text, with `tokens` trained on before it and the loss of its `rows`. Empty where there are too
    few of either to tell.
    """
    if len(looks) < 2 or not all(len(look["rows"]) > 1 for look in looks):
        return ""
    last = looks[-1]
    before = [look for look in looks if look["tokens"] <= (1 - LAST_SHARE) * last["tokens"]][-1]
    end = gain(before, last)
    figures = (
        f"From {before['tokens']:,} to {last['tokens']:,} tokens the held-back loss fell by "
        f"{end.value:.4f} ± {end.error:.4f} nats per token"
    )
    if end.value > end.error:
        return f"{figures}: more tokens should gain more."
    flat = next(look for look in looks if (left := gain(look, last)).value <= left.error)
    return f"{figures}, no more than its error: flat from {flat['tokens']:,} tokens on."
