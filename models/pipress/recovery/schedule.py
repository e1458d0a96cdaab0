"""The learning rate over a training."""

import math
from typing import Any


def learning_rate(step: int, steps: int, peak: float, schedule: dict[str, Any]) -> float:
    """Rate of step `step` of `steps` (from 0): a linear warm-up, then down to `floor` of the peak.

    schedule: `decay` (`cosine`, `linear` or `constant`), `warmup` and `floor`, as in recipe.schema.json.
    """
    warm_up = max(1, round(schedule["warmup"] * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    left = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[schedule["decay"]]
    return peak * (schedule["floor"] + (1 - schedule["floor"]) * left)
