"""What systemd is asked and what is made of its answers; `systemctl` and `journalctl` are stand-ins."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from pipress_host.errors import HostError
from pipress_host.service import ServiceState, SystemdService

UNIT = "pipress-llama.service"


@pytest.fixture
def service(programs):
    return SystemdService(UNIT)


def test_a_restart_reads_the_unit_anew_and_forgets_failures_before_it_starts(service, programs):
    service.restart()
    assert programs.told == [
        "systemctl daemon-reload",
        f"systemctl reset-failed {UNIT}",
        f"systemctl restart {UNIT}",
    ]


def test_stopping_stops_the_unit(service, programs):
    service.stop()
    assert programs.told == ["systemctl daemon-reload", f"systemctl stop {UNIT}"]


def test_the_state_is_systemds_own_word_and_its_count_of_restarts(service, programs):
    programs.add("systemctl", "echo ActiveState=activating; echo NRestarts=3")
    assert service.state() == ServiceState("activating", 3)
    assert programs.told == [f"systemctl show {UNIT} --property ActiveState,NRestarts"]
    programs.add("systemctl", "echo ActiveState=inactive; echo NRestarts=")
    assert service.state() == ServiceState("inactive", 0)


def test_without_an_answer_the_state_is_unknown(service):
    assert service.state() == ServiceState("unknown", 0)


@pytest.mark.parametrize(("answer", "is_older"), [("no", False), ("yes", True), ("no\n\nyes", True)])
def test_a_unit_file_that_systemd_has_not_read_is_seen(service, programs, answer, is_older):
    programs.add("systemctl", f"printf '{answer}\\n'; exit 1")
    assert service.needs_reload() is is_older


def test_of_a_timer_the_service_that_it_starts_is_asked_for_too(programs):
    SystemdService("pipress-facts.timer").needs_reload()
    assert {"pipress-facts.timer", "pipress-facts.service"} < set(programs.told[0].split())


def test_reading_units_anew_touches_nothing_that_runs(service, programs):
    service.reload_units()
    assert programs.told == ["systemctl daemon-reload"]


def test_a_unit_that_starts_is_started_after_its_failures_are_forgotten(service, programs):
    programs.add("systemctl")
    service.start_anew()
    assert programs.told == [f"systemctl reset-failed {UNIT}", f"systemctl restart {UNIT}"]


@pytest.mark.parametrize(
    ("systemctl", "why"), [("echo Unit not found. >&2; exit 5", "Unit not found."), ("exit 1", "no such key")]
)
def test_a_unit_that_does_not_start_says_why(service, programs, systemctl, why):
    programs.add("systemctl", systemctl)
    programs.add("journalctl", "echo no such key")
    with pytest.raises(HostError, match=f"{UNIT} does not start: {why} — `journalctl -u {UNIT}`"):
        service.start_anew()


def test_a_variable_is_the_one_that_the_process_was_started_with(service, programs):
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "STAMP": "a=b", "EMPTY": ""}) as process:
        programs.add("systemctl", f"echo MainPID={process.pid}")
        until = time.monotonic() + 5
        while service.variable("STAMP") is None and time.monotonic() < until:
            time.sleep(0.01)  # it has not come to run `sleep` yet
        assert [service.variable(name) for name in ("STAMP", "EMPTY", "NONE")] == ["a=b", "", None]
        process.kill()


def test_a_unit_without_a_process_has_no_variables(service, programs):
    programs.add("systemctl", "echo MainPID=0")
    assert service.variable("PATH") is None


def test_drop_ins_of_others_are_listed(service, programs):
    assert service.overrides() == []
    programs.add("systemctl", "echo DropInPaths=/etc/a.conf /etc/b.conf")
    assert service.overrides() == ["/etc/a.conf", "/etc/b.conf"]


def test_what_the_service_said_since_it_was_restarted_is_one_line(service, programs):
    programs.add("journalctl", "echo '  loading '; echo; echo out of memory")
    before = int(time.time())
    service.restart()
    assert service.log_tail(2) == "loading | out of memory"
    [asked] = [line for line in programs.told if line.startswith("journalctl")]
    assert f"_SYSTEMD_UNIT={UNIT} --since=@" in asked and asked.endswith("--lines=2")
    assert before <= int(asked.partition("@")[2].split()[0]) <= time.time()


def test_where_it_said_nothing_systemd_is_quoted(service, programs):
    programs.add("journalctl", f"case $* in *--unit={UNIT}*) echo status=203/EXEC ;; esac; exit 1")
    assert service.log_tail() == "status=203/EXEC"
    assert programs.told[-1].endswith("--lines=4")
