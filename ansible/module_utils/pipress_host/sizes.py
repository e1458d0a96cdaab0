"""Sizes as people read them."""

from __future__ import annotations


def size_text(count: int) -> str:
    """A number of bytes in decimal units, e.g. `4.58 GB` or `13 MB`."""
    for unit, size, digits in (("GB", 1e9, 2), ("MB", 1e6, 0)):
        if count >= size:
            return f"{count / size:.{digits}f} {unit}"
    return f"{count / 1e3:.0f} kB"
