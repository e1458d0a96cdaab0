from dataclasses import replace

import pytest

from pipress.cloud.conftest import LIMITS
from pipress.cloud.judge import Seen, judge

BUSY = Seen(
    now=10_000, interrupted=False, beat=9_999, working=True, changed=9_990, idle_since=0, last="", gpu_busy=9_980,
    hours=2, cost_usd=4,
)  # fmt: skip
IDLE = replace(BUSY, working=False, idle_since=9_900)


@pytest.mark.parametrize("seen", [BUSY, IDLE, replace(BUSY, gpu_busy=None)])
def test_an_instance_with_something_to_do_or_that_has_only_just_nothing_to_do_goes_on(seen: Seen) -> None:
    assert judge(seen, LIMITS) is None


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(BUSY, changed=8_199), "the job has made no progress for 30 minutes"),
        (replace(BUSY, gpu_busy=8_799), "the GPU has had nothing to do for 20 minutes"),
        (replace(BUSY, hours=12), "it has run for 12 h 00 min, its limit is 12 h 00 min"),
        (replace(BUSY, cost_usd=20.004), "it has cost $20.00, its limit is $20.00"),
        (replace(BUSY, beat=9_819), "nothing takes jobs on it any more"),
    ],
)
def test_a_job_that_the_instance_is_ended_for_has_failed_and_its_owner_is_told_what_to_do(seen: Seen, why: str) -> None:
    end = judge(seen, LIMITS)
    assert end is not None and end.why == why and not end.relaunch and end.blame


@pytest.mark.parametrize(
    ("last", "why"), [("done", "its jobs are done"), ("failed", "its last job failed"), ("", "nobody gave it a job")]
)
def test_an_instance_without_a_job_waits_a_while_for_another_and_goes(last: str, why: str) -> None:
    end = judge(replace(IDLE, idle_since=9_699, last=last), LIMITS)
    assert end is not None and end.why == why and end.blame is None and not end.relaunch


def test_an_instance_that_ec2_takes_back_is_no_fault_of_its_job_and_another_takes_its_place() -> None:
    # Also when something else is wrong: there are two minutes left to save what there is.
    end = judge(replace(BUSY, interrupted=True, hours=99, changed=0), LIMITS)
    assert end is not None and end.relaunch and end.blame is None
