"""The watchdog by itself: its clock, GPU, bucket and power switch are the test's; AWS's APIs are the usual double."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipress.cloud import watch
from pipress.cloud.conftest import LIMITS
from pipress.cloud.home import Home
from pipress.cloud.job_queue import JobQueue
from pipress.cloud.judge import End
from pipress.cloud.metadata import Metadata
from pipress.cloud.services import Services
from pipress.cloud.settings import Settings
from pipress.cloud.testing.aws import AwsDouble
from pipress.cloud.worker import Worker
from pipress.conftest import KEY, PACKAGE_ROOT

BEGAN = 1_000_000.0
JOB = {
    "submission": "s1",
    "submittedAt": BEGAN - 100,
    "spec": {"key": KEY, "name": "prune", "run": "run-1", "stage": "prune"},
}


class Bucket:
    """Documents in memory, in the place of a bucket. `broken`: every request is refused."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.broken = False

    def _ask(self) -> None:
        if self.broken:
            raise OSError("the bucket does not answer")

    def get(self, path: str) -> bytes | None:
        self._ask()
        return self.documents.get(path)

    def put(self, path: str, body: bytes | Path, only_if_absent: bool = False) -> bool:
        self._ask()
        if only_if_absent and path in self.documents:
            return False
        self.documents[path] = body.read_bytes() if isinstance(body, Path) else body
        return True

    def delete(self, path: str) -> None:
        self._ask()
        del self.documents[path]

    def list(self, path: str) -> list[str]:
        self._ask()
        return [name for name in self.documents if name.startswith(path)]


