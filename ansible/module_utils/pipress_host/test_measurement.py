"""Measurements with a stand-in for llama-bench, a script, and for the service, a file that says whether it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipress_host import activation as activation_module
from pipress_host import measurement
from pipress_host.activation import Activation
from pipress_host.files import read_json
from pipress_host.health_check import HealthCheckFailed
from pipress_host.measurement import Board, Sizes, measure, outcome_path
from pipress_host.service import ServiceState

SIZES = Sizes(prompt=512, generate=128, repetitions=2)
TESTS = [
    {"repack": True, "n_threads": 3, "n_prompt": 512, "n_gen": 0, "avg_ts": 1.62345, "build_number": 11434},
    {"repack": True, "n_threads": 3, "n_prompt": 0, "n_gen": 128, "avg_ts": 0.7, "build_number": 11434},
]
STOCK = [
    {"repack": False, "n_threads": 3, "n_prompt": 512, "n_gen": 0, "avg_ts": 0.5, "build_number": 11434},
    {"repack": False, "n_threads": 3, "n_prompt": 0, "n_gen": 128, "avg_ts": 0.6, "build_number": 11434},
]
MODEL = {"name": "Tiny"}


class ServiceDouble:
    """Stands for the unit of llama-server."""

    def __init__(self, root: Path):
        self.file = root / "service"
        self.starts = 0

    def restart(self):
        self.starts += 1
        self.file.write_text("active")

    def stop(self):
        self.file.write_text("inactive")

    def state(self):
        return ServiceState(self.file.read_text(), 0)

    def needs_reload(self):
        return False


def prepare(root: Path, drain: int = 0) -> Activation:
    """A host that serves the release `one`, which has passed its health check."""
    folder = root / "releases" / "one"
    folder.mkdir(parents=True)
    (root / "current").symlink_to("releases/one")
    (root / "keys").write_text("key\n")
    release = {
        "settings": {"port": 1, "threads": 3, "minTokensPerSecond": 0},
        "smokeTest": {"prompt": "p", "expect": "", "maxTokens": 8},
        "healthCheck": {"startTimeoutSeconds": 1, "answerTimeoutSeconds": 1, "drainSeconds": drain},
    }
    (folder / "release.json").write_text(json.dumps(release))
    service = ServiceDouble(root)
    service.file.write_text("active")
    activation = Activation(root, root / "keys", service)
    verdict = {"ok": True, "serving": "one", "fingerprint": activation.fingerprint("one")}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return activation


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(measurement, "SAMPLE_SECONDS", 0.05)
    monkeypatch.setattr(measurement, "describe_model", lambda path: MODEL)
    monkeypatch.setattr(activation_module, "requests_at_work", lambda port, key: 0)
    monkeypatch.setattr(activation_module, "wait_until_healthy", lambda port, timeout, service: 1.0)
    return prepare(tmp_path / "root")


@pytest.fixture
def bench(host, tmp_path):
    """Makes the stand-in for llama-bench; what it finds when it runs is in `found`."""

    def make(then: str = f"echo '{json.dumps(TESTS)}'") -> Path:
        path = tmp_path / "llama-bench"
        found = f'{{ cat {host.root}/service; echo; ls {host.root}; echo "$@"; }} > {tmp_path}/found'
        path.write_text(f"#!/bin/sh\n{found}\n{then}\n")
        path.chmod(0o755)
        return path

    return make


def assert_serves_as_before(host):
    assert host.service.state().active == "active"
    assert not (host.root / "pending.json").exists()
    assert host.current() == "one"


def test_llama_bench_runs_while_the_server_is_stopped(host, bench, tmp_path):
    outcome = measure(host, bench(), SIZES, 60, None)
    state, *entries, arguments = (tmp_path / "found").read_text().splitlines()
    assert state == "inactive"
    # A load balancer is told to drain the host by this, and what starts after a reboot to settle it.
    assert "pending.json" in entries
    assert arguments == (
        f"--model {host.root}/current/model.gguf --threads 3 --n-prompt 512 --n-gen 128 "
        "--repack 1 --repetitions 2 --output json"
    )
    assert {
        key: outcome[key] for key in ("ok", "release", "model", "threads", "prompt", "generation", "build")
    } == {
        "ok": True,
        "release": "one",
        "model": MODEL,
        "threads": 3,
        "prompt": 1.623,
        "generation": 0.7,
        "build": 11434,
    }
    assert outcome["beside"] is None
    assert read_json(outcome_path(host.root)) == outcome
    assert_serves_as_before(host)
    assert host.service.starts == 1


@pytest.mark.parametrize(
    ("flags", "kernels", "served"), [({}, "0,1", 1.623), ({"--no-repack": True}, "0", 0.5)]
)
def test_llama_cpps_own_kernels_are_measured_beside_those_that_serve(
    host, bench, tmp_path, flags, kernels, served
):
    path = host.root / "releases" / "one" / "release.json"
    release = read_json(path)
    release["settings"]["flags"] = flags
    path.write_text(json.dumps(release))
    program = bench(f"echo '{json.dumps(STOCK if flags else [*STOCK, *TESTS])}'")
    outcome = measure(host, program, SIZES._replace(stock=True), 60, None)
    assert f"--repack {kernels} " in (tmp_path / "found").read_text()
    assert outcome["prompt"] == served
    figures = {"prompt": 0.5, "generation": 0.6, "build": 11434}
    assert outcome["beside"] == {"threads": 3, "repacks": False, **figures}


def test_other_threads_are_measured_beside_those_of_the_release(host, bench, tmp_path):
    four = [{**test, "n_threads": 4, "avg_ts": 2 * test["avg_ts"]} for test in TESTS]
    outcome = measure(
        host, bench(f"echo '{json.dumps([*TESTS, *four])}'"), SIZES._replace(threads=4), 60, None
    )
    assert "--threads 3,4 " in (tmp_path / "found").read_text()
    assert (outcome["threads"], outcome["generation"]) == (3, 0.7)
    assert (outcome["beside"]["threads"], outcome["beside"]["generation"]) == (4, 1.4)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("echo 'cannot load the model' >&2; exit 1", "llama-bench failed: cannot load the model"),
        ("kill -9 $$", "llama-bench was killed by signal 9: it said nothing — signal 9 means"),
        ("echo '[]'", "llama-bench printed no results"),
        ("echo no JSON", "llama-bench printed no results: 'no JSON"),
        ("exec sleep 60", "llama-bench was not ready after 0 minutes"),
    ],
)
def test_whatever_comes_of_llama_bench_the_server_serves_again(host, bench, then, reason):
    outcome = measure(host, bench(then), SIZES, 0.2, None)
    assert not outcome["ok"] and outcome["reason"].startswith(reason)
    assert read_json(outcome_path(host.root)) == outcome
    assert_serves_as_before(host)


def test_a_program_that_does_not_run_here_is_told(host, tmp_path):
    assert "llama-bench does not run here" in measure(host, tmp_path, SIZES, 60, None)["reason"]
    assert_serves_as_before(host)


def test_a_server_at_work_is_left_alone(host, bench, tmp_path, monkeypatch):
    monkeypatch.setattr(activation_module, "requests_at_work", lambda port, key: 2)
    outcome = measure(host, bench(), SIZES, 60, None)
    assert outcome["reason"].startswith(
        "llama-server works on 2 requests — run the same command again when it is idle"
    )
    assert host.service.starts == 0 and not (tmp_path / "found").exists()
    assert_serves_as_before(host)


def test_behind_a_load_balancer_requests_may_end_first(tmp_path, host, bench, monkeypatch):
    monkeypatch.setattr(activation_module, "DRAIN_NOTICE", 0)
    behind = prepare(tmp_path / "behind", drain=5)
    left = iter([1, 1, 0, 0])
    monkeypatch.setattr(activation_module, "requests_at_work", lambda port, key: next(left))
    assert measure(behind, bench(), SIZES, 60, None)["ok"]
    assert list(left) == []


def test_a_request_that_does_not_end_keeps_its_server(tmp_path, host, bench, monkeypatch):
    monkeypatch.setattr(activation_module, "DRAIN_NOTICE", 0)
    behind = prepare(tmp_path / "behind", drain=1)
    monkeypatch.setattr(activation_module, "requests_at_work", lambda port, key: 1)
    assert "works on 1 request —" in measure(behind, bench(), SIZES, 60, None)["reason"]
    assert behind.service.starts == 0
    assert_serves_as_before(behind)


def test_without_a_release_there_is_nothing_to_measure(host, bench):
    (host.root / "current").unlink()
    reason = measure(host, bench(), SIZES, 60, None)["reason"]
    assert reason == "the host serves no release — roll one out with `./pipress up`"


def test_an_embedding_model_is_not_measured(host, bench):
    file = host.root / "releases" / "one" / "release.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "embedding": {"pooling": "mean"}}))
    reason = measure(host, bench(), SIZES, 60, None)["reason"]
    assert reason.startswith("the host serves an embedding model")
    assert_serves_as_before(host)


def test_an_activation_goes_first(host, bench):
    with host.locked():
        assert "an activation is at work" in measure(host, bench(), SIZES, 60, None)["reason"]
    pending = host.root / "pending.json"
    pending.write_text('{"release": "one"}')
    assert "is not settled yet" in measure(host, bench(), SIZES, 60, None)["reason"]
    assert pending.exists() and host.service.starts == 0


def test_a_server_that_does_not_come_back_is_left_to_the_watch(host, bench, monkeypatch):
    def fail(port, timeout, service):
        raise HealthCheckFailed("llama-server does not stay up: no memory")

    monkeypatch.setattr(activation_module, "wait_until_healthy", fail)
    outcome = measure(host, bench(), SIZES, 60, None)
    assert outcome == {"ok": False, "reason": "llama-server does not stay up: no memory"}
    assert read_json(host.root / "pending.json")["release"] == "one"


#: A measurement as a process of its own, in which SIGTERM is what `measure` of the tools makes of it.
PROCESS = textwrap.dedent(
    """
    import signal, sys
    from pathlib import Path
    from pipress_host import activation, main, measurement
    import test_measurement
    activation.requests_at_work = lambda port, key: 0
    activation.wait_until_healthy = lambda port, timeout, service: 1.0
    measurement.describe_model = lambda path: {}
    root, bench = map(Path, sys.argv[1:])
    main.ROOT, main.KEYS, main.BENCH_USER = root, root / "keys", None
    main.SystemdService = lambda unit: test_measurement.ServiceDouble(root)
    sizes = ["--prompt", "512", "--generate", "128", "--repetitions", "2", "--limit", "60"]
    sys.exit(main.measure_main([str(bench), *sizes]))
    """
)


@pytest.fixture
def process(host, bench, tmp_path):
    """A measurement that is at work: its process, and that of its llama-bench."""
    program = bench(f"echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid; exec sleep 60")
    folders = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    started = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(host.root), str(program)], env=environment, text=True
    )
    pid = tmp_path / "pid"
    for _ in range(200):
        if pid.exists():
            break
        time.sleep(0.05)
    bench_pid = int(pid.read_text())
    yield started, bench_pid
    started.kill()
    started.wait()
    if Path(f"/proc/{bench_pid}").exists():
        os.kill(bench_pid, signal.SIGKILL)


def test_one_that_is_stopped_ends_with_the_server_at_work(host, process):
    started, bench_pid = process
    assert host.service.state().active == "inactive"
    started.terminate()
    assert started.wait(20) == 1
    assert not Path(f"/proc/{bench_pid}").exists()
    assert read_json(outcome_path(host.root)) == {
        "ok": False,
        "reason": "the measurement was stopped — run the same command again",
    }
    assert_serves_as_before(host)


def test_one_that_is_killed_leaves_what_the_watch_settles(host, process, monkeypatch):
    started, _ = process
    started.kill()
    started.wait()
    assert host.service.state().active == "inactive"
    found = {"answer": "a", "tokensPerSecond": 1.0, "loadSeconds": 1.0}
    monkeypatch.setattr(activation_module, "run_health_check", lambda *arguments: found)
    with host.try_locked() as locked:
        assert locked, "the lock ends with the process"
        assert host.settle()["ok"]
    assert_serves_as_before(host)


def test_after_a_reboot_a_server_that_serves_is_not_started_again(host, monkeypatch):
    (host.root / "pending.json").write_text(json.dumps({"release": "one", "fallback": "one", "cuts": 0}))
    monkeypatch.setattr(activation_module, "becomes_healthy", lambda port, timeout, service: True)
    host.settle()
    assert host.service.starts == 0
    assert_serves_as_before(host)


def test_what_the_board_did_meanwhile_is_told(monkeypatch):
    flags = iter([0x20000, 0x20000, 0x20002 | 0x40000, 0xA0000])
    monkeypatch.setattr(measurement, "throttled", lambda: next(flags))
    monkeypatch.setattr(measurement, "celsius", iter([50.0, 61.5, 58.0]).__next__)
    monkeypatch.setattr(measurement, "megahertz", iter([600.0, 1500.0, 1500.0]).__next__)
    monkeypatch.setattr(measurement, "board_model", lambda: "Raspberry Pi 4 Model B Rev 1.4")
    monkeypatch.setattr(measurement, "bootloader", lambda: "2024-08-30")
    monkeypatch.setattr(measurement, "governor", lambda: "ondemand")
    board = Board()
    for _ in range(3):
        board.look()
    # Capped since before it began is not its own; capped at a look, throttled and too hot between two looks, is.
    assert board.summary() == {
        "board": "Raspberry Pi 4 Model B Rev 1.4",
        "bootloader": "2024-08-30",
        "governor": "ondemand",
        "throttled": 0x2 | 0x4 | 0x8,
        "celsius": 61.5,
        "megahertz": 1500,
    }


def test_a_board_without_firmware_tells_what_it_can(monkeypatch):
    for name in ("throttled", "celsius", "megahertz", "board_model", "bootloader", "governor"):
        monkeypatch.setattr(measurement, name, lambda: None)
    board = Board()
    board.look()
    assert set(board.summary().values()) == {None}
