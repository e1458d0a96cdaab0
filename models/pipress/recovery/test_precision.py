"""Which type a training begins in, and that it stays."""

from pathlib import Path

import pytest
import torch

from pipress.recovery import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("faster", [torch.bfloat16, torch.float32])
def test_a_product_that_was_disturbed_does_not_decide(faster: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of several decides: here every other one of the faster type takes longest of all."""
    timed: list[torch.dtype] = []

    def seconds(dtype: torch.dtype) -> float:
        timed.append(dtype)
        disturbed = timed.count(dtype) % 2
        return (9.0 if disturbed else 1.0) if dtype == faster else 2.0

    monkeypatch.setattr(precision, "_seconds", seconds)
    assert precision.faster_dtype(CPU) == faster
    assert timed[:4] == [torch.bfloat16, torch.float32] * 2 and timed.count(faster) >= 3


def test_a_product_is_timed_in_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[tuple[torch.Tensor, torch.Tensor]] = []
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(torch, "mm", lambda one, other: products.append((one, other)))
    assert precision._seconds(torch.bfloat16) == 2.5
    ((one, other),) = products
    assert one.dtype == other.dtype == torch.bfloat16 and one.shape[1] == other.shape[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_type_is_noted_when_a_training_begins(
    dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "faster_dtype", lambda device: dtype)
    assert precision.training_dtype(CPU, tmp_path) == dtype
    monkeypatch.setattr(precision, "faster_dtype", lambda device: pytest.fail("it was decided"))
    assert precision.training_dtype(CPU, tmp_path) == dtype
    (tmp_path / precision.FILE).write_text("nn")
    with pytest.raises(AssertionError):
        precision.training_dtype(CPU, tmp_path)


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_trains_in_bfloat16_where_it_really_has_it(
    supported: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the GPU: what the driver says it can do without emulation."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: supported or including_emulation
    )
    assert precision.faster_dtype(torch.device("cuda")) == dtype
