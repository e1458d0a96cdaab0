"""What a host is and has: the facts that preflight judges, read in one go and without changing anything."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .store import Wanted, missing_bytes

#: Folders that a release writes to.
WRITTEN = ("/var/lib", "/etc", "/usr/local/lib")


def read_report(root: Path, wanted: Iterable[Wanted], port: int, unit: str) -> dict[str, Any]:
    """Facts about this host.

    `root` is pipress's folder (`/var/lib/pipress`), `wanted` the files of the release, `port` the one that the
    service shall listen on and `unit` the service's name, which tells our own listener from a stranger's.
    """
    store = root / "store"
    return {
        "machine": platform.machine(),
        "pointerBits": struct.calcsize("P") * 8,
        "python": platform.python_version(),
        "cpuParts": _cpu_parts(Path("/proc/cpuinfo")),
        "model": _device_tree_model(),
        "memoryBytes": _memory_bytes(),
        "memoryCgroup": _memory_cgroup(),
        "diskFreeBytes": _free_bytes(root),
        "missingBytes": sum(missing_bytes(store, each) for each in wanted),
        "readOnly": [folder for folder in WRITTEN if _is_read_only(Path(folder))],
        "separateVar": _device_of(root) != _device_of(Path("/")),
        "epoch": time.time(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "listener": listener_of(port, unit),
        "throttled": _throttled(),
        "celsius": _celsius(),
        "governor": _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "swap": _swap_devices(),
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


def _device_tree_model() -> str | None:
    return _first_line(Path("/proc/device-tree/model"))


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _memory_cgroup() -> bool:
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


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(_nearest(path)).f_flag & os.ST_RDONLY)


def _throttled() -> int | None:
    """The firmware's throttling flags, or None where there is no such firmware."""
    if shutil.which("vcgencmd") is None:
        return None
    answer = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, check=False).stdout
    name, _, value = answer.strip().partition("=")
    return int(value, 16) if name == "throttled" else None


def _celsius() -> float | None:
    value = _first_line(Path("/sys/class/thermal/thermal_zone0/temp"))
    return int(value) / 1000 if value and value.lstrip("-").isdigit() else None


def _swap_devices() -> list[str]:
    lines = Path("/proc/swaps").read_text().splitlines()[1:] if Path("/proc/swaps").exists() else []
    return [line.split()[0] for line in lines]


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
