"""The facts of a Pi as its files tell them: /proc, /sys and /etc are a folder of the test's."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipress_host import report
from pipress_host.report import (
    available_bytes,
    bootloader,
    celsius,
    counts_memory,
    listener_of,
    overlay_root,
    read_report,
    throttled,
)
from pipress_host.store import Wanted

CPU = "processor\t: {}\nCPU part\t: 0xd08\n\n"
#: The table of sockets; 1F90 is 8080, and state 0A is LISTEN.
TCP = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:1F90 0100007F:1F92 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n"
    "   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n"
    "   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n"
)


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """A Raspberry Pi 4: `pi(path, text)` writes one of its files."""

    def write(path, text):
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    monkeypatch.setattr(report, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    write("/proc/cpuinfo", "".join(CPU.format(core) for core in range(4)))
    write("/proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    write("/proc/meminfo", "MemTotal:  3884000 kB\nMemFree:  100 kB\nMemAvailable:  2000000 kB\n")
    write("/proc/mounts", "proc /proc proc rw 0 0\n/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n")
    write("/proc/cmdline", "rootwait\n")
    write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    write("/sys/class/thermal/thermal_zone0/temp", "48686\n")
    write("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    write("/sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    write("/sys/fs/ext4/mmcblk0p2/errors_count", "3\n")
    write("/sys/fs/ext4/mmcblk0p1/errors_count", "0\n")
    write("/sys/fs/ext4/sda1/errors_count", "none\n")
    for unit in ("pipress-llama.service", "pipress-facts.timer", "ssh.service"):
        write(f"/etc/systemd/system/{unit}", "")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return write


def facts(root="/", wanted=(), port=1):
    return read_report(Path(root), wanted, port, "pipress-llama.service")


def test_a_pis_files_are_its_facts(pi):
    found = facts()
    expected = {
        "machine": platform.machine(),
        "pointerBits": 64 if sys.maxsize > 2**32 else 32,
        "python": platform.python_version(),
        "cpuParts": ["0xd08"],
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "memoryCgroup": True,
        "overlayRoot": False,
        "systemd": True,
        "listener": None,
        "throttled": 0x50005,
        "celsius": 48.686,
        "governor": "ondemand",
        "units": ["pipress-facts.timer", "pipress-llama.service"],
        "aptBusy": False,
        "fileSystemErrors": {"mmcblk0p2": 3},
        "readOnly": [],
        "noExec": [],
    }
    assert {name: found[name] for name in expected} == expected
    assert abs(found["epoch"] - time.time()) < 10


def test_memory_is_what_the_kernel_says(pi):
    assert available_bytes() == 2_000_000 * 1024
    total = Path("/proc/meminfo").read_text().split()[1]
    assert facts()["memoryBytes"] == int(total) * 1024
    pi("/proc/meminfo", "MemTotal:  3884000 kB\n")
    assert available_bytes() == facts()["memoryBytes"]


def test_a_board_that_tells_nothing_has_no_such_facts(pi, tmp_path, monkeypatch):
    for path in ("sys", "proc/device-tree", "run"):
        shutil.rmtree(tmp_path / path)
    monkeypatch.setattr(report.shutil, "which", lambda name: None)
    found = facts()
    nothing = {"model": None, "throttled": None, "celsius": None, "governor": None, "memoryCgroup": False}
    assert {name: found[name] for name in nothing} == nothing
    assert (found["fileSystemErrors"], found["systemd"]) == ({}, False)


@pytest.mark.parametrize(("text", "degrees"), [("-5000", -5.0), ("0", 0.0), ("hot", None), ("", None)])
def test_a_temperature_is_a_number(pi, text, degrees):
    pi("/sys/class/thermal/thermal_zone0/temp", text)
    assert celsius() == degrees


def test_memory_is_counted_where_the_controller_is_on_in_either_version_of_cgroups(pi, tmp_path):
    pi("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    assert not counts_memory()
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").unlink()
    assert not counts_memory()
    (tmp_path / "sys/fs/cgroup/memory").mkdir()
    assert counts_memory()


def test_every_kind_of_core_is_named_once(pi):
    pi("/proc/cpuinfo", CPU.format(0) + CPU.replace("0xd08", "0xd03").format(1) + "CPU partly: 0x1\n")
    assert facts()["cpuParts"] == ["0xd03", "0xd08"]


def test_what_a_release_needs_is_counted_and_what_is_here_is_taken_off(pi, tmp_path):
    pi("/store/" + "b" * 64, "x" * 30)
    pi("/store/" + "c" * 64 + ".part", "x" * 4)
    wanted = [Wanted(letter * 64, size, "file") for letter, size in (("a", 100), ("b", 30), ("c", 10))]
    found = facts(tmp_path, wanted)
    assert (found["releaseBytes"], found["missingBytes"]) == (140, 106)


def test_the_disk_is_the_one_that_the_folder_is_or_will_be_on(pi, tmp_path, monkeypatch):
    monkeypatch.undo()
    found = facts(tmp_path / "not/yet")
    assert found["diskFreeBytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert found["separateVar"] is (tmp_path.stat().st_dev != Path("/").stat().st_dev)
    assert facts("/proc/self/not/yet")["separateVar"] is True


@pytest.mark.parametrize(("flag", "fact"), [(os.ST_RDONLY, "readOnly"), (os.ST_NOEXEC, "noExec")])
def test_how_a_file_system_is_mounted_is_told_by_folder(pi, monkeypatch, flag, fact):
    folders = {"readOnly": report.WRITTEN, "noExec": report.EXECUTED}
    monkeypatch.setattr(report, "_flags", lambda path: flag)
    found = facts()
    assert found[fact] == list(folders.pop(fact))
    assert [found[other] for other in folders] == [[]]


def test_without_a_root_in_the_table_of_mounts_nothing_is_an_overlay():
    assert overlay_root([], "boot=overlay") is False
    assert overlay_root(["overlay /mnt overlay rw 0 0"], "boot=overlay") is False
    # What is mounted last is what is seen.
    covered = ["overlay / overlay rw 0 0", "/dev/mmcblk0p2 / ext4 rw 0 0"]
    assert overlay_root(covered, "boot=overlay") is False
    assert overlay_root(covered[::-1], "boot=overlay") is True


@pytest.mark.parametrize(
    ("answer", "flags"),
    [("throttled=0x50000", 0x50000), ("error=1", None), ("", None), ("throttled=?", None)],
)
def test_without_the_kernels_view_the_firmware_is_asked(pi, tmp_path, programs, answer, flags):
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    programs.add("vcgencmd", f"echo '{answer}'; exit 1")
    assert throttled() == flags
    assert programs.told == ["vcgencmd get_throttled"]


def test_a_bootloader_is_told_by_the_day_it_was_built(pi, tmp_path):
    assert bootloader() is None
    pi("/proc/device-tree/chosen/bootloader/build-timestamp", "\0\0\0\0")
    assert bootloader() is None
    cell = tmp_path / "proc/device-tree/chosen/bootloader/build-timestamp"
    cell.write_bytes(bytes.fromhex("67535a80"))
    assert bootloader() == facts()["bootloader"] == "2024-12-06"


def stand(tmp_path, pid, socket_inode, unit):
    """A process as /proc shows it, with one open socket."""
    process = tmp_path / "proc" / pid
    (process / "fd").mkdir(parents=True)
    (process / "fd/0").symlink_to("/dev/null")
    (process / "fd/3").symlink_to(f"socket:[{socket_inode}]")
    (process / "comm").write_text("llama-server\n")
    (process / "cgroup").write_text(f"0::/system.slice/{unit}\n")


@pytest.mark.parametrize("table", ["tcp", "tcp6"])
def test_our_own_listener_is_told_from_a_strangers(pi, tmp_path, table):
    pi(f"/proc/net/{table}", TCP)
    (tmp_path / "proc/1").mkdir()  # it has ended while it was looked at
    stand(tmp_path, "6", 111, "other.service")
    stand(tmp_path, "7", 333, "pipress-llama.service")
    ours = {"pid": 7, "command": "llama-server", "ours": True}
    assert listener_of(8080, "pipress-llama.service") == ours == facts(port=8080)["listener"]
    assert listener_of(8080, "other.service") == {**ours, "ours": False}
    assert listener_of(8081, "pipress-llama.service") is None
    assert listener_of(22, "x") == {"pid": None, "command": "an unknown process", "ours": False}


def test_a_file_that_may_not_be_opened_is_locked_by_nobody(pi, tmp_path, monkeypatch):
    assert report._is_locked(tmp_path / "none") is False
    assert report._is_locked(tmp_path) is False  # a folder
    monkeypatch.setattr(report.fcntl, "lockf", lambda *_: (_ for _ in ()).throw(OSError(errno.EACCES, "")))
    (tmp_path / "lock").touch()
    assert report._is_locked(tmp_path / "lock") is True


@pytest.mark.parametrize("name", ["lock-frontend", "lock"])
def test_apt_is_busy_while_either_of_its_locks_is_held(pi, tmp_path, name):
    pi(f"/var/lib/dpkg/{name}", "")
    hold = (
        f"import fcntl, sys; f = open({str(tmp_path / 'var/lib/dpkg' / name)!r}, 'r+b');"
        "fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        assert facts()["aptBusy"] is True
        holder.communicate()
    assert facts()["aptBusy"] is False


def test_the_kernels_log_is_read_to_its_end_past_what_was_overwritten(monkeypatch):
    """/dev/kmsg gives one record a read; a socket that keeps messages apart stands in for it."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    for record in (b"6,1,10,-;mmc0: new card\n SUBSYSTEM=mmc\n", b"3,2,20,-;I/O error; dev sda\n"):
        kernel.send(record)
    read = os.read
    losses = [BrokenPipeError()]

    def read_record(handle, size):
        if losses:
            raise losses.pop()
        return read(handle, size)

    asked = []
    monkeypatch.setattr(
        report.os, "open", lambda path, flags: asked.append((path, flags)) or os.dup(ours.fileno())
    )
    monkeypatch.setattr(report.os, "read", read_record)
    assert report._kernel_log() == ["mmc0: new card", "I/O error; dev sda"]
    # Whoever waits for the next message waits for ever.
    assert asked == [("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)]
    monkeypatch.undo()
    ours.close()
    kernel.close()


def test_a_log_that_may_not_be_read_is_empty(monkeypatch):
    def refuse(path, flags):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(report.os, "open", refuse)
    assert report._kernel_log() == []


@pytest.mark.parametrize(("state", "is_synchronised"), [(0, True), (5, False), (-1, False), (4, True)])
def test_a_clock_that_somebody_disciplines_is_synchronised(monkeypatch, state, is_synchronised):
    class Library:
        def adjtimex(self, buffer):
            assert bytes(buffer) == bytes(len(buffer)) and len(buffer) >= 208, "it only asks"
            return state

    monkeypatch.setattr(report.ctypes, "CDLL", lambda name: Library())
    assert report._clock_synchronised() is is_synchronised
