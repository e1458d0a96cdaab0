"""Our way to llama.cpp's quantizer, beside the files that llama-quantize writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipress.errors import StageError
from pipress.quantization.conftest import importance
from pipress.quantization.imatrix_file import read_imatrix
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.quantizer import Quantizer
from pipress.quantization.types import BLOCKS, SEARCHED_TYPES
from pipress.weights.gguf_reader import GgufFile

WIDE = "blk.1.ffn_down.weight"


@pytest.fixture(scope="module")
def quantizer(llama_cpp_bin: Path) -> Quantizer:
    return Quantizer(llama_cpp_bin)


@pytest.mark.parametrize("kind", SEARCHED_TYPES)
def test_a_weight_is_what_it_is_in_a_file_of_llama_quantize(
    kind: str, quantizer: Quantizer, small_gguf: Callable[..., Path], matrix: Path, llama_cpp_bin: Path, tmp_path: Path
) -> None:
    source = small_gguf()
    quantize(llama_cpp_bin, source, tmp_path / "out.gguf", "Q8_0", matrix, {WIDE: kind})
    made = GgufFile(tmp_path / "out.gguf")
    assert made.tensors[WIDE].type.name == kind
    expected = made.load(WIDE)
    weight = torch.from_numpy(GgufFile(source).load(WIDE).astype(np.float32))
    ours = quantizer.round_trip(weight, kind, read_imatrix(matrix)[WIDE]).numpy()
    # The package's own way back multiplies in another order: a level more or less would be thousands of times this.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert np.abs(ours - weight.numpy()).max() > 0


def test_importance_spares_what_matters_and_without_it_none_is_needed(quantizer: Quantizer) -> None:
    weight, matters = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)), importance(256)
    plain = (quantizer.round_trip(weight, "Q3_K", None) - weight).square().mean(0).numpy()
    spared = (quantizer.round_trip(weight, "Q3_K", matters) - weight).square().mean(0).numpy()
    assert (spared * matters).sum() < 0.95 * (plain * matters).sum()


def test_any_number_of_rows_comes_back_in_its_order(quantizer: Quantizer) -> None:
    weight = torch.randn(77, 64, generator=torch.Generator().manual_seed(1))
    whole = quantizer.round_trip(weight, "Q4_0", None)
    for row in (0, 15, 16, 76):
        assert torch.equal(quantizer.round_trip(weight[row : row + 1], "Q4_0", None)[0], whole[row])
    assert torch.equal(quantizer.round_trip(weight.T.contiguous().T, "Q4_0", None), whole), "whatever its strides"
    assert torch.equal(quantizer.round_trip(weight, "F32", None), weight)
    assert torch.equal(quantizer.round_trip(weight, "BF16", None), weight.bfloat16().float())


@pytest.mark.parametrize(
    ("kind", "columns", "problem"),
    [
        ("Q9_9", 256, "knows no such type"),
        ("I32", 256, "knows no such type"),
        ("Q4_K", 288, "no whole blocks"),
        ("Q2_0", 32, "no whole blocks"),
        *((kind, 256, "needs an importance matrix") for kind in ("IQ1_S", "IQ2_XXS", "IQ2_XS")),
    ],
)
def test_what_cannot_be_is_refused(kind: str, columns: int, problem: str, quantizer: Quantizer) -> None:
    with pytest.raises(StageError, match=problem):
        quantizer.round_trip(torch.ones(2, columns), kind, None)


def test_an_importance_of_other_columns_is_refused(quantizer: Quantizer) -> None:
    with pytest.raises(StageError, match="another model's"):
        quantizer.round_trip(torch.ones(2, 64), "Q4_0", importance(32))


def test_every_type_of_weights_is_known(quantizer: Quantizer) -> None:
    for kind in set(BLOCKS) & ({*SEARCHED_TYPES} | {"Q2_0", "TQ1_0", "TQ2_0", "F16"}):
        assert quantizer.round_trip(torch.ones(1, 256), kind, importance(256)).shape == (1, 256)


def test_a_missing_library_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"pipress-quantizer does not load.*`npm start`"):
        Quantizer(tmp_path)
