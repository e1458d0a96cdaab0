"""Which type each tensor gets under a budget of bytes: a multiple-choice knapsack.

Every tensor's options are reduced to their lower convex hull; then the step that saves the most loss per byte is taken
until no step fits. That is the optimum but for the last step (Sinha and Zoltners, "The Multiple-Choice Knapsack
Problem", Operations Research 27, 1979), and with hundreds of tensors the last step is small.
"""

import heapq
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One type for one tensor: its bytes in the file, and what it is expected to cost in nats."""

    kind: str
    bytes: int
    loss: float


def allocate(options: dict[str, list[Option]], budget: int) -> dict[str, str]:
    """One type per tensor, together of at most `budget` bytes and of the least loss.

    Raises ValueError when even the smallest options exceed the budget.
    """
    hulls = {name: lower_hull(choices) for name, choices in options.items()}
    taken = dict.fromkeys(hulls, 0)
    left = budget - sum(hull[0].bytes for hull in hulls.values())
    if left < 0:
        raise ValueError(f"the smallest options take {-left} bytes more than there are")
    steps: list[tuple[float, str]] = []

    def offer(name: str) -> None:
        hull, step = hulls[name], taken[name]
        if step + 1 < len(hull):
            current, following = hull[step], hull[step + 1]
            heapq.heappush(steps, ((following.loss - current.loss) / (following.bytes - current.bytes), name))

    for name in hulls:
        offer(name)
    while steps:
        _, name = heapq.heappop(steps)
        step = hulls[name][taken[name] + 1].bytes - hulls[name][taken[name]].bytes
        if step <= left:
            left -= step
            taken[name] += 1
            offer(name)
        # A tensor whose next step does not fit is done; smaller steps of others may still fit.
    chosen = {name: hulls[name][step].kind for name, step in taken.items()}
    return refine(options, chosen, left)


def refine(options: dict[str, list[Option]], chosen: dict[str, str], left: int) -> dict[str, str]:
    """Spends `left` bytes on the single exchanges that help most, also on options off the hull."""
    now = {name: next(option for option in options[name] if option.kind == kind) for name, kind in chosen.items()}
    while True:
        gains = [
            (now[name].loss - option.loss, name, option)
            for name, choices in options.items()
            for option in choices
            if option.bytes - now[name].bytes <= left and option.loss < now[name].loss
        ]
        if not gains:
            return {name: option.kind for name, option in now.items()}
        _, name, option = max(gains, key=lambda gain: gain[0])
        left -= option.bytes - now[name].bytes
        now[name] = option


def lower_hull(options: list[Option]) -> list[Option]:
    """The options that some price per byte would choose, smallest first."""
    hull: list[Option] = []
    for option in sorted(options, key=lambda option: (option.bytes, option.loss)):
        if hull and (option.bytes == hull[-1].bytes or option.loss >= hull[-1].loss):
            continue
        hull.append(option)
        while len(hull) >= 3 and _slope(hull[-3], hull[-2]) >= _slope(hull[-2], hull[-1]):
            del hull[-2]
    return hull


def _slope(a: Option, b: Option) -> float:
    return (b.loss - a.loss) / (b.bytes - a.bytes)
