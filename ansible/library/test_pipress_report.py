"""The module in this process, on this machine."""

from __future__ import annotations

import json

import pytest

WANTS = {
    "memoryBytes": 0,
    "diskReserveBytes": 0,
    "port": 1,
    "epoch": 0,
    "clockToleranceSeconds": 300,
    "virtual": True,
    "prepare": False,
}
HOME = {"project": "pipress", "stack": "home", "id": "aa", "name": "pi-1"}


@pytest.fixture
def report(module, tmp_path):
    def run(**changes):
        given = {"root": tmp_path, "unit": "x.service", "files": [], "wants": WANTS}
        return module(**{**given, "owner_file": tmp_path / "owner.json", "owner": HOME, **changes})

    return run


def test_facts_are_judged_and_errors_told_from_warnings(report):
    answer = report(files=[{"sha256": "0" * 64, "bytes": "7"}])
    assert answer["changed"] is False
    assert (answer["facts"]["missingBytes"], answer["facts"]["releaseBytes"]) == (7, 7)
    assert any("the clock is" in problem for problem in answer["problems"])
    assert any("not a Raspberry Pi 4" in remark for remark in answer["remarks"])
    assert not any("the clock is" in remark for remark in answer["remarks"])


@pytest.mark.parametrize("take_over", [False, True])
def test_another_stacks_host_is_a_problem_unless_it_is_taken_over(report, tmp_path, take_over):
    (tmp_path / "owner.json").write_text(json.dumps({**HOME, "id": "bb"}))
    answer = report(take_over=take_over)
    said = answer["remarks" if take_over else "problems"]
    assert 'it belongs to stack "home"' in said[0]
