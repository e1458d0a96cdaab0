"""Instances that really boot, here: the real boot script, a real S3 server, real stages; AWS besides S3 is a double."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipress.cloud.documents import BucketDocuments
from pipress.cloud.job_queue import JobQueue
from pipress.cloud.testing.aws import AwsDouble
from pipress.cloud.testing.machine import MODELS, Machine
from pipress.conftest import KEY, prose
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import open_bucket
from pipress.store.store import open_store

Machines = Callable[..., Machine]
slow = pytest.mark.skipif(os.environ.get("PIPRESS_IT") != "1", reason="takes a while: only with PIPRESS_IT=1")


def queue_of(machine: Machine) -> JobQueue:
    return JobQueue(BucketDocuments(open_bucket(parse_s3_url(machine.store))), machine.queue)


def put_job(
    machine: Machine, stage: str, params: dict[str, Any], inputs: dict[str, str] | None = None, **tools: str
) -> JobQueue:
    """Puts a job on the instance's queue as the operator does."""
    spec = {
        **{"stage": stage, "name": stage, "key": KEY, "run": "run-1", "params": params, "inputs": inputs or {}},
        **{"store": machine.store, "toolVersions": tools},
    }
    queue = queue_of(machine)
    assert queue.submit(KEY, {"submission": "s1", "submittedAt": time.time(), "spec": spec})
    return queue


