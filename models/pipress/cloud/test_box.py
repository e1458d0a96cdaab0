"""Boxes that really boot, here: the real boot script, a real S3 server, real stages; AWS besides S3 is a double."""

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

from pipress.cloud.desk import Desk
from pipress.cloud.documents import BucketDocuments
from pipress.cloud.testing.aws import AwsDouble
from pipress.cloud.testing.machine import MODELS, Machine
from pipress.conftest import KEY, prose
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import open_bucket
from pipress.store.store import open_store

Machines = Callable[..., Machine]
slow = pytest.mark.skipif(os.environ.get("PIPRESS_IT") != "1", reason="takes a while: only with PIPRESS_IT=1")


def desk_of(machine: Machine) -> Desk:
    return Desk(BucketDocuments(open_bucket(parse_s3_url(machine.store))), machine.box)


def put_job(
    machine: Machine, stage: str, params: dict[str, Any], inputs: dict[str, str] | None = None, **tools: str
) -> Desk:
    """Puts a job on the box's desk as the operator does."""
    spec = {
        **{"stage": stage, "name": stage, "key": KEY, "run": "run-1", "params": params, "inputs": inputs or {}},
        **{"store": machine.store, "toolVersions": tools},
    }
    desk = desk_of(machine)
    assert desk.submit(KEY, {"submission": "s1", "submittedAt": time.time(), "spec": spec})
    return desk


def run_as_operator(machine: Machine, stage: str, params: dict[str, Any]) -> "subprocess.Popen[str]":
    """Starts what a stage's command is, with the job on standard input."""
    spec = {"stage": stage, "name": stage, "key": KEY, "run": "run-1", "params": params, "inputs": {}}
    told = {
        "spec": {**spec, "store": machine.store, "toolVersions": {}},
        **{"box": machine.box, "groups": ["pipress-test-build-spot"], "region": "us-east-1"},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipress", "cloud", "run"],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        env={**os.environ, "PYTHONPATH": str(MODELS), "PIPRESS_DATA": str(machine.home / "operator")},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told))
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


def boot_of(desk: Desk) -> dict[str, Any]:
    return desk.boots()[-1]


def watch_log(desk: Desk, aws: AwsDouble) -> bytes:
    """What a box's watchdog has left in the bucket."""
    return desk.documents.get(f"{desk.root}/boots/{aws.instance}-watch.log") or b""


def test_a_box_takes_its_job_does_it_leaves_artifact_log_and_cost_and_ends_itself(
    machine: Machines, aws: AwsDouble, text_source: Any, tmp_path: Path
) -> None:
    box = machine()
    desk = desk_of(box)
    aws.parameters["/pipress/test/token"] = "hf_secret"
    aws.capacity = {"pipress-test-build-spot": 0}
    operator = run_as_operator(box, "fetch-dataset", texts(text_source))
    box.wait(lambda: aws.capacity["pipress-test-build-spot"] == 1, "the operator to ask for a box")
    assert box.boot() == 0, box.logs()
    out, err = operator.communicate(timeout=60)
    assert operator.returncode == 0, err
    assert json.loads(out)["key"] == KEY and "fetch-dataset waiting for a box" in err
    assert (box.home / "shutdown").read_text() == "-P +600\n"
    box.wait(box.is_off, "the box's end")

    manifest = open_store(box.store, tmp_path / "operator" / "jobs").manifest(KEY)
    assert manifest is not None and sorted(manifest["files"]) == ["calibration.txt", "evaluation.txt"]
    # A dollar a second here; the box also works a little before and after what `seconds` counts.
    assert manifest["run"] == "run-1" and manifest["seconds"] - 0.1 <= manifest["costUsd"] < manifest["seconds"] + 60
    status = desk.status(KEY)
    assert status is not None and status["state"] == "done"
    assert desk.job(KEY) is None
    log = desk.documents.get(desk.log(KEY))
    assert log is not None and b"fetch-dataset, run run-1" in log
    boot = boot_of(desk)
    assert (boot["state"], boot["why"], boot["type"]) == ("ended", "its jobs are done", "g6e.2xlarge")
    assert boot["costUsd"] == pytest.approx(boot["until"] - boot["began"], abs=0.1)
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    said = b"".join(desk.documents.get(path) or b"" for path in desk.documents.list(f"{desk.root}/boots/"))
    assert b"ending this box: its jobs are done" in said and b"fetch-dataset done" in said
    assert b"hf_secret" not in said + log


def test_a_job_that_fails_says_why_and_the_box_ends(machine: Machines, aws: AwsDouble) -> None:
    box = machine()
    desk = put_job(box, "prune", {"pruningRatio": 0.1}, {"model": "cd" * 32, "datasets": "cd" * 32})
    assert box.boot() == 0, box.logs()
    box.wait(box.is_off, "the box's end")
    status = desk.status(KEY)
    assert status is not None and status["state"] == "failed" and desk.job(KEY) is None
    assert "is not in the store" in status["error"]["what"] and status["error"]["remedy"].startswith("run `up` again")
    assert boot_of(desk)["why"] == "its last job failed" and len(aws.ended()) == 1
    assert b"is not in the store" in (desk.documents.get(desk.log(KEY)) or b"")
    assert b"ending this box: its last job failed" in watch_log(desk, aws)


@pytest.mark.parametrize(
    ("limits", "gpu_percent", "why"),
    [
        ({"noProgressSeconds": 8}, 90, "the job has made no progress for 8 s"),
        pytest.param({"gpuIdleSeconds": 8}, 0, "the GPU has had nothing to do for 8 s", marks=slow),
        pytest.param({"maxHours": 20 / 3600}, 90, "hours, its limit is", marks=slow),
        pytest.param({"maxCostUsd": 20}, 90, "its limit is $20.00", marks=slow),
    ],
)
def test_a_box_that_only_costs_money_ends_with_its_job_and_says_why(
    machine: Machines, aws: AwsDouble, limits: dict[str, float], gpu_percent: int, why: str
) -> None:
    box = machine(gpu=True, **limits)
    desk = put_job(box, "prune", {"pruningRatio": 0.1}, {"model": "cd" * 32, "datasets": "cd" * 32})
    box.gpu_percent.write_text(str(gpu_percent))
    with hold_turn(box):
        assert box.boot() == 0, box.logs()
        box.wait(box.is_off, "the box's end")
    status = desk.status(KEY)
    assert status is not None and status["state"] == "failed" and desk.job(KEY) is None
    assert status["error"]["what"].startswith("its box was ended: ") and why in status["error"]["what"]
    assert boot_of(desk)["state"] == "ended" and why in boot_of(desk)["why"]
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    assert b"prune, run run-1" in (desk.documents.get(desk.log(KEY)) or b"")
    assert f"ending this box: {boot_of(desk)['why']}".encode() in watch_log(desk, aws)


def test_a_box_whose_code_was_meddled_with_runs_none_of_it_and_its_group_starts_no_other(
    machine: Machines, aws: AwsDouble
) -> None:
    box = machine()
    box.user_data.write_text(re.sub("source_sha256=.*", f"source_sha256={'0' * 64}", box.user_data.read_text()))
    assert box.boot() != 0
    assert box.is_off() and not (box.home / "source").exists()
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]
    [path] = desk_of(box).documents.list(f"boxes/{box.box}/boots/")
    assert path.endswith("-boot.log") and b"FAILED" in (desk_of(box).documents.get(path) or b"")


