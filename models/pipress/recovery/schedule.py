"""The learning rate over a training."""

import math

WARM_UP = 0.05
FLOOR = 0.1


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rate of step `step` of `steps` (from 0): a linear warm-up, then a cosine down to a tenth of the peak."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return peak * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2)
