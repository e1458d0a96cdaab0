"""The module in this process; keeping one unit is tested in module_utils/pipress_host/test_unit.py, and a stand-in here."""

from __future__ import annotations

import pytest
from ansible.module_utils.pipress_host.errors import HostError

UNITS = [
    {"name": "a.service", "content": "[Service]\n", "runs": "1", "wanted_by": "multi-user.target"},
    {"name": "b.timer", "content": "[Timer]\n"},
]


@pytest.fixture
def keep(module, monkeypatch):
    """Runs the module; what becomes of each unit is given by its name."""

    def run(outcomes, check=False):
        def run_unit(unit, service, is_check):
            assert (service.unit, is_check) == (unit.name, check)
            outcome = outcomes[unit.name]
            if isinstance(outcome, Exception):
                raise outcome
            return {"changed": bool(outcome), "reason": outcome, "diff": [{"after": unit.wanted_by}]}

        monkeypatch.setattr(module.code, "run_unit", run_unit)
        return module(check=check, units=UNITS)

    return run


@pytest.mark.parametrize("check", [True, False])
def test_units_that_had_to_be_started_are_named(keep, check):
    answer = keep({"a.service": None, "b.timer": "it is inactive"}, check)
    assert (answer["changed"], answer["msg"]) == (True, "b.timer: it is inactive")
    assert answer["diff"] == [{"after": "multi-user.target"}, {"after": ""}]


def test_units_that_run_as_they_should_change_nothing(keep):
    answer = keep({"a.service": None, "b.timer": None})
    assert (answer["changed"], answer["msg"]) == (False, "")


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (HostError("a.service does not start", "see why"), "a.service does not start — see why"),
        (
            OSError(28, "No space left on device", "/etc/a"),
            "/etc/a cannot be written: No space left on device",
        ),
        (OSError(28, "No space left on device"), "a unit cannot be written"),
    ],
)
def test_a_unit_that_cannot_be_kept_fails_the_play(keep, problem, message):
    answer = keep({"a.service": problem})
    assert answer["failed"] and message in answer["msg"]