@slow
def test_a_spot_box_that_is_taken_back_saves_its_checkpoint_and_the_next_one_goes_on(
    machine: Machines, aws: AwsDouble, tiny_model: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    limits = {"maxCostUsd": 10_000}  # a box costs a dollar a second here
    box = machine(gpu=True, **limits)
    model, student, words = (letter * 64 for letter in "abc")
    store = open_store(box.store, tmp_path / "operator" / "jobs")
    for key, folder in ((model, tiny_model), (student, tiny_model), (words, tiny_texts)):
        out = store.begin(key)
        for file in folder.iterdir():
            (out / file.name).write_bytes(file.read_bytes())
        store.commit(key, {"run": "made-up", "key": key})
    params = {"tokens": 200 * 4 * 32, "sequenceLength": 32, "batchSize": 4, "checkpointEverySteps": 2, "rank": 4}
    key = "ee" * 32
    spec = {
        **{"stage": "recover", "name": "recover", "key": key, "run": "run-1", "toolVersions": {}, "store": box.store},
        **{
            # Patience: there is nothing to recover here, and yet it is to go on to the end.
            "params": {**params, "validationTokens": 256, "earlyStoppingPatience": 100},
            "inputs": {"model": student, "teacher": model, "datasets": words},
        },
    }
    desk = desk_of(box)
    desk.submit(key, {"submission": "s1", "submittedAt": time.time(), "spec": spec})
    assert box.boot() == 0, box.logs()
    log = box.place_log(key)
    box.wait(lambda: log.exists() and "step 6/200" in log.read_text(), "a few steps of training")
    aws.interrupt()
    box.wait(box.is_off, "the box's end")
    status = desk.status(key)
    assert status is not None and status["state"] == "interrupted" and desk.job(key) is not None
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["false"]
    assert desk.documents.get(desk.checkpoint(key)) is not None
    assert b"step 6/200" in (desk.documents.get(desk.log(key)) or b"")
    assert b"ending this box: EC2 takes the spot instance back" in watch_log(desk, aws)

    second = AwsDouble("i-0fedcba9876543210")
    again = machine(second, gpu=True, **limits)
    assert again.boot() == 0, again.logs()
    again.wait(again.is_off, "the second box's end")
    second.stop()
    manifest = store.manifest(key)
    assert manifest is not None, again.logs()
    assert manifest["metrics"]["steps"] == 200
    assert "going on from the checkpoint after step" in again.place_log(key).read_text()
    assert desk.documents.get(desk.checkpoint(key)) is None
    assert [boot["state"] for boot in desk.boots()] == ["ended", "ended"]
    assert json.dumps(desk.boots()).count("EC2 takes the spot instance back") == 1
