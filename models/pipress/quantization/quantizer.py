"""llama.cpp's own quantizer on matrices in memory: what a weight is in a file of some type, to the last bit.

The library is built beside llama-quantize, from the same objects (toolchain/llama-cpp/cmake/quantizer.cpp).
"""

import ctypes
import os
from pathlib import Path

import numpy as np
import torch

from pipress.errors import StageError

LIBRARY = "pipress-quantizer"

# What the library returns, and what is to be said of it.
PROBLEMS = {
    1: "llama.cpp knows no such type for weights",
    2: "its rows are no whole blocks",
    3: "the type needs an importance matrix",
}


class Quantizer:
    """The library, loaded."""

    def __init__(self, llama_cpp_bin: Path) -> None:
        try:
            self._round_trip = ctypes.CDLL(str(llama_cpp_bin / LIBRARY)).pipress_round_trip
        except OSError as error:
            raise StageError(
                f"{LIBRARY} does not load: {error}", "run `npm start` again: bootstrap builds it"
            ) from None
        pointer = ctypes.c_void_p
        sizes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_int]
        self._round_trip.argtypes = [ctypes.c_char_p, pointer, pointer, *sizes, pointer]

    def round_trip(self, weight: torch.Tensor, kind: str, importance: np.ndarray | None) -> torch.Tensor:
        """The weight quantized to the tensor type `kind` and read back: (rows, columns) float32, on the processor.

        importance: E[x^2] of every input channel, (columns,), as llama-imatrix has it. Raises StageError where the
        type does not go with the matrix.
        """
        weight = weight.to("cpu", torch.float32).contiguous()
        rows, columns = weight.shape
        if importance is not None:
            importance = np.ascontiguousarray(importance, np.float32)
            if importance.shape != (columns,):
                raise StageError(f"an importance of {importance.shape} for rows of {columns}", "it is another model's")
        result = torch.empty_like(weight)
        problem = self._round_trip(
            kind.encode(),
            weight.data_ptr(),
            None if importance is None else importance.ctypes.data,
            *(rows, columns, len(os.sched_getaffinity(0))),
            result.data_ptr(),
        )
        if problem:
            what = PROBLEMS[problem]
            raise StageError(f"{kind} for a matrix of {rows} x {columns}: {what}", "take another steps.quantize.type")
        return result
