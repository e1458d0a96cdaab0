"""What is read out of an importance matrix."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipress.quantization.imatrix_file import read_imatrix


@pytest.mark.parametrize(("count", "divisor"), [(4.0, 4.0), (1.0, 1.0), (0.0, 1.0), (2.5, 2.5)])
def test_importance_is_the_mean_square_of_an_input(
    count: float, divisor: float, write_imatrix: Callable[..., Path]
) -> None:
    sums = {"blk.0.attn_q.weight": np.arange(6.0), "output.weight": 3 * np.ones(4)}
    read = read_imatrix(write_imatrix(sums, count))
    assert set(read) == set(sums)
    for name, values in sums.items():
        assert read[name].shape == values.shape and read[name].tolist() == pytest.approx((values / divisor).tolist())
