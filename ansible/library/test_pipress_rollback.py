"""The module in this process; systemd is a stand-in whose transient unit leaves the verdict that a test has prepared."""

from __future__ import annotations

import json

import pytest

ONE, TWO = "1" * 64, "2" * 64
GOOD = {"ok": True, "release": ONE, "serving": ONE}
BAD = {"ok": False, "release": ONE, "reason": "it answered 'Berlin'", "serving": TWO, "fallback": TWO}


@pytest.fixture
def go_back(module, tmp_path, programs):
    """A host that serves the release TWO, and served ONE before."""
    for release in (ONE, TWO):
        (tmp_path / "releases" / release).mkdir(parents=True)
    (tmp_path / "current").symlink_to(f"releases/{TWO}")
    (tmp_path / "previous").symlink_to(f"releases/{ONE}")
    (tmp_path / "activations").mkdir()
    programs.add("systemctl", "echo ActiveState=inactive")

    def run(verdict=None, check=False):
        (tmp_path / "comes").write_text(json.dumps(verdict))
        leave = f"for id; do :; done; cp {tmp_path}/comes {tmp_path}/activations/$id.json"
        programs.add("systemd-run", leave if verdict else "")
        return module(
            check=check, root=tmp_path, keys=tmp_path / "keys", unit="pipress-llama.service", timeout=5
        )

    return run


def test_a_host_goes_back_to_the_release_before(go_back, programs):
    assert go_back(GOOD) == {"changed": True, "left": TWO, "release": ONE, "verdict": GOOD}
    assert "activate --back --id back-" in programs.told[0]


def test_check_tells_where_to_and_starts_nothing(go_back, programs):
    assert go_back(GOOD, check=True) == {"changed": True, "left": TWO, "release": ONE}
    assert programs.told == []


def test_without_a_release_before_there_is_nothing_to_go_back_to(go_back, tmp_path, programs):
    (tmp_path / "previous").unlink()
    answer = go_back(GOOD)
    assert answer["failed"] and "no earlier release" in answer["msg"] and programs.told == []


def test_a_release_that_no_longer_passes_fails_the_play(go_back):
    answer = go_back(BAD)
    assert answer["failed"] and answer["verdict"] == BAD
    assert "release 111111111111 no longer passes its health check: it answered 'Berlin'" in answer["msg"]


def test_no_verdict_fails_the_play(go_back):
    assert "gave no verdict within 5 seconds" in go_back()["msg"]
