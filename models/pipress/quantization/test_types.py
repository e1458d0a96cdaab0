"""Sizes of llama.cpp's types, and which tensors can have them."""

import gguf
import numpy as np
import pytest
from gguf.quants import quantize

from pipress.quantization.types import (
    BLOCKS,
    NEED_IMATRIX,
    SEARCHED_TYPES,
    STANDARD_TYPES,
    TENSORS_NEED_IMATRIX,
    bits_per_weight,
    fits,
    tensor_bytes,
)


@pytest.mark.parametrize("kind", ["F16", "F32", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"])
@pytest.mark.parametrize("shape", [(32,), (3, 64), (2, 3, 96)])
def test_a_tensor_takes_what_it_takes_when_it_is_made(kind: str, shape: tuple[int, ...]) -> None:
    made = quantize(np.ones(shape, np.float32), gguf.GGMLQuantizationType[kind])
    assert tensor_bytes(kind, shape) == made.nbytes
    assert bits_per_weight(kind) == 8 * made.nbytes / np.prod(shape)


def test_bits_of_a_weight_are_those_that_llama_cpp_lists() -> None:
    listed = {"Q6_K": 6.5625, "Q5_K": 5.5, "Q4_K": 4.5, "Q3_K": 3.4375, "Q2_K": 2.625, "IQ4_XS": 4.25, "Q2_0": 2.25}
    assert {kind: bits_per_weight(kind) for kind in listed} == listed
    assert tensor_bytes("Q2_0", (5, 128)) == 5 * 2 * 18


@pytest.mark.parametrize(
    ("kind", "name", "columns", "possible"),
    [
        ("Q4_0", "blk.0.attn_q.weight", 32, True),
        ("Q4_0", "blk.0.attn_q.weight", 48, False),
        ("Q4_K", "blk.0.attn_q.weight", 512, True),
        ("Q4_K", "blk.0.attn_q.weight", 128, False),
        ("Q4_K", "token_embd.weight", 256, True),
        ("IQ2_XS", "blk.3.ffn_up.weight", 256, True),
        ("IQ2_XS", "output.weight", 256, False),
        ("IQ2_XS", "blk.3.ffn_up.weight", 320, False),
    ],
)
def test_a_type_fits_whole_blocks_and_where_it_needs_a_matrix_what_has_one(
    kind: str, name: str, columns: int, possible: bool
) -> None:
    assert fits(kind, name, columns) is possible


def test_every_list_names_types_that_there_are() -> None:
    files = {kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType}
    assert set(STANDARD_TYPES) | NEED_IMATRIX | set(SEARCHED_TYPES.values()) <= files | {"Q5_K_M", "Q4_K_M", "Q3_K_M"}
    assert set(SEARCHED_TYPES) | TENSORS_NEED_IMATRIX <= set(BLOCKS)
    assert len(set(STANDARD_TYPES)) == len(STANDARD_TYPES)
