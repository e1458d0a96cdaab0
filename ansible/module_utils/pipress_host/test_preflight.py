"""What keeps a release off a host."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipress_host import report
from pipress_host.preflight import judge
from pipress_host.report import disk_errors, listener_of, overlay_root, read_report, swap_devices

GOOD = {
    "machine": "aarch64",
    "pointerBits": 64,
    "cpuParts": ["0xd08"],
    "model": "Raspberry Pi 4 Model B Rev 1.4",
    "bootloader": "2025-02-11",
    "memoryBytes": 4_000_000_000,
    "memoryCgroup": True,
    "diskFreeBytes": 10_000_000_000,
    "missingBytes": 100_000_000,
    "releaseBytes": 110_000_000,
    "readOnly": [],
    "overlayRoot": False,
    "noExec": [],
    "separateVar": False,
    "epoch": 1_000_000_000.0,
    "systemd": True,
    "listener": None,
    "clockSynchronised": True,
    "throttled": 0,
    "celsius": 48.2,
    "governor": "ondemand",
    "swap": [],
    "aptBusy": False,
    "diskErrors": [],
    "fileSystemErrors": {},
}
WANTS = {
    "memoryBytes": 1_500_000_000,
    "diskReserveBytes": 268_435_456,
    "port": 8080,
    "epoch": 1_000_000_010.0,
    "clockToleranceSeconds": 300,
    "virtual": False,
    "prepare": False,
}


def errors_of(**changes):
    return [str(finding) for finding in judge({**GOOD, **changes}, WANTS) if finding.error]


def warnings_of(**changes):
    return [str(finding) for finding in judge({**GOOD, **changes}, WANTS) if not finding.error]


def test_a_good_pi_gives_no_finding():
    assert judge(GOOD, WANTS) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machine": "armv7l"}, "the kernel is armv7l, not aarch64"),
        ({"pointerBits": 32}, "the system on it is 32-bit"),
        ({"cpuParts": ["0xd03"]}, "the CPU part is 0xd03, not 0xd08"),
        ({"memoryBytes": 900_000_000}, "900 MB of memory, but model, KV cache and system need 1.50 GB"),
        ({"diskFreeBytes": 300_000_000}, "300 MB of disk are free, but the release needs 368 MB"),
        ({"epoch": 1_000_000_000 - 365 * 86400.0}, "the clock is 365 days behind the controller's"),
        ({"epoch": 1_000_007_210.0}, "the clock is 2 hours ahead of the controller's"),
        ({"listener": {"pid": 7, "command": "nginx", "ours": False}}, "port 8080 is taken by nginx (pid 7)"),
        ({"readOnly": ["/var/lib"]}, "/var/lib is read-only"),
        ({"overlayRoot": True}, "the root file system is an overlay in memory"),
        ({"noExec": ["/var/lib/pipress"]}, "/var/lib/pipress is on a file system that is mounted noexec"),
        ({"systemd": False}, "systemd does not run this host"),
        ({"throttled": 0x50005}, "the firmware reports under-voltage, throttled"),
        ({"celsius": 82.0}, "the board is at 82 °C, where the firmware slows it down"),
        ({"diskErrors": ["I/O error, dev mmcblk0, sector 9"]}, "the last: I/O error, dev mmcblk0, sector 9"),
    ],
)
def test_each_obstacle_is_named_with_its_remedy(changes, message):
    (error,) = errors_of(**changes)
    assert message in error
    assert " — " in error


def test_all_obstacles_are_told_at_once():
    assert len(errors_of(machine="x86_64", cpuParts=[], readOnly=["/var/lib"], systemd=False)) == 4


@pytest.mark.parametrize(
    ("root", "command_line", "is_lost"),
    [
        ("/dev/mmcblk0p2 / ext4 rw,noatime 0 0", "rootwait", False),
        # raspi-config before bookworm, and since.
        ("overlay / overlay rw,lowerdir=/lower,upperdir=/upper/data 0 0", "boot=overlay rootwait", True),
        ("overlayroot / overlay rw,lowerdir=/media/root-ro 0 0", "overlayroot=tmpfs rootwait", True),
        # Asked for by /etc/overlayroot.conf.
        ("overlayroot / overlay rw,lowerdir=/media/root-ro 0 0", "rootwait", True),
        ("/dev/mmcblk0p2 / ext4 rw 0 0", "overlayroot=disabled", False),
        # A container.
        ("overlay / overlay rw,lowerdir=/var/lib/docker 0 0", "quiet rootwait", False),
    ],
)
def test_a_root_that_forgets_is_told_from_one_that_does_not(root, command_line, is_lost):
    mounts = ["proc /proc proc rw 0 0", root, "tmpfs /run tmpfs rw 0 0"]
    assert overlay_root(mounts, command_line) is is_lost


def test_a_folder_mounted_noexec_is_seen(tmp_path):
    """In a mount namespace of its own, which takes root."""
    folder = tmp_path / "var"
    folder.mkdir()
    look = (
        "from pathlib import Path; from pipress_host import report; "
        f"report.EXECUTED = ('{folder}/not-there-yet', '{tmp_path}'); "
        f"print(report.read_report(Path('{tmp_path}'), [], 1, 'x.service')['noExec'])"
    )
    script = f'mount -t tmpfs -o noexec tmpfs {folder} && exec {sys.executable} -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", look],
        env={**os.environ, "PYTHONPATH": str(Path(report.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search("unshare failed|permission denied", done.stderr):
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.stdout == f"['{folder}/not-there-yet']\n", done.stderr


def test_a_kernel_that_the_rollout_itself_prepares_is_no_warning():
    findings = judge({**GOOD, "memoryCgroup": False}, {**WANTS, "prepare": True})
    assert findings == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "linux,dummy-virt"}, "`linux,dummy-virt`, not a Raspberry Pi 4"),
        ({"model": "Raspberry Pi 5 Model B Rev 1.0", "cpuParts": ["0xd0b"]}, "not a Raspberry Pi 4"),
        ({"memoryCgroup": False}, "cgroup_enable=memory"),
        ({"throttled": 0x10000}, "has seen under-voltage since boot"),
        ({"bootloader": "2024-04-15"}, "the bootloader is of 2024-04-15"),
        ({"governor": "powersave"}, "the CPU governor is `powersave`"),
        ({"swap": ["/var/swap"]}, "swap is on (/var/swap)"),
        ({"separateVar": True}, "another file system"),
        ({"celsius": 71.0}, "the board is at 71 °C"),
        ({"clockSynchronised": False}, "nothing keeps it synchronised"),
        ({"aptBusy": True}, "apt or dpkg is at work"),
        ({"fileSystemErrors": {"mmcblk0p2": 3}}, "the file system on mmcblk0p2 has recorded 3 errors"),
        (
            {"diskFreeBytes": 400_000_000},
            "300 MB of disk will be free, too little for a second release of 110 MB",
        ),
    ],
)
def test_what_is_only_worth_knowing_is_a_warning(changes, message):
    assert errors_of(**changes) == []
    assert message in warnings_of(**changes)[0]


def kinds(changes, wants=None):
    """Whether each finding is an error."""
    return [finding.error for finding in judge({**GOOD, **changes}, {**WANTS, **(wants or {})})]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"celsius": 69.9}, []),
        ({"celsius": 70.0}, [False]),
        ({"celsius": 79.9}, [False]),
        ({"celsius": 80.0}, [True]),
        ({"celsius": None}, []),
        ({"memoryBytes": 1_500_000_000}, []),
        ({"memoryBytes": 1_499_999_999}, [True]),
        # 100 MB to fetch and 268,435,456 bytes that stay free; then a second release of 110 MB.
        ({"diskFreeBytes": 368_435_455}, [True]),
        ({"diskFreeBytes": 368_435_456}, [False]),
        ({"diskFreeBytes": 478_435_455}, [False]),
        ({"diskFreeBytes": 478_435_456}, []),
        ({"epoch": 1_000_000_310.0}, []),
        ({"epoch": 1_000_000_310.1}, [True]),
        ({"epoch": 999_999_710.0}, []),
        ({"epoch": 999_999_709.9}, [True]),
    ],
)
def test_a_limit_is_kept_by_what_just_meets_it(changes, found):
    assert kinds(changes) == found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (301, "5 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (2 * 86400 - 1, "48 hours"),
        (2 * 86400, "2 days"),
    ],
)
def test_how_far_off_a_clock_is_reads_in_the_largest_unit_that_fits(seconds, text):
    (error,) = errors_of(epoch=WANTS["epoch"] + seconds)
    assert f"the clock is {text} ahead of" in error


@pytest.mark.parametrize(("seconds", "text"), [(119, "119 seconds"), (120, "2 minutes"), (2, "2 seconds")])
def test_less_than_two_minutes_are_told_in_seconds(seconds, text):
    wants = {**WANTS, "epoch": GOOD["epoch"] + seconds, "clockToleranceSeconds": 1}
    (finding,) = judge(GOOD, wants)
    assert f"the clock is {text} behind" in str(finding)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", []),
        ("Raspberry Pi Compute Module 4 Rev 1.0", []),
        ("Raspberry Pi 3 Model B", [False]),
        (None, [False]),
    ],
)
def test_another_board_is_a_warning(model, found):
    assert kinds({"model": model}) == found


def test_of_a_virtual_host_neither_board_nor_clock_are_expected_to_be_a_pis():
    changes = {"model": "linux,dummy-virt", "clockSynchronised": False}
    assert kinds(changes) == [False, False]
    (finding,) = judge({**GOOD, **changes}, {**WANTS, "virtual": True})
    assert not finding.error and "expected of a virtual host" in str(finding)


@pytest.mark.parametrize(
    ("parts", "found"), [([], [True]), (["0xd08", "0xd0b"], [True]), (["0xd0b"], []), (["0xd08"], [])]
)
def test_a_cpu_is_all_of_one_kind_that_the_program_is_built_for(parts, found):
    assert kinds({"cpuParts": parts}) == found


def test_a_condition_that_holds_now_is_not_told_as_past_too():
    assert errors_of(throttled=0x10001) and warnings_of(throttled=0x10001) == []
    assert "seen frequency capped, throttled since" in warnings_of(throttled=0x70001)[0]
    assert kinds({"throttled": None}) == kinds({"throttled": 0x100000}) == []
    (error,) = errors_of(throttled=0xF)
    assert "under-voltage, frequency capped, throttled, soft temperature limit" in error


@pytest.mark.parametrize(
    ("governor", "found"),
    [("powersave", [False]), ("conservative", [False]), ("performance", []), (None, [])],
)
def test_a_governor_that_keeps_the_clock_low_is_a_warning(governor, found):
    assert kinds({"governor": governor}) == found


@pytest.mark.parametrize(
    ("built", "found"), [("2024-12-06", [False]), ("2024-12-07", []), ("2026-05-17", []), (None, [])]
)
def test_a_bootloader_that_reads_memory_slowly_is_a_warning(built, found):
    assert kinds({"bootloader": built}) == found


def test_every_file_system_with_errors_is_named_and_the_last_error_of_a_disk():
    said = warnings_of(fileSystemErrors={"sda1": 1, "mmcblk0p2": 3})
    assert ["mmcblk0p2" in said[0], "sda1" in said[1]] == [True, True]
    assert "the last: second" in errors_of(diskErrors=["first", "second"])[0]


def test_every_folder_that_cannot_be_used_is_an_error():
    assert kinds({"readOnly": ["/etc", "/var/lib"], "noExec": ["/a", "/b"]}) == [True] * 4


def test_a_32_bit_kernel_is_not_told_of_its_32_bit_system_too():
    assert kinds({"machine": "armv7l", "pointerBits": 32}) == [True]


def test_memory_accounting_is_only_asked_for_where_it_is_off():
    assert kinds({"memoryCgroup": True}, {"prepare": False}) == []
    assert kinds({"memoryCgroup": False}, {"prepare": False}) == [False]


def test_a_listener_of_our_own_and_a_full_disk_with_nothing_to_fetch_are_fine():
    ours = {"pid": 7, "command": "llama-server", "ours": True}
    assert errors_of(listener=ours, missingBytes=0, diskFreeBytes=0) == []


def test_the_report_of_this_machine_can_be_judged():
    facts = read_report(Path("/nonexistent/pipress"), [], 1, "pipress-llama.service")
    assert facts["memoryBytes"] > 0
    assert facts["missingBytes"] == 0
    judge(facts, WANTS)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_listener_is_found_by_its_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listener = listener_of(port, "pipress-llama.service")
        assert listener == {"pid": os.getpid(), "command": listener["command"], "ours": False}
    assert listener_of(port, "pipress-llama.service") is None


def test_a_failing_card_is_told_from_a_healthy_one_by_the_kernels_log():
    healthy = [
        "mmc0: new ultra high speed DDR50 SDHC card at address aaaa",
        "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode",
        "mmcblk0: mmc0:aaaa SC32G 29.7 GiB",
    ]
    failing = [
        "I/O error, dev mmcblk0, sector 4472832 op 0x0:(READ) flags 0x80700",
        "mmc0: Timeout waiting for hardware interrupt.",
        "mmc0: error -110 whilst initialising SD card",
        "EXT4-fs error (device mmcblk0p2): ext4_find_entry:1455: inode #2: comm systemd: reading directory",
        "EXT4-fs (mmcblk0p2): Remounting filesystem read-only",
    ]
    assert disk_errors(healthy + failing) == failing


def test_dpkgs_lock_is_seen_while_another_process_holds_it(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    assert not report._is_locked(lock)
    hold = f"import fcntl,time; f=open({str(lock)!r},'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert report._is_locked(lock)
        holder.kill()


@pytest.mark.parametrize(("shown", "flags"), [("50005", 0x50005), ("0x0", 0), ("nonsense", None)])
def test_throttling_is_read_from_the_kernel_where_there_is_no_vcgencmd(monkeypatch, shown, flags):
    monkeypatch.setattr(report, "_first_line", lambda path: shown)
    assert report.throttled() == flags


def test_throttling_is_asked_of_vcgencmd(monkeypatch, tmp_path):
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\necho throttled=0x50000\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert report.throttled() == 0x50000


def test_compressed_memory_is_no_swap_on_a_card(tmp_path):
    swaps = tmp_path / "swaps"
    swaps.write_text(
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/zram0                              partition\t2097148\t\t0\t\t100\n"
        "/var/swap                               file\t\t524272\t\t0\t\t-2\n"
    )
    assert swap_devices(swaps) == ["/var/swap"]
    assert swap_devices(tmp_path / "none") == []
