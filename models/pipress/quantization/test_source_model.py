"""Sizes that are known before anything is quantized, against what llama-quantize writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pipress.errors import StageError
from pipress.quantization.conftest import SHAPES
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.source_model import SourceModel, is_quantized
from pipress.weights.gguf_reader import GgufFile, Tensor

NAMED = {"general.name": "A model of no use"}
WRITTEN_BEFORE = {"general.file_type": 1, "general.quantization_version": 2}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"texts": NAMED},
        {"numbers": WRITTEN_BEFORE},
        {"numbers": {**WRITTEN_BEFORE, "quantize.imatrix.chunks_count": 3, "quantize.imatrix.entries_count": 6}},
    ],
)
@pytest.mark.parametrize(
    "matrix",
    [None, {}, {"datasets": ["d" * 300 + ".txt"]}, {"datasets": ["ä" * 100], "chunks": 0}, {"datasets": [""]}],
)
def test_the_size_of_a_file_is_known_to_the_byte(
    settings: dict[str, Any],
    matrix: dict[str, Any] | None,
    small_gguf: Callable[..., Path],
    write_imatrix: Callable[..., Path],
    llama_cpp_bin: Path,
    tmp_path: Path,
) -> None:
    path, out = small_gguf(**settings), tmp_path / "out.gguf"
    sums = {name: np.ones(shape[1]) for name, shape in SHAPES.items() if name.startswith("blk.")}
    imatrix = None if matrix is None else write_imatrix(sums, **matrix)
    source = SourceModel(path, imatrix)
    everything = {**dict.fromkeys(SHAPES, "Q8_0"), "blk.0.ffn_down.weight": "Q4_K", "token_embd.weight": "Q5_0"}
    quantize(llama_cpp_bin, path, out, "Q8_0", imatrix, everything)
    assert out.stat().st_size == source.file_bytes(everything)
    made = GgufFile(out)
    first = min(tensor.offset for tensor in made.tensors.values())
    assert source.header_bytes == first
    assert source.fixed_bytes == first + 3 * 256, "three norms of 63 numbers, padded"
    left = {name: source.full_type for name in SHAPES}
    assert source.file_bytes({}) == source.file_bytes(left) > source.file_bytes(everything)


def test_the_header_is_known_to_the_byte_wherever_its_padding_begins(
    small_gguf: Callable[..., Path], matrix: Path, llama_cpp_bin: Path, tmp_path: Path
) -> None:
    out, sizes = tmp_path / "out.gguf", set()
    for length in range(1, 33):
        path = small_gguf({"blk.0.attn_q.weight": (4, 64)}, texts={"general.name": "n" * length})
        quantize(llama_cpp_bin, path, out, "Q8_0", matrix)
        source = SourceModel(path, matrix)
        assert source.header_bytes == min(tensor.offset for tensor in GgufFile(out).tensors.values())
        sizes.add(source.header_bytes)
    assert len(sizes) == 2


def test_a_tensor_takes_whole_steps_of_the_alignment(small_gguf: Callable[..., Path]) -> None:
    source = SourceModel(small_gguf({"blk.0.attn_q.weight": (3, 32)}, alignment=128), None)
    # 3 rows of 34 bytes; 3 of 18; 192 bytes as they are.
    assert [source.padded_bytes("blk.0.attn_q.weight", kind) for kind in ("Q8_0", "Q4_0", "F16")] == [128, 128, 256]
    assert source.layers == 3 and source.alignment == 128 and source.full_type == "F16"


def test_a_model_that_is_quantized_already_is_refused(
    small_gguf: Callable[..., Path], llama_cpp_bin: Path, tmp_path: Path
) -> None:
    quantize(llama_cpp_bin, small_gguf(), tmp_path / "out.gguf", "Q8_0", None)
    with pytest.raises(StageError, match=r"out\.gguf is quantized already \(Q8_0\)"):
        SourceModel(tmp_path / "out.gguf", None)
    quantize(llama_cpp_bin, small_gguf(), tmp_path / "out.gguf", "F16", None, {})
    assert SourceModel(tmp_path / "out.gguf", None).full_type == "F16"


@pytest.mark.parametrize("full_type", ["F16", "F32"])
def test_the_type_of_a_model_in_full_precision_is_known(full_type: str, small_gguf: Callable[..., Path]) -> None:
    source = SourceModel(small_gguf(dtype=np.float16 if full_type == "F16" else np.float32), None)
    assert source.full_type == full_type and list(source.weights) == list(SHAPES)


@pytest.mark.parametrize(
    ("name", "shape", "quantized"),
    [
        ("blk.0.attn_q.weight", (4, 4), True),
        ("token_embd.weight", (4, 4), True),
        ("blk.0.ffn_gate_exps.weight", (2, 4, 4), True),
        ("blk.0.attn_norm.weight", (4,), False),
        ("blk.0.attn_norm.weight", (4, 4), False),
        ("rope_freqs.weight", (4,), False),
        ("blk.0.attn_q.bias", (4, 4), False),
    ],
)
def test_matrices_are_quantized_but_no_norms(name: str, shape: tuple[int, ...], quantized: bool) -> None:
    assert is_quantized(name, Tensor(shape, gguf.GGMLQuantizationType.F16, 0, 0)) is quantized
