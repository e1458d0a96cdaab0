"""Judges a host's facts: everything that stands in the way of a release, all at once, each with its remedy."""

from __future__ import annotations

from typing import Any

from .board import judge_board
from .finding import Finding
from .sizes import size_text

#: `CPU part` of a Cortex-A72 and of a Raspberry Pi 5's Cortex-A76, which runs the same program, as /proc/cpuinfo shows it.
CORTEX_A72, CORTEX_A76 = "0xd08", "0xd0b"


def judge(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    """All findings about a host.

    `facts` are those of report.read_report. `wants` holds `memoryBytes` and `diskReserveBytes` (bytes), `port`, `epoch`
    and `clockToleranceSeconds` (seconds), `virtual` (whether a missing Raspberry Pi is expected) and `prepare` (whether
    the rollout itself switches the memory cgroup on).
    """
    return [
        *_machine(facts, wants),
        *_system(facts),
        *_memory(facts, wants),
        *_disk(facts, wants),
        *_clock(facts, wants),
        *_port(facts, wants),
        *_apt(facts),
        *judge_board(facts),
    ]


def _machine(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    findings = []
    if facts["machine"] != "aarch64":
        findings.append(
            Finding(
                f"the kernel is {facts['machine']}, not aarch64",
                "install the 64-bit Raspberry Pi OS, or set `arm_64bit=1` in config.txt and reboot",
            )
        )
    elif facts["pointerBits"] != 64:
        findings.append(
            Finding(
                "the kernel is 64-bit but the system on it is 32-bit",
                "install the 64-bit Raspberry Pi OS: a 32-bit one cannot run llama-server",
            )
        )
    if facts["cpuParts"] not in ([CORTEX_A72], [CORTEX_A76]):
        parts = ", ".join(facts["cpuParts"]) or "unknown"
        findings.append(
            Finding(
                f"the CPU part is {parts}, not {CORTEX_A72} (Cortex-A72)",
                "the release is built for a Raspberry Pi 4; take another host",
            )
        )
    model = facts["model"] or "unknown"
    if not model.startswith("Raspberry Pi 4") and not model.startswith("Raspberry Pi Compute Module 4"):
        findings.append(
            Finding(
                f"the board says it is `{model}`, not a Raspberry Pi 4",
                "expected of a virtual host"
                if wants["virtual"]
                else "tokens per second will differ from the plan",
                error=False,
            )
        )
    return findings


def _system(facts: dict[str, Any]) -> list[Finding]:
    findings = []
    if not facts["systemd"]:
        findings.append(Finding("systemd does not run this host", "use an image that boots with systemd"))
    if facts["overlayRoot"]:
        findings.append(
            Finding(
                "the root file system is an overlay in memory: whatever is written to it is gone at the next start",
                "switch it off, at least for pipress: `sudo raspi-config nonint do_overlayfs 1` (or remove `overlayroot=…` "
                "from cmdline.txt), and reboot",
            )
        )
    for folder in facts["noExec"]:
        findings.append(
            Finding(
                f"{folder} is on a file system that is mounted noexec, from which no program starts",
                f"take `noexec` out of its line in /etc/fstab and `mount -o remount,exec` it: `findmnt -T {folder}` names it",
            )
        )
    for folder in facts["readOnly"]:
        findings.append(
            Finding(
                f"{folder} is read-only",
                "look at `dmesg` for errors of the SD card, replace it if there are any; "
                "otherwise `mount -o remount,rw /`",
            )
        )
    if facts["separateVar"]:
        findings.append(
            Finding(
                "/var/lib/pipress is on another file system than /",
                "systemd may read its units before that is mounted: see that the service is up after a reboot",
                error=False,
            )
        )
    return findings


def _memory(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    findings = []
    if facts["memoryBytes"] < wants["memoryBytes"]:
        findings.append(
            Finding(
                f"{size_text(facts['memoryBytes'])} of memory, but model, KV cache and system need "
                f"{size_text(wants['memoryBytes'])}",
                "take a smaller model or context, or a board with more memory",
            )
        )
    if not facts["memoryCgroup"] and not wants["prepare"]:
        findings.append(
            Finding(
                "the kernel counts no memory per service, so that llama-server's has no limit",
                "to have one, set `pipress:prepareHosts: true`, which takes a reboot, or add `cgroup_enable=memory` to the one "
                "line of /boot/firmware/cmdline.txt and reboot",
                error=False,
            )
        )
    if facts["swap"]:
        findings.append(
            Finding(
                f"swap is on ({', '.join(facts['swap'])})",
                "the service does not use it, but others wear out an SD card with it: `swapoff -a`",
                error=False,
            )
        )
    return findings


def _disk(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    free, missing, reserve = facts["diskFreeBytes"], facts["missingBytes"], wants["diskReserveBytes"]
    if missing and free < missing + reserve:
        return [
            Finding(
                f"{size_text(free)} of disk are free, but the release needs {size_text(missing + reserve)} "
                f"({size_text(missing)} to fetch and {size_text(reserve)} kept free)",
                "free some space, e.g. `apt-get clean` or `journalctl --vacuum-size=50M`",
            )
        ]
    # The next release is fetched while this one serves, so a host needs room for two.
    if free - missing < facts["releaseBytes"] + reserve:
        return [
            Finding(
                f"{size_text(max(0, free - missing))} of disk will be free, too little for a second release of "
                f"{size_text(facts['releaseBytes'])} beside this one",
                "free some space before the next rollout, or use a larger card",
                error=False,
            )
        ]
    return []


def _clock(facts: dict[str, Any], wants: dict[str, Any]) -> list[Finding]:
    seconds = facts["epoch"] - wants["epoch"]
    remedy = "`timedatectl set-ntp true` and wait until `timedatectl` says that it is synchronised"
    if abs(seconds) > wants["clockToleranceSeconds"]:
        direction = "ahead of" if seconds > 0 else "behind"
        return [Finding(f"the clock is {_duration(abs(seconds))} {direction} the controller's", remedy)]
    # A Pi has no clock of its own that survives a power cut; an emulated one has this machine's.
    if not facts["clockSynchronised"] and not wants["virtual"]:
        return [Finding("the clock is right, but nothing keeps it synchronised", remedy, error=False)]
    return []


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


def _apt(facts: dict[str, Any]) -> list[Finding]:
    if not facts["aptBusy"]:
        return []
    return [
        Finding(
            "apt or dpkg is at work on the host",
            "installing packages waits for it, at most five minutes; unattended upgrades after boot are the usual reason",
            error=False,
        )
    ]


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
