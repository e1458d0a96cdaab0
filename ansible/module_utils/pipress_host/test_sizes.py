"""Sizes on a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipress_host.sizes import size_text

# The table that tests the controller's own formatters.
TABLE = json.loads((Path(__file__).parents[3] / "common/units.json").read_text())


@pytest.mark.parametrize(("count", "text"), TABLE["bytes"])
def test_a_size_reads_as_it_does_on_the_controller(count, text):
    assert size_text(count) == text
