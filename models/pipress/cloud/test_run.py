"""The operator's side: what it asks Auto Scaling for, and what it says when none starts. Auto Scaling is a double."""

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipress.cloud import run as operator
from pipress.cloud.documents import BucketDocuments
from pipress.cloud.job_queue import JobQueue
from pipress.cloud.launch import explain_launch
from pipress.cloud.testing.aws import AwsDouble
from pipress.conftest import KEY
from pipress.errors import StageError
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import open_bucket

SPOT, ON_DEMAND = "pipress-test-gpu-spot", "pipress-test-gpu-on-demand"
NO_SPOT = "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity. Launching failed."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No pauses; and the signal handlers of this process as they were."""
    for name in ("POLL_SECONDS", "ASK_SECONDS"):
        monkeypatch.setattr(operator, name, 0.02)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def order(url: str, *groups: str) -> dict[str, Any]:
    spec = {"stage": "prune", "name": "prune", "key": KEY, "run": "r", "params": {}, "inputs": {}, "toolVersions": {}}
    return {"spec": {**spec, "store": url}, "queue": "test/gpu", "groups": list(groups), "region": "us-east-1"}


def queue_at(url: str) -> JobQueue:
    return JobQueue(BucketDocuments(open_bucket(parse_s3_url(url))), "test/gpu")


def test_spot_comes_first_and_on_demand_after_it_where_it_is_allowed(
    aws: AwsDouble, s3_url: str, tmp_path: Path, capfd: Any
) -> None:
    aws.capacity = {SPOT: 0, ON_DEMAND: 0}
    aws.activities = {SPOT: [NO_SPOT] * 2, ON_DEMAND: ["InsufficientInstanceCapacity: no such thing here"] * 2}
    with pytest.raises(StageError, match="AWS has no such instance free in any zone") as caught:
        operator.run(order(s3_url, SPOT, ON_DEMAND), tmp_path / "jobs")
    assert "or run `up` again later; the job waits" in caught.value.remedy
    asked = [
        (c["AutoScalingGroupName"], c["DesiredCapacity"]) for c in aws.calls if c["Action"] == "SetDesiredCapacity"
    ]
    assert asked == [(SPOT, "1"), (SPOT, "0"), (ON_DEMAND, "1"), (ON_DEMAND, "0")]
    ends = [call for call in aws.calls if call["Action"] == "PutScheduledUpdateGroupAction"]
    assert [(end["AutoScalingGroupName"], end["DesiredCapacity"]) for end in ends] == [(SPOT, "0"), (ON_DEMAND, "0")]
    hours = (datetime.fromisoformat(ends[0]["StartTime"]) - datetime.now(UTC)).total_seconds() / 3600
    assert 11.9 < hours < 12.1, "AWS itself takes the instance down after the hours that its group's tag says"
    assert "asking for an on-demand instance" in capfd.readouterr().err
    assert queue_at(s3_url).job(KEY) is not None


@pytest.mark.parametrize(
    ("message", "what", "remedy"),
    [
        (NO_SPOT, "AWS has no such instance free in any zone", "onDemand: true"),
        ("VcpuLimitExceeded: your current vCPU limit of 0", "AWS lets this account start no such instance", "G and VT"),
        ("MaxSpotInstanceCountExceeded: Max spot instance count exceeded", "lets this account start no", "quota"),
        ("You are not authorized to perform this operation", "AWS may not start the instance", "operator-policy.json"),
        ("Internal error", "AWS could not start the instance: Internal error", "EC2 console"),
    ],
)
def test_every_reason_for_no_instance_is_one_clear_error(message: str, what: str, remedy: str) -> None:
    error = explain_launch(message, "home/gpu")
    assert what in error.what and remedy in error.remedy


def test_a_quota_of_zero_ends_at_once_and_lets_the_group_sleep(aws: AwsDouble, s3_url: str, tmp_path: Path) -> None:
    aws.capacity = {SPOT: 0}  # the other group is declared only with consent
    aws.activities = {SPOT: ["VcpuLimitExceeded: You have requested more vCPU capacity than your limit of 0"]}
    with pytest.raises(StageError, match="lets this account start no such instance"):
        operator.run(order(s3_url, SPOT, ON_DEMAND), tmp_path / "jobs")
    assert aws.capacity == {SPOT: 0}


def test_an_instance_that_was_not_declared_is_one_clear_error(aws: AwsDouble, s3_url: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=f"there is no Auto Scaling group {SPOT} — run `up` again"):
        operator.run(order(s3_url, SPOT), tmp_path / "jobs")


def test_of_two_operators_the_second_attaches_to_the_job_of_the_first(
    aws: AwsDouble, s3_url: str, tmp_path: Path, capfd: Any
) -> None:
    aws.capacity = {SPOT: 1}
    queue, job = queue_at(s3_url), {"submission": "theirs", "submittedAt": time.time(), "spec": order(s3_url)["spec"]}
    queue.submit(KEY, job)
    older = {**job, "submission": "an older one"}
    queue.report(older, "failed", "old news", "i-0", error={"what": "old", "remedy": ""})
    queue.report(job, "failed", "prune failed", "i-1", error={"what": "the model is no Llama", "remedy": "name one"})
    with pytest.raises(StageError, match="the model is no Llama — name one"):
        operator.run(order(s3_url, SPOT), tmp_path / "jobs")
    assert "is in the job queue already: attaching" in capfd.readouterr().err
    assert not [call for call in aws.calls if call["Action"] == "SetDesiredCapacity"]
