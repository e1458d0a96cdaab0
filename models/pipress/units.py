"""Sizes and times as people write them, in the same words as `common/units.ts`; `common/units.json` tests both."""

import math
import re
from decimal import ROUND_HALF_UP, Context

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{prefix}iB": 2 ** (10 * power) for power, prefix in enumerate("KMGT", 1)
}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
THREE_FIGURES = Context(prec=3, rounding=ROUND_HALF_UP)


def parse_size(text: str) -> int:
    """Bytes, rounded down. Raises ValueError for what is no size; the recipe's schema lets none of these through."""
    match = SIZE.fullmatch(text)
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{text!r} is no size")
    return int(float(match[1]) * UNITS[match[2]])


def format_bytes(size: float) -> str:
    """Decimal units and three significant figures: `96.4 MB`, `3.95 GB`."""
    if size < 999.5:
        return f"{size:.0f} B"
    units = iter(("kB", "MB", "GB", "TB"))
    value, unit = size / 1000, next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{float(THREE_FIGURES.create_decimal(value)):#.3g} {unit}".replace(". ", " ")


def format_duration(seconds: float) -> str:
    """The two largest units: `8 s`, `3 min 05 s`, `2 h 10 min`. Less than nothing is `0 s`."""
    whole = max(0, math.floor(seconds + 0.5))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