class Box:
    """An instance with its watchdog."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, aws: AwsDouble, gpu: bool) -> None:
        self.folder, self.now = folder, BEGAN + 10
        (folder / "programs").mkdir()
        (folder / "booted").write_text(f"{BEGAN}\n")
        monkeypatch.setenv("PATH", f"{folder / 'programs'}:{os.environ['PATH']}")
        self.slept: list[float] = []
        monkeypatch.setattr(watch, "time", SimpleNamespace(time=lambda: self.now, sleep=self._sleep))
        self.program("poweroff")
        self.home, self.bucket, metadata = Home(folder), Bucket(), Metadata()
        self.queue = JobQueue(self.bucket, "test/gpu")
        prices = {"g6e.2xlarge": {"spot": 1.5, "on-demand": 3.0}}
        settings = Settings("test/gpu", "s3://b", "us-east-1", "amazonaws.com", gpu, None, prices, LIMITS)
        services = Services("us-east-1", "amazonaws.com", metadata.credentials)
        self.worker = Worker(
            self.home,
            settings,
            metadata,
            metadata.instance(),
            self.bucket,
            self.queue,
            services,  # type: ignore[arg-type]
        )
        self.home.note(beat=self.now)
        self.watch = watch._Watch(self.worker)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def program(self, name: str, script: str = "") -> None:
        """A stand-in for a program that writes down when it is called."""
        file = self.folder / "programs" / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.folder}/called\n{script}\n')
        file.chmod(0o755)

    def calls(self, name: str) -> int:
        called = self.folder / "called"
        return called.read_text().count(f"{name} ") if called.exists() else 0

    def work(self, line: str = "step 1", **more: Any) -> None:
        self.home.note(beat=self.now, job=JOB, line=line, **more)

    def look_after(self, seconds: float) -> Any:
        self.now += seconds
        return self.watch.look()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: AwsDouble) -> Box:
    return Box(tmp_path, monkeypatch, aws, gpu=False)


@pytest.fixture
def gpu_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: AwsDouble) -> Box:
    made = Box(tmp_path, monkeypatch, aws, gpu=True)
    made.program("nvidia-smi", "echo 90")
    return made


def test_an_instance_is_idle_since_its_last_job_ended(box: Box) -> None:
    start = box.now
    assert not box.look_after(20).working and box.look_after(20).idle_since == start
    box.work()
    seen = box.look_after(20)
    assert seen.working and seen.idle_since == box.now and seen.last == ""
    box.home.note(beat=box.now, last="done")
    ended = box.look_after(20)
    assert (ended.idle_since, ended.last, ended.working) == (box.now, "done", False)
    assert box.look_after(20).idle_since == box.now - 20


def test_time_without_a_job_is_none_without_progress(box: Box) -> None:
    box.look_after(5000)
    box.work()
    box.look_after(0)
    assert box.look_after(7).changed == box.now - 7


@pytest.mark.parametrize("sign", ["line", "log", "checkpoint"])
def test_line_log_and_checkpoint_of_a_job_are_its_signs_of_life(box: Box, sign: str) -> None:
    job = box.home.job(KEY)
    job.checkpoint.mkdir(parents=True)
    box.work()
    begun = box.look_after(5).now
    assert box.look_after(500).changed == begun
    if sign == "line":
        box.work("step 2")
    elif sign == "log":
        job.log.write_text("more")
    else:
        (job.checkpoint / "a.pt").write_text("weights")
    assert box.look_after(500).changed == box.now
    assert box.look_after(500).changed == box.now - 500


def test_the_server_of_jobs_is_heard_of_by_its_own_note(box: Box) -> None:
    assert box.look_after(50).beat == box.now - 50
    (box.folder / "server.json").unlink()
    assert box.look_after(50).beat == box.now - 100, "before its first note, since the watchdog's start"


@pytest.mark.parametrize(
    ("answer", "is_busy"),
    [
        ("echo 90", True),
        ("echo 5", True),
        ("echo 4", False),
        ("echo 0", False),
        ("echo 0; echo 60; echo 3", True),
        ("echo 2; echo 0", False),
        # A query that fails says nothing of the GPU.
        ("echo 0; exit 9", True),
        ("echo '[N/A]'", True),
        ("true", True),
    ],
)
def test_a_gpu_is_idle_where_it_says_so_itself_and_not_where_nobody_can_ask(
    gpu_box: Box, answer: str, is_busy: bool
) -> None:
    gpu_box.work()
    busy = gpu_box.look_after(20).gpu_busy
    gpu_box.program("nvidia-smi", answer)
    assert gpu_box.look_after(20).gpu_busy == (gpu_box.now if is_busy else busy)


def test_a_gpu_without_its_program_is_not_idle(gpu_box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_box.work()
    monkeypatch.setenv("PATH", str(gpu_box.folder))
    assert gpu_box.look_after(20).gpu_busy == gpu_box.now


def test_a_driver_that_hangs_is_not_waited_for(
    gpu_box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang(command: list[str], **options: Any) -> None:
        assert options["timeout"] == 30
        raise subprocess.TimeoutExpired(command, options["timeout"])

    gpu_box.work()
    monkeypatch.setattr(watch.subprocess, "run", hang)
    assert gpu_box.look_after(20).gpu_busy == gpu_box.now
    assert "cannot ask the GPU" in capsys.readouterr().out


def test_the_gpu_is_asked_every_15_seconds_while_a_job_is_at_work(gpu_box: Box) -> None:
    gpu_box.look_after(20)
    assert gpu_box.calls("nvidia-smi") == 0
    gpu_box.work()
    looks = []
    for _ in range(32):
        before = gpu_box.calls("nvidia-smi")
        gpu_box.look_after(1)
        looks.append(gpu_box.calls("nvidia-smi") - before)
    assert [second for second, asked in enumerate(looks) if asked] == [0, 15, 30]
    gpu_box.watch.gpu_idle_timeout_seconds = 40
    before = gpu_box.calls("nvidia-smi")
    for _ in range(40):
        gpu_box.look_after(1)
    assert gpu_box.calls("nvidia-smi") - before == 4, "four times in its limit"


def test_while_there_is_no_job_a_gpu_need_not_be_busy(gpu_box: Box) -> None:
    gpu_box.program("nvidia-smi", "echo 0")
    assert gpu_box.look_after(5000).gpu_busy == gpu_box.now
    gpu_box.work()
    assert gpu_box.look_after(20).gpu_busy == gpu_box.now - 20


def test_an_instance_without_a_gpu_asks_none(box: Box) -> None:
    box.program("nvidia-smi", "echo 0")
    box.work()
    assert box.look_after(20).gpu_busy is None and box.calls("nvidia-smi") == 0


def test_a_spot_instance_hears_that_it_is_taken_back(box: Box, aws: AwsDouble) -> None:
    assert box.look_after(5).interrupted is False
    aws.interrupt()
    assert box.look_after(5).interrupted is True


def test_an_on_demand_instance_does_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: AwsDouble) -> None:
    aws.metadata["meta-data/instance-life-cycle"] = "on-demand"
    box = Box(tmp_path, monkeypatch, aws, gpu=False)
    aws.interrupt()
    assert box.look_after(5).interrupted is False
    assert box.watch.price == 3.0


def test_a_metadata_service_that_does_not_answer_is_no_notice(
    box: Box, aws: AwsDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.stop()
    assert box.look_after(5).interrupted is False
    assert "the metadata service does not answer" in capsys.readouterr().out


def ran(instance: str, began: float, hours: float, usd_per_hour: float) -> dict[str, Any]:
    return {"instance": instance, "began": began, "until": began + hours * 3600, "usdPerHour": usd_per_hour}


def test_what_earlier_instances_took_for_the_same_jobs_counts(box: Box, aws: AwsDouble) -> None:
    box.queue.submit(KEY, {**JOB, "submittedAt": BEGAN - 10 * 3600})
    box.queue.submit("cd" * 32, {**JOB, "submittedAt": BEGAN - 3600})
    for record in (
        ran("i-before-the-job", BEGAN - 20 * 3600, 9.9, 100.0),
        ran("i-over-its-begin", BEGAN - 11 * 3600, 1.0, 2.0),
        ran("i-last", BEGAN - 4 * 3600, 3.0, 4.0),
        ran(aws.instance, BEGAN, 50.0, 100.0),
    ):
        box.queue.note_instance(record)
    seen = box.look_after(7190)
    assert (seen.hours, seen.cost_usd) == (pytest.approx(1 + 3 + 2), pytest.approx(2 + 12 + 3))
    # It is read once: a bucket is not asked every five seconds.
    box.bucket.broken = True
    assert box.look_after(3600).hours == pytest.approx(1 + 3 + 3)


def test_without_a_job_only_instances_since_its_boot_count(box: Box) -> None:
    box.queue.note_instance(ran("i-before", BEGAN - 7200, 1.0, 2.0))
    assert box.look_after(3590).cost_usd == pytest.approx(1.5)


def test_what_cannot_be_read_yet_is_read_later(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.queue.submit(KEY, {**JOB, "submittedAt": BEGAN - 3 * 3600})
    box.queue.note_instance(ran("i-before", BEGAN - 7200, 1.0, 2.0))
    box.bucket.broken = True
    seen = box.look_after(3590)
    assert (seen.hours, seen.cost_usd) == (pytest.approx(1.0), pytest.approx(1.5))
    said = capsys.readouterr().out
    assert "cannot read what earlier instances have cost" in said and "cannot note this instance" in said
    box.bucket.broken = False
    assert box.look_after(3600).hours == pytest.approx(3.0)
    assert box.queue.instances()[-1]["costUsd"] == 3.0


def test_it_is_written_down_every_minute_what_an_instance_has_cost(box: Box, aws: AwsDouble) -> None:
    until = []
    for _ in range(130):
        box.look_after(1)
        until.append(box.queue.instances()[0]["until"] - BEGAN)
    assert until == [11] * 60 + [71] * 60 + [131] * 10
    assert box.queue.instances() == [
        {
            **{"instance": aws.instance, "type": "g6e.2xlarge", "lifecycle": "spot", "zone": "us-east-1a"},
            **{"began": BEGAN, "until": BEGAN + 131, "usdPerHour": 1.5, "costUsd": 0.0546},
            **{"state": "running", "why": None},
        }
    ]


@pytest.fixture
def steps(box: Box, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the end of an instance comes to, in its order."""
    done: list[str] = []

    def heard(owner: Any, name: str, step: Callable[..., str]) -> None:
        work = getattr(owner, name)

        def listening(*arguments: Any, **named: Any) -> Any:
            done.append(step(*arguments))
            return work(*arguments, **named)

        monkeypatch.setattr(owner, name, listening)

    heard(box.home, "end", lambda: "ending")
    heard(watch, "stop_job", lambda *_: "stop")
    heard(box.bucket, "put", lambda path, *_: path.removeprefix("boxes/test/gpu/"))
    heard(box.bucket, "delete", lambda path: f"no more {path.removeprefix('boxes/test/gpu/')}")
    heard(box.worker.services, "leave_group", lambda instance, relaunch: f"leave the group, relaunch {relaunch}")
    heard(watch.subprocess, "run", lambda command, **_: " ".join(command))
    return done


