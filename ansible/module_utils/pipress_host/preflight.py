"""Judges a host's facts: everything that stands in the way of a release, all at once, each with its remedy."""

from __future__ import annotations

from typing import Any, NamedTuple

#: `CPU part` of a Cortex-A72, as /proc/cpuinfo shows it.
CORTEX_A72 = "0xd08"

#: Bits of `vcgencmd get_throttled` that hold now, and what they mean (the same bits << 16: since boot).
THROTTLING = {0x1: "under-voltage", 0x2: "frequency capped", 0x4: "throttled", 0x8: "soft temperature limit"}


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    what: str
    remedy: str
    #: An error keeps the release off the host; a warning is only reported.
    error: bool = True

    def __str__(self) -> str:
        return f"{self.what} — {self.remedy}"


def judge(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    """All findings about a host.

    `wants` holds `memoryBytes` and `diskReserveBytes` (bytes), `port`, `epoch` and `clockToleranceSeconds`
    (seconds) and `virtual` (whether a missing Raspberry Pi is expected).
    """
    return [
        *_machine(facts, wants),
        *_system(facts),
        *_memory(facts, wants),
        *_disk(facts, wants),
        *_clock(facts, wants),
        *_port(facts, wants),
        *_power(facts),
    ]


def _machine(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    found = []
    if facts["machine"] != "aarch64":
        found.append(
            Finding(
                f"the kernel is {facts['machine']}, not aarch64",
                "install the 64-bit Raspberry Pi OS, or set `arm_64bit=1` in config.txt and reboot",
            )
        )
    elif facts["pointerBits"] != 64:
        found.append(
            Finding(
                "the kernel is 64-bit but the system on it is 32-bit",
                "install the 64-bit Raspberry Pi OS: a 32-bit one cannot run llama-server",
            )
        )
    if facts["cpuParts"] != [CORTEX_A72]:
        parts = ", ".join(facts["cpuParts"]) or "unknown"
        found.append(
            Finding(
                f"the CPU part is {parts}, not {CORTEX_A72} (Cortex-A72)",
                "the release is built for a Raspberry Pi 4; take another host",
            )
        )
    model = facts["model"] or "unknown"
    if not model.startswith("Raspberry Pi 4") and not model.startswith("Raspberry Pi Compute Module 4"):
        found.append(
            Finding(
                f"the board says it is `{model}`, not a Raspberry Pi 4",
                "expected of a virtual host"
                if wants["virtual"]
                else "tokens per second will differ from the plan",
                error=False,
            )
        )
    return found


def _system(facts: dict[str, Any]) -> list[Finding]:
    found = []
    if not facts["systemd"]:
        found.append(Finding("systemd does not run this host", "use an image that boots with systemd"))
    for folder in facts["readOnly"]:
        found.append(
            Finding(
                f"{folder} is read-only",
                "look at `dmesg` for errors of the SD card, replace it if there are any; "
                "otherwise `mount -o remount,rw /`",
            )
        )
    if facts["separateVar"]:
        found.append(
            Finding(
                "/var/lib/pipress is on another file system than /",
                "systemd may read its units before that is mounted: see that the service is up after a reboot",
                error=False,
            )
        )
    return found


def _memory(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    found = []
    if facts["memoryBytes"] < wants["memoryBytes"]:
        found.append(
            Finding(
                f"{_size(facts['memoryBytes'])} of memory, but model, KV cache and system need "
                f"{_size(wants['memoryBytes'])}",
                "take a smaller model or context, or a board with more memory",
            )
        )
    if not facts["memoryCgroup"]:
        found.append(
            Finding(
                "the kernel does not count memory per service, so that MemoryMax has no effect",
                "add `cgroup_enable=memory cgroup_memory=1` to the one line of /boot/firmware/cmdline.txt and reboot",
            )
        )
    if facts["swap"]:
        found.append(
            Finding(
                f"swap is on ({', '.join(facts['swap'])})",
                "the service does not use it, but others wear out an SD card with it: `swapoff -a`",
                error=False,
            )
        )
    return found


def _disk(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    needed = facts["missingBytes"] + wants["diskReserveBytes"]
    if facts["missingBytes"] == 0 or facts["diskFreeBytes"] >= needed:
        return []
    return [
        Finding(
            f"{_size(facts['diskFreeBytes'])} of disk are free, but the release needs {_size(needed)} "
            f"({_size(facts['missingBytes'])} to fetch and {_size(wants['diskReserveBytes'])} kept free)",
            "free some space, e.g. `apt-get clean` or `journalctl --vacuum-size=50M`",
        )
    ]


def _clock(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    seconds = facts["epoch"] - wants["epoch"]
    if abs(seconds) <= wants["clockToleranceSeconds"]:
        return []
    direction = "ahead of" if seconds > 0 else "behind"
    return [
        Finding(
            f"the clock is {_duration(abs(seconds))} {direction} the controller's",
            "`timedatectl set-ntp true` and wait until `timedatectl` says that it is synchronised",
        )
    ]


def _port(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    listener = facts["listener"]
    if listener is None or listener["ours"]:
        return []
    return [
        Finding(
            f"port {wants['port']} is taken by {listener['command']} (pid {listener['pid']})",
            "stop that, or choose another port in the host's settings",
        )
    ]


def _power(facts: dict[str, Any]) -> list[Finding]:
    found = []
    flags = facts["throttled"] or 0
    now = [name for bit, name in THROTTLING.items() if flags & bit]
    past = [name for bit, name in THROTTLING.items() if flags & bit << 16 and not flags & bit]
    if now:
        found.append(
            Finding(
                f"the firmware reports {', '.join(now)}",
                "use a 5.1 V / 3 A supply, a short cable, and a heat sink or fan",
            )
        )
    if past:
        found.append(
            Finding(
                f"the firmware has seen {', '.join(past)} since boot",
                "watch supply and cooling: it will cost tokens per second",
                error=False,
            )
        )
    if facts["governor"] in ("powersave", "conservative"):
        found.append(
            Finding(
                f"the CPU governor is `{facts['governor']}`",
                "`performance` or `ondemand` answers faster",
                error=False,
            )
        )
    return found


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
