"""Questions through the real llama-server, on a tiny model of random weights."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from pipress.conftest import PACKAGE_ROOT
from pipress.errors import StageError
from pipress.evaluation.asking import ask
from pipress.evaluation.questions import Question, chosen
from pipress.evaluation.server import serving


def servers_of(model: Path) -> list[int]:
    """Process ids of those that serve a file."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if str(model).encode() in command_of(pid) and b"llama-server" in command_of(pid)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)


def test_every_question_is_answered_in_its_order_and_told(llama_cpp_bin: Path, tiny_gguf: Path) -> None:
    told: list[int] = []
    model, questions = tiny_gguf / "model.gguf", chosen(3)
    answers = ask(llama_cpp_bin, model, questions, told.append)
    assert [answer.question for answer in answers] == [question.text for question in questions]
    assert told == [*range(1, 16)] and any(answer.answer for answer in answers)
    assert ask(llama_cpp_bin, model, questions) == answers, "greedily, and whatever time does"
    assert servers_of(model) == []


def test_the_server_wants_its_key_and_ends_with_its_block(llama_cpp_bin: Path, tiny_gguf: Path) -> None:
    model = tiny_gguf / "model.gguf"
    with pytest.raises(ValueError, match="left"), serving(llama_cpp_bin, model, 1, 256) as server:
        (pid,) = servers_of(model)
        assert server.key.encode() not in command_of(pid)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/chat/completions", b"{}"))
        raise ValueError("left")
    assert servers_of(model) == []


def test_a_server_that_dies_is_told_with_its_reason(llama_cpp_bin: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and nothing else")
    with pytest.raises(StageError, match=r"llama-server failed with status 1: .*(error|fail)"):
        ask(llama_cpp_bin, tmp_path / "broken.gguf", chosen(1))

    def kill(done: int) -> None:
        for pid in servers_of(tiny_gguf / "model.gguf"):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(StageError, match="llama-server was ended by signal 9"):
        ask(llama_cpp_bin, tiny_gguf / "model.gguf", chosen(18), kill)


def test_what_the_server_refuses_is_told(llama_cpp_bin: Path, tiny_gguf: Path) -> None:
    endless = Question("format", "easy", "river " * 500, "x")
    with pytest.raises(StageError, match=r"llama-server refuses a question: .*exceed"):
        ask(llama_cpp_bin, tiny_gguf / "model.gguf", [endless])


def test_the_server_does_not_outlive_a_killed_job(llama_cpp_bin: Path, tiny_gguf: Path) -> None:
    model = tiny_gguf / "model.gguf"
    code = (
        "import sys, time; from pathlib import Path; from pipress.evaluation.server import serving\n"
        "with serving(Path(sys.argv[1]), Path(sys.argv[2]), 1, 256): time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    command = [sys.executable, "-c", code, str(llama_cpp_bin), str(model)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: servers_of(model) != [])
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: servers_of(model) == [], 5)
