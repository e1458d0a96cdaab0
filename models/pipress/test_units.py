import json
from pathlib import Path

import pytest

from pipress.units import format_bytes, format_duration, parse_size

# The same table tests common/units.ts: both languages say the same of the same number.
TABLE = json.loads((Path(__file__).parents[2] / "common" / "units.json").read_text())


@pytest.mark.parametrize(("size", "text"), TABLE["bytes"])
def test_a_size_has_three_figures(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), TABLE["seconds"])
def test_a_duration_has_the_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("text", "size"), TABLE["sizes"])
def test_sizes_have_decimal_and_binary_units_and_what_is_none_is_an_error(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(ValueError, match="is no size"):
            parse_size(text)
    else:
        assert parse_size(text) == size
