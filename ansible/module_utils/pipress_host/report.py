"""What a host is and has: the facts that preflight judges, read in one go and without changing anything."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .store import Wanted, missing_bytes

#: Folders that a release writes to.
WRITTEN = ("/var/lib", "/etc", "/usr/local/lib")
#: Folders that programs of ours are started from.
EXECUTED = ("/var/lib/pipress", "/usr/local/lib/pipress")


def read_report(root: Path, wanted: Iterable[Wanted], port: int, unit: str) -> dict[str, Any]:
    """Facts about this host.

    `root` is pipress's folder (`/var/lib/pipress`), `wanted` the files of the release, `port` the one that the
    service shall listen on and `unit` the service's name, which tells our own listener from a stranger's.
    """
    store = root / "store"
    files = list(wanted)
    return {
        "machine": platform.machine(),
        "pointerBits": struct.calcsize("P") * 8,
        "python": platform.python_version(),
        "cpuParts": _cpu_parts(Path("/proc/cpuinfo")),
        "model": board_model(),
        "bootloader": bootloader(),
        "memoryBytes": _memory_bytes(),
        "memoryCgroup": counts_memory(),
        "diskFreeBytes": _free_bytes(root),
        "missingBytes": sum(missing_bytes(store, file) for file in files),
        "releaseBytes": sum(file.size for file in files),
        "readOnly": [folder for folder in WRITTEN if _is_read_only(Path(folder))],
        "overlayRoot": overlay_root(_mounts(), Path("/proc/cmdline").read_text()),
        "noExec": [folder for folder in EXECUTED if _flags(Path(folder)) & os.ST_NOEXEC],
        "separateVar": _device_of(root) != _device_of(Path("/")),
        "epoch": time.time(),
        "clockSynchronised": _clock_synchronised(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "listener": listener_of(port, unit),
        "throttled": throttled(),
        "celsius": celsius(),
        "governor": governor(),
        "swap": swap_devices(),
        "units": sorted(path.name for path in Path("/etc/systemd/system").glob("pipress-*")),
        "aptBusy": _is_locked(Path("/var/lib/dpkg/lock-frontend")) or _is_locked(Path("/var/lib/dpkg/lock")),
        "diskErrors": disk_errors(_kernel_log()),
        "fileSystemErrors": _file_system_errors(),
    }


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0\n ").split("\n")[0]
    except OSError:
        return None


def _cpu_parts(cpuinfo: Path) -> list[str]:
    """The distinct `CPU part` numbers, e.g. `0xd08` for a Cortex-A72."""
    parts = set()
    for line in cpuinfo.read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "CPU part":
            parts.add(value.strip())
    return sorted(parts)


def board_model() -> str | None:
    """What the board calls itself, e.g. `Raspberry Pi 4 Model B Rev 1.4`; None where it says nothing."""
    return _first_line(Path("/proc/device-tree/model"))


def governor() -> str | None:
    """What decides on the clock of the CPU, or None where nothing does."""
    return _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))


def megahertz() -> float | None:
    """The clock of the first core now, or None where the kernel does not say."""
    value = _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"))
    return int(value) / 1000 if value and value.isdigit() else None


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> int:
    """Memory that a program can have without the kernel taking it from others."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else _memory_bytes()


def counts_memory() -> bool:
    """Whether the kernel counts memory per cgroup; Raspberry Pi OS ships with that switched off."""
    controllers = _first_line(Path("/sys/fs/cgroup/cgroup.controllers"))
    if controllers is not None:
        return "memory" in controllers.split()
    return Path("/sys/fs/cgroup/memory").is_dir()


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _device_of(path: Path) -> int:
    return _nearest(path).stat().st_dev


def _free_bytes(path: Path) -> int:
    disk = os.statvfs(_nearest(path))
    return disk.f_bavail * disk.f_frsize


def _flags(path: Path) -> int:
    """How the file system is mounted on which a folder is, or will be."""
    return os.statvfs(_nearest(path)).f_flag


def _is_read_only(path: Path) -> bool:
    return bool(_flags(path) & os.ST_RDONLY)


def _mounts() -> list[str]:
    return Path("/proc/mounts").read_text().splitlines()


def overlay_root(mounts: Iterable[str], command_line: str) -> bool:
    """Whether everything written to / is gone at the next start: raspi-config's overlay file system, or the package overlayroot.

    A container's root is an overlay as well, but one that stays.
    """
    asked = any(re.match(r"boot=overlay$|overlayroot=(?!disabled)", word) for word in command_line.split())
    roots = [line.split() for line in mounts if line.split()[1] == "/"]
    source, _, kind = roots[-1][:3] if roots else ("", "", "")
    return kind == "overlay" and (asked or source == "overlayroot")


