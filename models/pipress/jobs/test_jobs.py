"""The job runner, with real processes: nothing here stands in for anything."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipress.atomic import read_json, write_json
from pipress.conftest import KEY, prose
from pipress.errors import StageError
from pipress.jobs.commands import find_job, stop_job
from pipress.jobs.job import Job
from pipress.jobs.submit import submit
from pipress.jobs.work import _run_stage
from pipress.store.file_store import FileStore
from pipress.store.store import MANIFEST

Attach = Callable[[dict[str, Any]], subprocess.Popen[str]]
SECONDS = 60


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {SECONDS} s for {what}")


@pytest.fixture
def text_spec(job_spec: Any, text_source: Any) -> dict[str, Any]:
    """A stage that takes a moment and needs nothing."""
    calibration, evaluation = text_source("a.txt", prose(1, 50)), text_source("b.txt", prose(2, 50))
    return job_spec("fetch-dataset", {"calibration": [calibration], "evaluation": [evaluation]})


@pytest.fixture
def busy_builder(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Holds the builder's one slot, so that every heavy job waits; call it to let go."""
    (tmp_path / "jobs").mkdir()
    slot = open(tmp_path / "jobs" / "slot", "w")  # noqa: SIM115
    fcntl.flock(slot, fcntl.LOCK_EX)
    yield slot.close
    slot.close()


