"""What a soak finds; the releases and the service manager are stand-ins."""

from __future__ import annotations

import pytest

from pipress_host import probe
from pipress_host.service import ServiceState


class Stage:
    """In the place of an Activation and its service."""

    def __init__(self, current, state):
        self.service = self
        self._current, self._state = current, state

    def current(self):
        return self._current

    def state(self):
        return self._state

    def log_tail(self):
        return "out of memory"


@pytest.mark.parametrize(
    ("current", "state", "healthy", "flags", "parts"),
    [
        ("new", ServiceState("active", 0), True, 0x50000, []),
        ("new", ServiceState("active", 0), True, None, []),
        ("new-0123", ServiceState("active", 0), True, 0, []),
        ("new", ServiceState("inactive", 0), False, 0, ["the service is inactive"]),
        ("new", ServiceState("active", 1), True, 0, ["had to restart the service 1 times"]),
        ("old", ServiceState("active", 0), True, 0, ["the host serves old, not new"]),
        ("new", ServiceState("failed", 9), True, 0, ["the service is failed: out of memory"]),
        ("new", ServiceState("active", 3), True, 0, ["had to restart the service 3 times: out of memory"]),
        ("new", ServiceState("active", 0), False, 0, ["/health does not say"]),
        (
            None,
            ServiceState("active", 0),
            True,
            0x1,
            ["no release, not new", "throttles the board (get_throttled 0x1)"],
        ),
    ],
)
def test_everything_that_changed_since_the_health_check_is_reported(
    monkeypatch, current, state, healthy, flags, parts
):
    monkeypatch.setattr(probe, "is_healthy", lambda port: healthy)
    monkeypatch.setattr(probe, "throttled", lambda: flags)
    problems = probe.what_is_wrong(Stage(current, state), "new", 8080)
    assert len(problems) == len(parts)
    for message, part in zip(problems, parts):
        assert part in message


def test_names_are_cut_as_people_read_them_and_a_silent_service_is_called_so(monkeypatch):
    monkeypatch.setattr(probe, "throttled", lambda: None)
    stage = Stage("1" * 64, ServiceState("failed", 0))
    monkeypatch.setattr(stage, "log_tail", lambda: "", raising=False)
    assert probe.what_is_wrong(stage, "2" * 64, 8080) == [
        "the host serves 111111111111, not 222222222222",
        "the service is failed: it logged nothing",
    ]
