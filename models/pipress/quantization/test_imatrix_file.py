"""What is read out of an importance matrix."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipress.quantization.imatrix_file import read_imatrix, text_bytes_seen


@pytest.mark.parametrize(("count", "divisor"), [(4.0, 4.0), (1.0, 1.0), (0.0, 1.0), (2.5, 2.5)])
def test_importance_is_the_mean_square_of_an_input(
    count: float, divisor: float, write_imatrix: Callable[..., Path]
) -> None:
    sums = {"blk.0.attn_q.weight": np.arange(6.0), "output.weight": 3 * np.ones(4)}
    read = read_imatrix(write_imatrix(sums, count))
    assert set(read) == set(sums)
    for name, values in sums.items():
        assert read[name].shape == values.shape and read[name].tolist() == pytest.approx((values / divisor).tolist())


def test_the_text_that_was_seen_is_no_longer_than_all_chunks_of_the_longest_tokens(
    write_imatrix: Callable[..., Path],
) -> None:
    path = write_imatrix({"output.weight": np.ones(4)}, chunks=7, chunk_size=128)
    assert text_bytes_seen(path, 12) == 7 * 128 * 12


@pytest.mark.parametrize("numbers", [{}, {"imatrix.chunk_size": 64}, {"imatrix.chunk_count": 7}])
def test_a_matrix_that_does_not_say_has_seen_nothing(numbers: dict[str, int], small_gguf: Callable[..., Path]) -> None:
    assert text_bytes_seen(small_gguf(numbers=numbers), 12) == 0
