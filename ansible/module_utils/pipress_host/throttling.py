"""The firmware's throttling flags: what `report.throttled` reads, in words."""

from __future__ import annotations

#: Bits of `vcgencmd get_throttled` that hold now; the same bits << 16 have held since boot.
CONDITIONS = {0x1: "under-voltage", 0x2: "frequency capped", 0x4: "throttled", 0x8: "soft temperature limit"}


def flags_now(flags: int | None) -> int:
    """The bits that hold now; none on a board without such firmware."""
    return (flags or 0) & sum(CONDITIONS)


def flags_since_boot(flags: int | None) -> int:
    """The bits that have held since boot, moved to where those of now are."""
    return flags_now((flags or 0) >> 16)
