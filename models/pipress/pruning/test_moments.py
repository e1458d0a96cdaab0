"""The moments against sums in a loop over tokens."""

import pytest
import torch

from pipress.pruning.moments import Moments

CPU = torch.device("cpu")


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_every_token_counts_with_one_over_the_mean_square_of_its_stream(scale: float) -> None:
    torch.manual_seed(0)
    inputs, wanted, stream = torch.randn(2, 3, 4), torch.randn(2, 3, 5), scale * torch.randn(2, 3, 5)
    moments = Moments(4, 5, CPU)
    moments.add(inputs, wanted, stream)
    gram, cross, magnitude = torch.zeros(4, 4), torch.zeros(4, 5), torch.zeros(4)
    for sequence in range(2):
        for token in range(3):
            x, y, residual = inputs[sequence, token], wanted[sequence, token], stream[sequence, token]
            weight = 5 / sum(value**2 for value in residual.tolist())
            gram += weight * torch.outer(x, x)
            cross += weight * torch.outer(x, y)
            magnitude += weight**0.5 * x.abs()
    torch.testing.assert_close(moments.gram, gram, rtol=1e-5, atol=0)
    torch.testing.assert_close(moments.cross, cross, rtol=1e-5, atol=0)
    torch.testing.assert_close(moments.magnitude, magnitude, rtol=1e-5, atol=0)


def test_texts_can_be_added_in_parts_in_any_way() -> None:
    torch.manual_seed(0)
    text = [torch.randn(6, 7, n) for n in (3, 2, 2)]
    whole, parts, first, second = (Moments(3, 2, CPU) for _ in range(4))
    whole.add(*text)
    for row in range(6):
        parts.add(*(tensor[row : row + 1] for tensor in text))
        (first if row % 2 else second).add(*(tensor[row] for tensor in text))
    for other in (parts, first + second):
        for name in ("gram", "cross", "magnitude"):
            torch.testing.assert_close(getattr(other, name), getattr(whole, name))
    assert not torch.equal(first.gram, whole.gram), "adding two leaves them as they are"


def test_a_stream_of_zeros_divides_by_nothing() -> None:
    moments = Moments(3, 2, CPU)
    moments.add(torch.ones(1, 3), torch.ones(1, 2), torch.zeros(1, 2))
    assert moments.gram.isfinite().all() and moments.cross.isfinite().all() and moments.magnitude.isfinite().all()