def throttled() -> int | None:
    """The firmware's throttling flags, or None where there is no such firmware."""
    # The kernel's own view of the same flags, where an image has no vcgencmd.
    shown = _first_line(Path("/sys/devices/platform/soc/soc:firmware/get_throttled"))
    if shown is None and shutil.which("vcgencmd") is None:
        return None
    if shown is None:
        command = ["vcgencmd", "get_throttled"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
        name, _, shown = answer.strip().partition("=")
        if name != "throttled":
            return None
    try:
        return int(shown, 16)
    except ValueError:
        return None


def bootloader() -> str | None:
    """The day on which the board's bootloader was built, as ISO 8601; None where nothing tells. It sets the memory up."""
    try:
        stamp = Path("/proc/device-tree/chosen/bootloader/build-timestamp").read_bytes()
    except OSError:
        return None
    # A big-endian cell of the device tree: seconds since 1970.
    seconds = int.from_bytes(stamp, "big")
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat() if seconds else None


def _clock_synchronised() -> bool:
    """Whether the kernel's clock is disciplined by somebody, chrony and timesyncd alike: adjtimex(2)."""
    # A zeroed struct timex only asks. It has 208 bytes on 64-bit systems; 5 is TIME_ERROR, not synchronised.
    return ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) not in (-1, 5)


def _is_locked(path: Path) -> bool:
    """Whether another process holds the lock on a file, as dpkg does while it works."""
    try:
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as problem:
        return problem.errno in (errno.EACCES, errno.EAGAIN)
    return False


def _kernel_log() -> list[str]:
    """Messages of the kernel since boot, as far as its buffer still has them."""
    lines = []
    try:
        handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        while True:
            try:
                # One record a read: `priority,sequence,microseconds,flags;message`.
                lines.append(os.read(handle, 8192).decode(errors="replace").partition(";")[2].split("\n")[0])
            except BrokenPipeError:
                # Overwritten while it was read: go on with the next.
                continue
    except OSError:
        return lines
    finally:
        os.close(handle)


def disk_errors(log: list[str]) -> list[str]:
    """Lines of the kernel's log in which a disk or card did not do what it was told."""
    telling = re.compile(
        r"I/O error, dev (mmcblk|sd|nvme)|mmc\d+: .*(error -\d+|[Tt]imeout waiting for hardware)"
        r"|EXT4-fs error|Remounting filesystem read-only"
    )
    return [line for line in log if telling.search(line)]


def _file_system_errors() -> dict[str, int]:
    """Errors that ext4 has recorded in its superblock, by device, where there are any."""
    counts = {}
    for path in Path("/sys/fs/ext4").glob("*/errors_count"):
        count = _first_line(path) or "0"
        if count.isdigit() and int(count) > 0:
            counts[path.parent.name] = int(count)
    return counts


def celsius() -> float | None:
    value = _first_line(Path("/sys/class/thermal/thermal_zone0/temp"))
    return int(value) / 1000 if value and value.lstrip("-").isdigit() else None


def swap_devices(swaps: Path = Path("/proc/swaps")) -> list[str]:
    """Files and disks that the kernel swaps to. zram, which Raspberry Pi OS has since trixie, is memory and wears out no card."""
    lines = swaps.read_text().splitlines()[1:] if swaps.exists() else []
    return [line.split()[0] for line in lines if not line.startswith("/dev/zram")]


def listener_of(port: int, unit: str) -> dict[str, Any] | None:
    """Who listens on `port`: `{pid, command, ours}`, or None where it is free."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # Field 1 is address:port in hex, field 3 the state (0A is LISTEN), field 9 the socket's inode.
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return _owner_of(inodes, unit) if inodes else None


def _owner_of(sockets: set[str], unit: str) -> dict[str, Any]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(os.readlink(handle) in sockets for handle in (process / "fd").iterdir()):
                command = _first_line(process / "comm") or "?"
                cgroup = (process / "cgroup").read_text()
                return {"pid": int(process.name), "command": command, "ours": f"/{unit}" in cgroup}
        except OSError:
            # The process has ended meanwhile, or a handle was closed.
            continue
    return {"pid": None, "command": "an unknown process", "ours": False}
