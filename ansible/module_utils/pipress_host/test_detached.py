"""Activations that outlive the connection; `systemd-run` and `systemctl` are stand-ins."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from pipress_host import detached
from pipress_host.detached import outcome_path, start_detached, wait_for_outcome, what_serves


def test_it_runs_as_a_unit_of_its_own_that_may_ask_this_host_alone(programs):
    programs.add("systemd-run")
    identifier = start_detached("back", ["--back"])
    assert identifier.startswith("back-") and start_detached("back", ["--back"]) != identifier
    told = programs.told[0].split()
    assert told[-4:] == ["/usr/local/lib/pipress/activate", "--back", "--id", identifier]
    assert {"--collect", f"--unit=pipress-activate-{identifier}"} < set(told)
    assert {"--property=IPAddressDeny=any", "--property=IPAddressAllow=localhost"} < set(told)


def test_a_unit_that_cannot_be_started_is_an_error(programs):
    with pytest.raises(subprocess.CalledProcessError):
        start_detached("back", ["--back"])


@pytest.fixture
def tell(tmp_path):
    """Writes the outcome of the activation `one`."""
    path = outcome_path(tmp_path, "one")
    path.parent.mkdir()
    return lambda: path.write_text(json.dumps({"ok": True}))


def wait(tmp_path, timeout=30.0):
    started = time.monotonic()
    return wait_for_outcome(tmp_path, "one", timeout), time.monotonic() - started


@pytest.mark.parametrize("state", ["inactive", "active"])
def test_an_outcome_is_taken_as_soon_as_it_is_there(tmp_path, programs, tell, state):
    programs.add("systemctl", f"echo ActiveState={state}")
    tell()
    assert wait(tmp_path) == ({"ok": True}, pytest.approx(0, abs=0.9))
    assert programs.told[0].startswith("systemctl show pipress-activate-one.service")


def test_one_that_ended_without_a_word_is_not_waited_for(tmp_path, programs):
    programs.add("systemctl", "echo ActiveState=failed")
    assert wait(tmp_path) == (None, pytest.approx(0, abs=0.9))


@pytest.mark.parametrize("state", ["active", "activating"])
def test_one_at_work_is_waited_for(tmp_path, programs, tell, monkeypatch, state):
    programs.add("systemctl", f"echo ActiveState={state}")
    looks = []

    def pause(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            tell()

    monkeypatch.setattr(detached.time, "sleep", pause)
    assert wait(tmp_path)[0] == {"ok": True}
    assert looks == [1, 1, 1]


def test_but_not_for_longer_than_was_said(tmp_path, programs):
    programs.add("systemctl", "echo ActiveState=active")
    verdict, seconds = wait(tmp_path, 0.1)
    assert verdict is None and seconds < 3
    assert len(programs.told) == 1


@pytest.mark.parametrize(
    ("serving", "fallback", "text"),
    [
        ("0123456789abcdef", "0123456789abcdef", "the host serves 0123456789ab, as before"),
        (None, "0123456789abcdef", "switched back to 0123456789ab, which is not healthy either"),
        (None, None, "the service is stopped"),
    ],
)
def test_what_a_host_serves_after_a_failure_is_told(serving, fallback, text):
    assert text in what_serves({"serving": serving, "fallback": fallback})
