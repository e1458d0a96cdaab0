"""Sizes as recipes write them: `96 MB`, `3.99 GB`, `6 GiB`."""

import re

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{prefix}iB": 2 ** (10 * power) for power, prefix in enumerate("KMGT", 1)
}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def parse_size(text: str) -> int:
    """Bytes, rounded down. Raises ValueError for what is no size; the recipe's schema lets none of these through."""
    match = SIZE.fullmatch(text)
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{text!r} is no size")
    return int(float(match[1]) * UNITS[match[2]])
