"""Small GGUF files: models of a few tensors, and importance matrices of known numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pipress.conftest import finish_gguf

SHAPES = {
    "token_embd.weight": (48, 64),
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.ffn_down.weight": (64, 256),
    "blk.1.attn_q.weight": (64, 64),
    "blk.1.ffn_down.weight": (64, 256),
    "blk.2.attn_q.weight": (64, 64),
    "blk.2.ffn_down.weight": (64, 256),
}


@pytest.fixture
def small_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes an f16 `llama` of three blocks, each with two matrices and a norm, and says where."""

    def write(
        shapes: dict[str, tuple[int, ...]] = SHAPES,
        dtype: type = np.float16,
        alignment: int | None = None,
        texts: dict[str, str] | None = None,
        numbers: dict[str, int] | None = None,
    ) -> Path:
        path = tmp_path / "small.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        if alignment is not None:
            writer.add_custom_alignment(alignment)
        writer.add_block_count(3)
        writer.add_context_length(512)
        writer.add_embedding_length(64)
        writer.add_feed_forward_length(256)
        writer.add_head_count(2)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_vocab_size(48)
        for key, text in (texts or {}).items():
            writer.add_string(key, text)
        for key, number in (numbers or {}).items():
            writer.add_uint32(key, number)
        random = np.random.default_rng(0)
        for name, shape in shapes.items():
            writer.add_tensor(name, random.normal(0, 0.2, shape).astype(dtype))
        for block in range(3):
            writer.add_tensor(f"blk.{block}.attn_norm.weight", np.ones(63, np.float32))
        finish_gguf(writer)
        return path

    return write


@pytest.fixture
def write_imatrix(tmp_path: Path) -> Callable[..., Path]:
    """Writes an importance matrix as llama-imatrix does: sums of squares of every input, and how many tokens."""

    def write(sums: dict[str, np.ndarray], count: float = 10.0, **settings: Any) -> Path:
        folder = tmp_path / "imatrix"
        folder.mkdir(exist_ok=True)
        path = folder / "imatrix.gguf"
        writer = gguf.GGUFWriter(path, "imatrix")
        writer.add_type("imatrix")
        writer.add_array("imatrix.datasets", settings.get("datasets", ["calibration.txt"]))
        writer.add_uint32("imatrix.chunk_count", settings.get("chunks", 2))
        writer.add_uint32("imatrix.chunk_size", settings.get("chunk_size", 64))
        for name, values in sums.items():
            writer.add_tensor(f"{name}.in_sum2", values.astype(np.float32).reshape(1, -1))
            writer.add_tensor(f"{name}.counts", np.array([[count]], np.float32))
        finish_gguf(writer)
        return path

    return write


def importance(columns: int) -> np.ndarray:
    """What a matrix may say of so many inputs: some matter a hundred times as much as others."""
    return 10.0 ** np.linspace(-1, 1, columns)


@pytest.fixture
def matrix(write_imatrix: Callable[..., Path]) -> Path:
    """For every tensor of a block."""
    return write_imatrix({name: 10 * importance(shape[1]) for name, shape in SHAPES.items() if name.startswith("blk.")})
