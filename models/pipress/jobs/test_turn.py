"""Turns on a real lock file."""

import threading
import time
from pathlib import Path

import pytest

from pipress.atomic import read_json
from pipress.jobs import turn
from pipress.jobs.progress import Progress
from pipress.jobs.turn import Turn


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(turn, "HEAD_START_SECONDS", 0.6)


def waiting(of: Turn, folder: Path, order: list[str]) -> threading.Thread:
    """A thread that takes its turn and notes that it had it."""

    def take() -> None:
        of.wait(Progress(folder / f"{of.name}.json", of.name, of.name))
        order.append(of.name)
        of.end()

    thread = threading.Thread(target=take)
    thread.start()
    return thread


def test_a_stage_for_the_release_goes_first_though_it_comes_a_little_later(tmp_path: Path) -> None:
    order: list[str] = []
    recover = Turn(tmp_path / "slot", "recover", True)
    recover.wait(Progress(tmp_path / "recover.json", "recover", "recover"))
    measuring = waiting(Turn(tmp_path / "slot", "evaluate-base", False), tmp_path, order)
    recover.end()
    time.sleep(0.2)
    assert "waiting for what the release needs" in str(read_json(tmp_path / "evaluate-base.json"))
    convert = waiting(Turn(tmp_path / "slot", "convert", True), tmp_path, order)
    for thread in (measuring, convert):
        thread.join(timeout=10)
    assert order == ["convert", "evaluate-base"]


def test_a_stage_that_measures_waits_no_longer_than_the_head_start(tmp_path: Path) -> None:
    order: list[str] = []
    quantize = Turn(tmp_path / "slot", "quantize", True)
    quantize.wait(Progress(tmp_path / "quantize.json", "quantize", "quantize"))
    quantize.end()
    waiting(Turn(tmp_path / "slot", "evaluate", False), tmp_path, order).join(timeout=10)
    assert order == ["evaluate"]


def test_after_one_that_measures_the_next_begins_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "HEAD_START_SECONDS", 3600)
    order: list[str] = []
    for name in ("evaluate-base", "evaluate-pruned"):
        waiting(Turn(tmp_path / "slot", name, False), tmp_path, order).join(timeout=10)
    assert order == ["evaluate-base", "evaluate-pruned"]


def test_a_job_that_waits_says_for_whom(tmp_path: Path) -> None:
    order: list[str] = []
    prune = Turn(tmp_path / "slot", "prune", True)
    prune.wait(Progress(tmp_path / "prune.json", "prune", "prune"))
    second = waiting(Turn(tmp_path / "slot", "evaluate", False), tmp_path, order)
    time.sleep(0.2)
    assert "waiting for prune (builder is busy)" in str(read_json(tmp_path / "evaluate.json"))
    prune.end()
    second.join(timeout=10)
    assert order == ["evaluate"]