def begin_work(box: Box) -> None:
    """A job with a checkpoint and a log; its process has ended."""
    job = box.home.job(KEY)
    job.checkpoint.mkdir(parents=True)
    (job.checkpoint / "a.pt").write_text("weights")
    job.log.write_text("step 1\n")
    for log in (box.home.server_log, box.home.watch_log):
        log.write_text(log.name)
    box.queue.submit(KEY, JOB)
    box.work()


LOGS = ["boots/{0}-server.log", "boots/{0}-watch.log"]


def test_an_end_saves_everything_before_the_instance_goes(box: Box, aws: AwsDouble, steps: list[str]) -> None:
    begin_work(box)
    seen = box.look_after(20)
    steps.clear()
    box.watch.end(End("it has cost $20.00", blame="raise the limit"), seen)
    assert steps == [
        "ending",
        "stop",
        f"checkpoints/{KEY}.tar",
        f"logs/{KEY}.txt",
        f"status/{KEY}.json",
        f"no more jobs/{KEY}.json",
        f"boots/{aws.instance}.json",
        *(log.format(aws.instance) for log in LOGS),
        "leave the group, relaunch False",
        "poweroff",
    ]
    assert box.home.ending
    status = box.queue.status(KEY)
    assert status is not None and (status["state"], status["instance"]) == ("failed", aws.instance)
    assert status["error"] == {"what": "its instance was ended: it has cost $20.00", "remedy": "raise the limit"}
    assert box.queue.instances()[0]["state"] == "ended"
    assert box.queue.instances()[0]["why"] == "it has cost $20.00"
    assert box.bucket.documents[f"boxes/test/gpu/boots/{aws.instance}-watch.log"] == b"watch.log"
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["true"]


