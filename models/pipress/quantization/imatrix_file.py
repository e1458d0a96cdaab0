"""Reads llama-imatrix's GGUF."""

from pathlib import Path

import numpy as np

from pipress.weights.gguf_reader import GgufFile

SUMS, COUNTS = ".in_sum2", ".counts"


def read_imatrix(path: Path) -> dict[str, np.ndarray]:
    """E[x^2] of every input channel, shape (columns,), by the name of the tensor that it multiplies."""
    file = GgufFile(path)
    names = [name.removesuffix(SUMS) for name in file.tensors if name.endswith(SUMS)]
    return {
        name: file.load(name + SUMS).reshape(-1) / max(float(file.load(name + COUNTS).reshape(-1)[0]), 1.0)
        for name in names
    }
