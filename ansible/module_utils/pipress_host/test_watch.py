"""What the watch does; server, service manager and time are stand-ins."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys

import pytest

from pipress_host import watch as watch_module
from pipress_host.activation import Activation
from pipress_host.service import ServiceState
from pipress_host.watch import MAX_FAILURES, Watch


class Service:
    """In the place of the service manager."""

    def __init__(self):
        self.active = "active"
        self.starts = 0

    def state(self):
        return ServiceState(self.active, 0)

    def restart(self):
        self.starts += 1

    def stop(self):
        self.active = "inactive"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host that serves `one`, and whose /health answers what `host.status` says."""
    folder = tmp_path / "releases/one"
    folder.mkdir(parents=True)
    release = {
        "settings": {"port": 1, "minTokensPerSecond": 1.0},
        "smokeTest": {"prompt": "?", "expect": "!", "maxTokens": 8},
        "healthCheck": {"startTimeoutSeconds": 300, "answerTimeoutSeconds": 5},
    }
    (folder / "release.json").write_text(json.dumps(release))
    (tmp_path / "current").symlink_to("releases/one")
    (tmp_path / "keys").write_text("k\n")
    watching = Watch(Activation(tmp_path, tmp_path / "keys", Service()), note=lambda step: None)
    watching.status = 200
    monkeypatch.setattr(watch_module, "health_of", lambda port, timeout: watching.status)
    return watching


def looks(host, count, start=0.0):
    for step in range(count):
        host.look(start + 20.0 * step)
    return host.activation.service.starts


def test_a_healthy_server_is_left_alone(host):
    assert looks(host, 20) == 0


def test_a_server_that_hangs_is_restarted_once_and_then_given_time_again(host):
    host.status = None
    assert looks(host, MAX_FAILURES - 1) == 0
    assert looks(host, 1) == 1
    assert looks(host, MAX_FAILURES - 1) == 1
    assert looks(host, 1) == 2


def test_one_good_answer_in_between_counts(host):
    host.status = None
    looks(host, MAX_FAILURES - 1)
    host.status = 200
    looks(host, 1)
    host.status = None
    assert looks(host, MAX_FAILURES - 1) == 0


def test_loading_may_take_as_long_as_the_gate_allows_but_no_longer(host):
    host.status = 503
    assert looks(host, 15) == 0
    assert looks(host, MAX_FAILURES, start=300.0) == 1


@pytest.mark.parametrize("active", ["inactive", "activating", "failed"])
def test_a_server_that_is_stopped_or_restarting_is_not_a_hung_one(host, active):
    host.status = None
    host.activation.service.active = active
    assert looks(host, 9) == 0


def test_nothing_is_done_while_an_activation_is_at_work(host):
    host.status = None
    hold = (
        f"import fcntl,time; f=open({str(host.activation.root / '.activation.lock')!r},'w');"
        "fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as activation:
        activation.stdout.readline()
        assert looks(host, 9) == 0
        activation.kill()
    assert looks(host, MAX_FAILURES) == 1


def test_an_activation_whose_process_was_killed_is_settled(host, monkeypatch):
    settled = []
    monkeypatch.setattr(host.activation, "settle", lambda: settled.append(True))
    (host.activation.root / "pending.json").write_text(json.dumps({"release": "one", "fallback": None}))
    looks(host, 1)
    assert settled == [True]


def test_the_lock_is_free_after_a_look(host):
    looks(host, 1)
    with open(host.activation.root / ".activation.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_loading_that_goes_on_after_an_answer_has_its_time_again(host):
    host.status = 503
    looks(host, 10)
    host.status = 200
    looks(host, 1, start=200.0)
    host.status = 503
    assert looks(host, 15, start=220.0) == 0


def test_a_load_that_takes_too_long_is_found_out_by_the_clock_and_three_looks(host):
    host.status = 503
    host.look(0.0)
    host.look(299.9)
    for seconds in (300.0, 320.0):
        host.look(seconds)
    assert host.activation.service.starts == 0
    host.look(340.0)
    assert host.activation.service.starts == 1


@pytest.mark.parametrize(("status", "said"), [(None, "nothing"), (500, "status 500")])
def test_a_restart_says_why(host, status, said):
    notes = []
    host.note = notes.append
    host.status = status
    looks(host, MAX_FAILURES)
    assert notes == [f"/health answered {said} 3 times in a row: restarting the server"]


def test_what_went_wrong_before_an_activation_does_not_count_after_it(host, monkeypatch):
    monkeypatch.setattr(host.activation, "settle", lambda: None)
    host.status = None
    looks(host, MAX_FAILURES - 1)
    (host.activation.root / "pending.json").write_text(json.dumps({"release": "one", "fallback": None}))
    looks(host, 1)
    (host.activation.root / "pending.json").unlink()
    assert looks(host, MAX_FAILURES - 1) == 0
    with host.activation.locked():
        looks(host, 1)
    assert looks(host, MAX_FAILURES - 1) == 0
    host.activation.service.active = "inactive"
    looks(host, 1)
    host.activation.service.active = "active"
    assert looks(host, MAX_FAILURES - 1) == 0


@pytest.mark.parametrize("gone", ["current", "releases/one/release.json"])
def test_a_host_without_a_release_is_left_alone(host, gone):
    (host.activation.root / gone).unlink()
    host.status = None
    assert looks(host, 9) == 0


def test_a_pi_under_load_has_half_a_minute_to_answer(host, monkeypatch):
    asked = []
    monkeypatch.setattr(watch_module, "health_of", lambda port, timeout: asked.append((port, timeout)) or 200)
    host.look()
    assert asked == [(1, 30.0)]


def test_it_looks_again_and_again(host, monkeypatch):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 4:
            raise KeyboardInterrupt

    host.status = None
    monkeypatch.setattr(watch_module, "health_of", lambda port, timeout: None)
    monkeypatch.setattr(watch_module.time, "sleep", pause)
    with pytest.raises(KeyboardInterrupt):
        watch_module.watch(host.activation, lambda step: None)
    assert pauses == [20] * 4 and host.activation.service.starts == 1
