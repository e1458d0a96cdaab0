"""Judges the board itself: power, heat, clock frequency and the card it lives on."""

from __future__ import annotations

from typing import Any

from .finding import Finding
from .throttling import CONDITIONS, flags_now, flags_since_boot

#: From here on the firmware slows the cores, in degrees Celsius.
TOO_HOT = 80.0
#: An idle board that is as warm as this will get too hot at work.
WARM = 70.0


#: Bootloaders from this day on spread the Pi 4's memory over the banks of its SDRAM (rpi-eeprom, firmware-2711:
#: "Enable banklow and so NUMA by default").
SPREADS_BANKS = "2024-12-07"


def judge_board(facts: dict[str, Any]) -> list[Finding]:
    """All findings about power, heat and card."""
    return [*_power(facts), *_heat(facts), *_governor(facts), *_bootloader(facts), *_card(facts)]


def _power(facts: dict[str, Any]) -> list[Finding]:
    findings = []
    flags = flags_now(facts["throttled"])
    now = [name for bit, name in CONDITIONS.items() if flags & bit]
    past = [name for bit, name in CONDITIONS.items() if flags_since_boot(facts["throttled"]) & ~flags & bit]
    if now:
        findings.append(
            Finding(
                f"the firmware reports {', '.join(now)}",
                "use a 5.1 V / 3 A supply, a short cable, and a heat sink or fan",
            )
        )
    if past:
        findings.append(
            Finding(
                f"the firmware has seen {', '.join(past)} since boot",
                "watch supply and cooling: it will cost tokens per second",
                error=False,
            )
        )
    return findings


def _heat(facts: dict[str, Any]) -> list[Finding]:
    celsius = facts["celsius"]
    if celsius is None or celsius < WARM:
        return []
    hot = celsius >= TOO_HOT
    what = f"the board is at {celsius:.0f} °C" + (", where the firmware slows it down" if hot else "")
    return [Finding(what, "give it a heat sink or a fan, or a cooler place", error=hot)]


def _governor(facts: dict[str, Any]) -> list[Finding]:
    if facts["governor"] not in ("powersave", "conservative"):
        return []
    what = f"the CPU governor is `{facts['governor']}`"
    return [Finding(what, "`performance` or `ondemand` answers faster", error=False)]


def _bootloader(facts: dict[str, Any]) -> list[Finding]:
    built = facts["bootloader"]
    if built is None or built >= SPREADS_BANKS:
        return []
    what = (
        f"the bootloader is of {built}: one of {SPREADS_BANKS} or later sets the memory up to be read faster"
    )
    return [Finding(what, "`sudo rpi-eeprom-update -a`, and start it again", error=False)]


def _card(facts: dict[str, Any]) -> list[Finding]:
    findings = []
    if facts["diskErrors"]:
        findings.append(
            Finding(
                f"the kernel has seen disk errors since boot, the last: {facts['diskErrors'][-1]}",
                "copy what matters and replace the SD card; look at `dmesg` for all of them",
            )
        )
    for device, count in sorted(facts["fileSystemErrors"].items()):
        findings.append(
            Finding(
                f"the file system on {device} has recorded {count} errors since it was last checked",
                f"run `e2fsck -f /dev/{device}` while it is not mounted; if errors come back, replace the SD card",
                error=False,
            )
        )
    return findings
