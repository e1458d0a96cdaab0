"""What keeps a release off a host."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from pipress_host.preflight import judge
from pipress_host.report import listener_of, read_report

GOOD = {
    "machine": "aarch64",
    "pointerBits": 64,
    "cpuParts": ["0xd08"],
    "model": "Raspberry Pi 4 Model B Rev 1.4",
    "memoryBytes": 4_000_000_000,
    "memoryCgroup": True,
    "diskFreeBytes": 10_000_000_000,
    "missingBytes": 100_000_000,
    "readOnly": [],
    "separateVar": False,
    "epoch": 1_000_000_000.0,
    "systemd": True,
    "listener": None,
    "throttled": 0,
    "governor": "ondemand",
    "swap": [],
}
WANTS = {
    "memoryBytes": 1_500_000_000,
    "diskReserveBytes": 268_435_456,
    "port": 8080,
    "epoch": 1_000_000_010.0,
    "clockToleranceSeconds": 300,
    "virtual": False,
}


def errors_of(**changes):
    return [str(each) for each in judge({**GOOD, **changes}, WANTS) if each.error]


def warnings_of(**changes):
    return [str(each) for each in judge({**GOOD, **changes}, WANTS) if not each.error]


def test_a_good_pi_gives_no_finding():
    assert judge(GOOD, WANTS) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "armv7l"}, "the kernel is armv7l, not aarch64"),
        ({"pointerBits": 32}, "the system on it is 32-bit"),
        ({"cpuParts": ["0xd0b"]}, "the CPU part is 0xd0b, not 0xd08"),
        ({"memoryBytes": 900_000_000}, "900 MB of memory, but model, KV cache and system need 1.50 GB"),
        ({"memoryCgroup": False}, "cgroup_enable=memory"),
        ({"diskFreeBytes": 300_000_000}, "300 MB of disk are free, but the release needs 368 MB"),
        ({"epoch": 1_000_000_000 - 365 * 86400.0}, "the clock is 365 days behind the controller's"),
        ({"epoch": 1_000_007_210.0}, "the clock is 2 hours ahead of the controller's"),
        ({"listener": {"pid": 7, "command": "nginx", "ours": False}}, "port 8080 is taken by nginx (pid 7)"),
        ({"readOnly": ["/var/lib"]}, "/var/lib is read-only"),
        ({"systemd": False}, "systemd does not run this host"),
        ({"throttled": 0x50005}, "the firmware reports under-voltage, throttled"),
    ],
)
def test_each_obstacle_is_named_with_its_remedy(changes, said):
    (error,) = errors_of(**changes)
    assert said in error
    assert " — " in error


def test_all_obstacles_are_told_at_once():
    assert len(errors_of(machine="x86_64", cpuParts=[], memoryCgroup=False, systemd=False)) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "linux,dummy-virt"}, "`linux,dummy-virt`, not a Raspberry Pi 4"),
        ({"throttled": 0x10000}, "has seen under-voltage since boot"),
        ({"governor": "powersave"}, "the CPU governor is `powersave`"),
        ({"swap": ["/var/swap"]}, "swap is on (/var/swap)"),
        ({"separateVar": True}, "another file system"),
    ],
)
def test_what_is_only_worth_knowing_is_a_warning(changes, said):
    assert errors_of(**changes) == []
    assert said in warnings_of(**changes)[0]


def test_a_listener_of_our_own_and_a_full_disk_with_nothing_to_fetch_are_fine():
    ours = {"pid": 7, "command": "llama-server", "ours": True}
    assert judge({**GOOD, "listener": ours, "missingBytes": 0, "diskFreeBytes": 0}, WANTS) == []


def test_the_report_of_this_machine_can_be_judged():
    facts = read_report(Path("/nonexistent/pipress"), [], 1, "pipress-llama.service")
    assert facts["memoryBytes"] > 0
    assert facts["missingBytes"] == 0
    judge(facts, WANTS)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_listener_is_found_by_its_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = listener_of(port, "pipress-llama.service")
        assert found == {"pid": os.getpid(), "command": found["command"], "ours": False}
    assert listener_of(port, "pipress-llama.service") is None