def run_as_operator(machine: Machine, stage: str, params: dict[str, Any]) -> "subprocess.Popen[str]":
    """Starts what a stage's command is, with the job on standard input."""
    spec = {"stage": stage, "name": stage, "key": KEY, "run": "run-1", "params": params, "inputs": {}}
    order = {
        "spec": {**spec, "store": machine.store, "toolVersions": {}},
        **{"queue": machine.queue, "groups": ["pipress-test-build-spot"], "region": "us-east-1"},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipress", "cloud", "run"],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        env={**os.environ, "PYTHONPATH": str(MODELS), "PIPRESS_DATA": str(machine.home / "operator")},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    process.stdin = None
    return process


def texts(text_source: Any) -> dict[str, Any]:
    return {"calibration": [text_source("a.txt", prose(1, 50))], "evaluation": [text_source("b.txt", prose(2, 50))]}


def hold_turn(machine: Machine) -> Any:
    """Keeps a heavy job waiting, as another job at work would."""
    slot = machine.home / "data" / "jobs" / "slot"
    slot.parent.mkdir(parents=True)
    file = open(slot, "w")  # noqa: SIM115 (the test holds it)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def record_of(queue: JobQueue) -> dict[str, Any]:
    return queue.instances()[-1]


def watch_log(queue: JobQueue, aws: AwsDouble) -> bytes:
    """What an instance's watchdog has left in the bucket."""
    return queue.documents.get(f"{queue.root}/boots/{aws.instance}-watch.log") or b""


def test_an_instance_takes_its_job_does_it_leaves_artifact_log_and_cost_and_ends_itself(
    machine: Machines, aws: AwsDouble, text_source: Any, tmp_path: Path
) -> None:
    instance = machine()
    queue = queue_of(instance)
    aws.parameters["/pipress/test/token"] = "hf_secret"
    aws.capacity = {"pipress-test-build-spot": 0}
    operator = run_as_operator(instance, "fetch-dataset", texts(text_source))
    instance.wait(lambda: aws.capacity["pipress-test-build-spot"] == 1, "the operator to ask for an instance")
    assert instance.boot() == 0, instance.logs()
    out, err = operator.communicate(timeout=60)
    assert operator.returncode == 0, err
    assert json.loads(out)["key"] == KEY and "fetch-dataset waiting for an instance" in err
    assert (instance.home / "shutdown").read_text() == "-P +600\n"
    instance.wait(instance.is_off, "the instance's end")

    manifest = open_store(instance.store, tmp_path / "operator" / "jobs").manifest(KEY)
    assert manifest is not None and sorted(manifest["files"]) == [
        "calibration.jsonl",
        "evaluation.jsonl",
        "validation.jsonl",
    ]
    # A dollar a second here; the instance also works a little before and after what `seconds` counts.
    assert manifest["run"] == "run-1" and manifest["seconds"] - 0.1 <= manifest["costUsd"] < manifest["seconds"] + 60
    status = queue.status(KEY)
    assert status is not None and status["state"] == "done"
    assert queue.job(KEY) is None
    log = queue.documents.get(queue.log(KEY))
    assert log is not None and b"fetch-dataset, run run-1" in log
    record = record_of(queue)
    assert (record["state"], record["why"], record["type"]) == ("ended", "its jobs are done", "g6e.2xlarge")
    assert record["costUsd"] == pytest.approx(record["until"] - record["began"], abs=0.1)
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    logs = b"".join(queue.documents.get(path) or b"" for path in queue.documents.list(f"{queue.root}/boots/"))
    assert b"ending this instance: its jobs are done" in logs and b"fetch-dataset done" in logs
    assert b"hf_secret" not in logs + log


def test_a_job_that_fails_says_why_and_the_instance_ends(machine: Machines, aws: AwsDouble) -> None:
    instance = machine()
    queue = put_job(instance, "prune", {"pruningRatio": 0.1}, {"model": "cd" * 32, "datasets": "cd" * 32})
    assert instance.boot() == 0, instance.logs()
    instance.wait(instance.is_off, "the instance's end")
    status = queue.status(KEY)
    assert status is not None and status["state"] == "failed" and queue.job(KEY) is None
    assert "is not in the store" in status["error"]["what"] and status["error"]["remedy"].startswith("run `up` again")
    assert record_of(queue)["why"] == "its last job failed" and len(aws.ended()) == 1
    assert b"is not in the store" in (queue.documents.get(queue.log(KEY)) or b"")
    assert b"ending this instance: its last job failed" in watch_log(queue, aws)


@pytest.mark.parametrize(
    ("limits", "gpu_percent", "why"),
    [
        ({"stallTimeoutSeconds": 8}, 90, "the job has made no progress for 8 s"),
        pytest.param({"gpuIdleTimeoutSeconds": 8}, 0, "the GPU has had nothing to do for 8 s", marks=slow),
        pytest.param({"maxSeconds": 20}, 90, "its limit is 20 s", marks=slow),
        pytest.param({"maxCostUsd": 20}, 90, "its limit is $20.00", marks=slow),
    ],
)
def test_an_instance_that_only_costs_money_ends_with_its_job_and_says_why(
    machine: Machines, aws: AwsDouble, limits: dict[str, float], gpu_percent: int, why: str
) -> None:
    instance = machine(gpu=True, **limits)
    queue = put_job(instance, "prune", {"pruningRatio": 0.1}, {"model": "cd" * 32, "datasets": "cd" * 32})
    instance.gpu_percent.write_text(str(gpu_percent))
    with hold_turn(instance):
        assert instance.boot() == 0, instance.logs()
        instance.wait(instance.is_off, "the instance's end")
    status = queue.status(KEY)
    assert status is not None and status["state"] == "failed" and queue.job(KEY) is None
    assert status["error"]["what"].startswith("its instance was ended: ") and why in status["error"]["what"]
    assert record_of(queue)["state"] == "ended" and why in record_of(queue)["why"]
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    assert b"prune, run run-1" in (queue.documents.get(queue.log(KEY)) or b"")
    assert f"ending this instance: {record_of(queue)['why']}".encode() in watch_log(queue, aws)


def test_an_instance_whose_code_was_meddled_with_runs_none_of_it_and_its_group_starts_no_other(
    machine: Machines, aws: AwsDouble
) -> None:
    instance = machine()
    user_data = instance.user_data.read_text()
    instance.user_data.write_text(re.sub("source_sha256=.*", f"source_sha256={'0' * 64}", user_data))
    assert instance.boot() != 0
    assert instance.is_off() and not (instance.home / "source").exists()
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    [path] = queue_of(instance).documents.list(f"boxes/{instance.queue}/boots/")
    assert path.endswith("-boot.log") and b"FAILED" in (queue_of(instance).documents.get(path) or b"")


@slow
def test_a_spot_instance_that_is_taken_back_saves_its_checkpoint_and_the_next_one_goes_on(
    machine: Machines, aws: AwsDouble, tiny_model: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    limits = {"maxCostUsd": 10_000}  # an instance costs a dollar a second here
    instance = machine(gpu=True, **limits)
    model, student, words = (letter * 64 for letter in "abc")
    store = open_store(instance.store, tmp_path / "operator" / "jobs")
    for key, folder in ((model, tiny_model), (student, tiny_model), (words, tiny_texts)):
        out = store.begin(key)
        for file in folder.iterdir():
            (out / file.name).write_bytes(file.read_bytes())
        store.commit(key, {"run": "made-up", "key": key})
    params = {"tokens": 200 * 4 * 32, "sequenceLength": 32, "batchSize": 4, "checkpointEverySteps": 2, "rank": 4}
    key = "ee" * 32
    spec = {
        **{"stage": "recover", "name": "recover", "key": key, "run": "run-1"},
        **{"toolVersions": {}, "store": instance.store},
        **{
            # Patience: there is nothing to recover here, and yet it is to go on to the end.
            "params": {**params, "validationTokens": 256, "earlyStoppingPatience": 100},
            "inputs": {"model": student, "teacher": model, "datasets": words},
        },
    }
    queue = queue_of(instance)
    queue.submit(key, {"submission": "s1", "submittedAt": time.time(), "spec": spec})
    assert instance.boot() == 0, instance.logs()
    log = instance.log_path(key)
    instance.wait(lambda: log.exists() and "step 6/200" in log.read_text(), "a few steps of training")
    aws.interrupt()
    instance.wait(instance.is_off, "the instance's end")
    status = queue.status(key)
    assert status is not None and status["state"] == "interrupted" and queue.job(key) is not None
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["false"]
    assert queue.documents.get(queue.checkpoint(key)) is not None
    assert b"step 6/200" in (queue.documents.get(queue.log(key)) or b"")
    assert b"ending this instance: EC2 takes the spot instance back" in watch_log(queue, aws)

    second = AwsDouble("i-0fedcba9876543210")
    again = machine(second, gpu=True, **limits)
    assert again.boot() == 0, again.logs()
    again.wait(again.is_off, "the second instance's end")
    second.stop()
    manifest = store.manifest(key)
    assert manifest is not None, again.logs()
    assert manifest["metrics"]["steps"] == 200
    assert "going on from the checkpoint after step" in again.log_path(key).read_text()
    assert queue.documents.get(queue.checkpoint(key)) is None
    assert [record["state"] for record in queue.instances()] == ["ended", "ended"]
    assert json.dumps(queue.instances()).count("EC2 takes the spot instance back") == 1
