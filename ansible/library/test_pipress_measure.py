"""The module in this process; systemd is a stand-in whose transient unit leaves the outcome that a test has prepared."""

from __future__ import annotations

import json
import re

import pytest

GOOD = {"ok": True, "reason": None, "generation": 0.7}
BAD = {"ok": False, "reason": "llama-bench failed: no memory — see that nothing else takes it"}


@pytest.fixture
def measure(module, tmp_path, programs, monkeypatch, serve_tiny_model):
    """A host that serves a release; `state` is what systemd says of the measuring unit before it is started, and after."""
    serve_tiny_model(tmp_path)
    monkeypatch.setattr("ansible.module_utils.pipress_host.measurement.SAMPLE_SECONDS", 0.1)

    def run(outcome=None, states=("inactive", "inactive"), check=False):
        (tmp_path / "comes").write_text(json.dumps(outcome))
        (tmp_path / "states").write_text("\n".join(states))
        leave = f"cp {tmp_path}/comes {tmp_path}/measurement.json"
        programs.add("systemd-run", leave if outcome else "")
        # The last state is said again and again.
        programs.add(
            "systemctl",
            f"echo ActiveState=$(head -n 1 {tmp_path}/states); [ $(wc -l < {tmp_path}/states) = 0 ] || sed -i 1d {tmp_path}/states",
        )
        given = {"root": tmp_path, "keys": tmp_path / "keys", "unit": "pipress-llama.service"}
        sizes = {"prompt": 512, "generate": 128, "repetitions": 2, "limit": 600}
        return module(check=check, command="/tools/measure", bench="/store/bench", **given, **sizes)

    return run


def started(programs):
    return [line for line in programs.told if line.startswith("systemd-run")]


def test_a_measurement_is_a_unit_after_which_the_server_is_started(measure, programs):
    assert measure(GOOD) == {"changed": True, "outcome": GOOD}
    [line] = started(programs)
    assert "--unit=pipress-measure.service" in line
    assert "--property=ExecStopPost=/usr/bin/systemctl start --no-block pipress-llama.service" in line
    assert line.endswith(
        "/tools/measure /store/bench --limit 600 --prompt 512 --generate 128 --repetitions 2"
    )


def test_check_tells_what_would_be_measured(measure, programs):
    answer = measure(check=True)
    assert answer["subject"]["model"]["name"] == "llama 2K"
    assert (answer["subject"]["threads"], answer["subject"]["running"]) == (4, False)
    assert started(programs) == []


@pytest.mark.parametrize("state", ["active", "activating", "deactivating"])
def test_one_that_is_at_work_is_waited_for(measure, programs, tmp_path, state):
    (tmp_path / "measurement.json").write_text(json.dumps(GOOD))
    assert measure(states=(state, state, "inactive")) == {"changed": True, "outcome": GOOD}
    assert started(programs) == []
    assert measure(states=(state,), check=True)["subject"] == {"running": True}


def test_an_old_outcome_is_not_taken_for_the_new_one(measure, tmp_path):
    (tmp_path / "measurement.json").write_text(json.dumps(GOOD))
    answer = measure()
    assert answer["failed"] and "ended without a result" in answer["msg"]


def test_a_measurement_that_failed_fails_the_play(measure):
    answer = measure(BAD)
    assert answer["failed"] and answer["msg"] == BAD["reason"]


def test_nothing_is_started_where_nothing_is_installed(measure, programs, tmp_path):
    (tmp_path / "current").unlink()
    answer = measure(GOOD)
    assert answer["failed"] and re.match("the host serves no release — roll one out", answer["msg"])
    assert started(programs) == []