def test_a_stage_that_hands_on_the_manifest_of_an_input_is_told(
    job_spec: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    def run(spec: Any, inputs: Any, out: Path) -> dict[str, Any]:
        (out / MANIFEST).write_text("{}")
        return {}

    monkeypatch.setitem(sys.modules, "pipress.stages.careless", SimpleNamespace(run=run))
    spec, job = job_spec("careless", {}), Job(tmp_path / "jobs", KEY)
    progress = SimpleNamespace(write=lambda *_: None)
    with pytest.raises(StageError, match=r"left a manifest\.json, which is the store's own"):
        _run_stage(job, spec, {}, FileStore(spec["store"]), progress)  # type: ignore[arg-type]


def test_prints_one_small_document_and_leaves_a_whole_artifact(text_spec: Any, attach: Attach) -> None:
    process = attach(text_spec)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert len(out) < 4096 and out.count("\n") == 1
    assert set(result) == {"key", "stage", "run", "files", "metrics", "seconds"}
    assert set(result["files"]) == {"calibration.jsonl", "evaluation.jsonl", "validation.jsonl"}
    assert FileStore(text_spec["store"]).manifest(KEY) is not None
    assert text_spec["jobs"] not in out, "a stack's state holds no folder of a machine"


def test_a_finished_job_leaves_no_spec_so_that_a_deleted_artifact_gets_a_new_run(
    text_spec: Any, attach: Attach
) -> None:
    attach(text_spec).communicate(timeout=SECONDS)
    job = Job(Path(text_spec["jobs"]), KEY)
    wait_for(lambda: not job.is_at_work(), "the job's end")
    assert job.spec is None and job.error is None and not job.checkpoint.exists()


def test_an_artifact_in_the_store_is_returned_at_once_with_the_run_that_made_it(text_spec: Any, attach: Attach) -> None:
    attach(text_spec).communicate(timeout=SECONDS)
    again = attach({**text_spec, "run": "run-2"})
    out, err = again.communicate(timeout=SECONDS)
    assert '"run":"run-1"' in out and err == ""


def test_one_clear_error_with_remedy_and_log(text_spec: Any, attach: Attach) -> None:
    text_spec["params"]["calibration"][0]["local"]["path"] = "/nowhere/a.txt"
    process = attach(text_spec)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and out == ""
    assert err.splitlines()[-2] == (
        "fetch-dataset: there is no /nowhere/a.txt on this builder — check `path` in the recipe"
    )
    assert err.splitlines()[-1].startswith("fetch-dataset: log: ") and "Traceback" not in err


def test_unknown_parameters_are_refused_by_name(text_spec: Any, attach: Attach) -> None:
    text_spec["params"]["calibrations"] = []
    _, err = attach(text_spec).communicate(timeout=SECONDS)
    assert "'calibrations' was unexpected" in err


def test_the_job_outlives_a_killed_attacher_and_a_second_one_attaches_to_it(
    job_spec: Any, attach: Attach, busy_builder: Any
) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    first = attach(spec)
    job = Job(Path(spec["jobs"]), KEY)
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    worker = read_json(job.folder / "process.json")["pid"]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert job.is_at_work()

    second = attach(spec)
    assert second.stderr is not None
    assert "at work already" in second.stderr.readline()
    assert "waiting for another job (builder is busy)" in second.stderr.readline()
    assert read_json(job.folder / "process.json")["pid"] == worker, "no second job beside the first"

    busy_builder()
    _, err = second.communicate(timeout=SECONDS)
    assert second.returncode == 1 and f"{'cd' * 32} is not in the store — run `up` again" in err


def test_ctrl_c_says_what_goes_on_and_how_to_pick_it_up(job_spec: Any, attach: Attach, busy_builder: Any) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    process = attach(spec)
    job = Job(Path(spec["jobs"]), KEY)
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "quantize goes on without you. To pick it up, run the same command again;" in err
    assert "./pipress jobs stop quantize" in err
    assert job.is_at_work()
    stop_job(Path(spec["jobs"]), "quantize")
    assert not job.is_at_work()
    assert job.error == {
        "what": "was stopped",
        "remedy": "run the same command again: it goes on from its last checkpoint",
    }


def test_an_attacher_whose_launcher_was_killed_ends_and_the_job_goes_on(job_spec: Any, busy_builder: Any) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pipress', 'stage', 'run'])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    launcher = subprocess.Popen(
        [sys.executable, "-c", launch],
        **{"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        env=environment,
    )
    assert launcher.stdin is not None
    launcher.stdin.write(json.dumps(spec))
    launcher.stdin.close()
    launcher.stdin = None
    job = Job(Path(spec["jobs"]), KEY)
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    launcher.kill()
    _, err = launcher.communicate(timeout=SECONDS)  # the attacher holds the other end of the pipe
    assert "quantize goes on without you" in err
    assert job.is_at_work()
    stop_job(Path(spec["jobs"]), "quantize")


def test_a_job_killed_without_a_word_is_noticed(job_spec: Any, attach: Attach, busy_builder: Any) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    process = attach(spec)
    job = Job(Path(spec["jobs"]), KEY)
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    os.kill(read_json(job.folder / "process.json")["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and "its process ended without a word" in err


def test_a_process_that_only_has_the_number_of_an_earlier_run_is_not_stopped(
    job_spec: Any, attach: Attach, busy_builder: Any
) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    attach(spec)
    job = Job(Path(spec["jobs"]), KEY)
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    own = read_json(job.folder / "process.json")
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    write_json(job.folder / "process.json", {**own, "pid": bystander.pid})
    with pytest.raises(StageError, match="quantize has only just started — try again in a second"):
        stop_job(Path(spec["jobs"]), "quantize")
    assert bystander.poll() is None
    bystander.kill()
    write_json(job.folder / "process.json", own)
    stop_job(Path(spec["jobs"]), "quantize")


def test_of_two_submissions_at_once_one_starts_the_job(job_spec: Any, tmp_path: Path, busy_builder: Any) -> None:
    spec = job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32})
    job = Job(tmp_path / "jobs", KEY)
    assert [submit(job, spec), submit(job, spec)] == [True, False]
    wait_for(lambda: "waiting" in str(job.progress), "a waiting job")
    stop_job(tmp_path / "jobs", KEY[:8])


def test_an_unknown_job_is_named_with_those_that_are_known(text_spec: Any, attach: Attach, tmp_path: Path) -> None:
    attach(text_spec).communicate(timeout=SECONDS)
    with pytest.raises(StageError, match='there is no job "prune" — known: fetch-dataset'):
        find_job(tmp_path / "jobs", "prune", at_work=False)


def test_attaching_loads_nothing_heavy() -> None:
    import sys

    loaded = "import sys, pipress.jobs.attach, pipress.__main__; print(sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, env=environment).stdout
    assert "pipress.jobs.attach" in modules
    assert not any(f"'{name}'" in modules for name in ("torch", "numpy", "transformers", "jsonschema", "requests"))
