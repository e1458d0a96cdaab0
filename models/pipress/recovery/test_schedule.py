"""The learning rate, step by step."""

from typing import Any

import pytest

from pipress.recovery.schedule import learning_rate


def rates(steps: int, peak: float = 1.0, **schedule: Any) -> list[float]:
    return [learning_rate(step, steps, peak, schedule) for step in range(steps)]


def test_the_rate_rises_by_equal_steps_to_the_peak_and_falls_from_there() -> None:
    assert rates(10, warmup=0.4, decay="linear", floor=0.0) == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    )
    assert rates(10, 3.0, warmup=0.2, decay="constant", floor=0.5) == pytest.approx([1.5, *[3.0] * 9])


def test_a_cosine_falls_as_a_half_wave_to_its_floor() -> None:
    falling = rates(101, 2.0, warmup=0.0, decay="cosine", floor=0.2)[1:]
    # From step 1 to 101 half a wave: its quarters are known.
    assert [falling[0], falling[25], falling[50], falling[75]] == pytest.approx(
        [2, 0.4 + 1.6 * 0.853553, 1.2, 0.634315]
    )
    assert falling == sorted(falling, reverse=True) and 0.4 < falling[-1] < 0.401
    turned = [2.4 - rate for rate in falling[1:][::-1]]
    assert falling[1:] == pytest.approx(turned), "as slow at its end as at its beginning"


@pytest.mark.parametrize("decay", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_floor_of_the_peak_is_never_gone_below(decay: str, steps: int) -> None:
    falling = rates(steps, 4.0, warmup=0.0, decay=decay, floor=0.25)
    assert falling[0] == 4.0 and all(1.0 <= rate <= 4.0 for rate in falling)
    assert rates(steps, 4.0, warmup=0.0, decay=decay, floor=1.0) == [4.0] * steps


def test_a_warm_up_over_the_whole_training_ends_at_the_peak() -> None:
    assert rates(4, warmup=1.0, decay="cosine", floor=0.0) == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates(1, warmup=1.0, decay="cosine", floor=0.0) == [1.0]