def test_a_job_that_did_nothing_wrong_waits_for_the_next_instance(box: Box, aws: AwsDouble, steps: list[str]) -> None:
    begin_work(box)
    box.watch.end(End("EC2 takes the spot instance back", relaunch=True), box.look_after(20))
    status = box.queue.status(KEY)
    assert status is not None and status["state"] == "interrupted" and "error" not in status
    assert box.queue.job(KEY) == JOB
    assert [call["ShouldDecrementDesiredCapacity"] for call in aws.ended()] == ["false"]
    assert steps[-1] == "poweroff"


def test_without_a_job_there_is_nothing_to_save_but_the_logs(box: Box, aws: AwsDouble, steps: list[str]) -> None:
    box.home.watch_log.write_text("log")
    seen = box.look_after(20)
    steps.clear()
    box.watch.end(End("nobody gave it a job"), seen)
    record, log = f"boots/{aws.instance}.json", LOGS[1].format(aws.instance)
    assert steps == ["ending", record, log, "leave the group, relaunch False", "poweroff"]


def test_whatever_fails_the_instance_ends(
    box: Box, steps: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_work(box)
    seen = box.look_after(20)
    box.bucket.broken = True
    monkeypatch.setattr(watch, "stop_job", lambda *_: 1 / 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL_AUTO_SCALING", "http://127.0.0.1:1")
    steps.clear()
    box.watch.end(End("it has cost $20.00", blame="raise it"), seen)
    assert "leave the group, relaunch False" in steps and steps[-1] == "poweroff"
    assert box.calls("poweroff") == 1
    said = capsys.readouterr().out
    assert "ending this instance: it has cost $20.00" in said
    assert "while ending: ZeroDivisionError" in said and "while ending: OSError: the bucket" in said


def test_what_it_says_is_in_its_log_at_once() -> None:
    """The log goes to the bucket while the process still runs."""
    code = "import os; from pipress.cloud.watch import say; say('ending'); os._exit(0)"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "PYTHONUNBUFFERED": ""}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"ending\n"


def test_a_poweroff_that_is_refused_is_no_crash(box: Box) -> None:
    box.program("poweroff", "exit 1")
    box.watch.end(End("nobody gave it a job"), box.look_after(20))


def test_it_looks_every_five_seconds_until_there_is_a_reason(
    box: Box, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "open_worker", lambda home: box.worker)
    monkeypatch.delenv("PIPRESS_WATCH_SECONDS", raising=False)
    beat = itertools.count()
    sleep = watch.time.sleep

    def pause(seconds: float) -> None:
        assert next(beat) < 1000
        sleep(seconds)
        box.home.note(beat=box.now)

    monkeypatch.setattr(watch.time, "sleep", pause)
    watch.main(box.folder)
    assert set(box.slept) == {5.0} and len(box.slept) == 61, "300 s without a job, and then"
    record = box.queue.instances()[0]
    assert (record["state"], record["why"]) == ("ended", "nobody gave it a job")
    assert box.calls("poweroff") == 1 and len(aws.ended()) == 1


def test_how_often_it_looks_can_be_said(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "open_worker", lambda home: box.worker)
    monkeypatch.setenv("PIPRESS_WATCH_SECONDS", "200.5")
    watch.main(box.folder)
    assert box.slept == [200.5]
