"""Sizes as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context

THREE_FIGURES = Context(prec=3, rounding=ROUND_HALF_UP)


def size_text(count: int) -> str:
    """Decimal units and three significant figures, e.g. `4.58 GB` or `13.0 MB`, as the controller says it."""
    if count < 1000:
        return f"{count} B"
    units = iter(("kB", "MB", "GB", "TB"))
    value, unit = count / 1000, next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{float(THREE_FIGURES.create_decimal(value)):#.3g} {unit}".replace(". ", " ")
