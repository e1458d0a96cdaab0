"""Reads GGUF files: metadata at once, tensors when asked for.

The gguf package's own reader wraps every string of the vocabulary in an array and takes the better part of a minute
for it; this one takes a moment. The layout is that of ggml's docs/gguf.md, versions 2 and 3.
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
from gguf.quants import dequantize

from pipress.errors import StageError

MAGIC = b"GGUF"
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
# Of the types that llama.cpp makes, the gguf package knows all but this one's blocks: 64 values in 18 bytes.
Q2_0, Q2_0_BLOCK = 42, (64, 18)
REMEDY = "the file is cut off or damaged: fetch it again"


class Tensor(NamedTuple):
    """Where a tensor lies. `shape` as numpy has it: rows first."""

    shape: tuple[int, ...]
    type: gguf.GGMLQuantizationType | int
    offset: int
    bytes: int


class GgufFile:
    """Metadata and tensors of one file. Raises StageError for anything that is not a whole GGUF."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        try:
            with open(path, "rb") as file:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._read()
        except (struct.error, IndexError, ValueError, KeyError) as error:
            raise StageError(f"{path.name} is not a GGUF that can be read: {error}", REMEDY) from error

    def _read(self) -> None:
        magic, version, n_tensors, n_pairs = struct.unpack_from("<4sIQQ", self.data, 0)
        if magic != MAGIC or version not in (2, 3):
            raise ValueError(f"it begins with {magic!r}, version {version}")
        self.position = 24
        for _ in range(n_pairs):
            name = self._string()
            self.metadata[name] = self._value(self._scalar("<I"))
        infos = {}
        for _ in range(n_tensors):
            name, n_dimensions = self._string(), self._scalar("<I")
            shape = tuple(self._scalar("<Q") for _ in range(n_dimensions))
            number, offset = self._scalar("<I"), self._scalar("<Q")
            infos[name] = (shape, number if number == Q2_0 else gguf.GGMLQuantizationType(number), offset)
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self.position // alignment) * alignment
        for name, (shape, kind, offset) in infos.items():
            block, block_bytes = Q2_0_BLOCK if kind == Q2_0 else gguf.GGML_QUANT_SIZES[kind]
            size = int(np.prod(shape)) // block * block_bytes
            if start + offset + size > len(self.data):
                raise ValueError(f"it ends inside the tensor {name}")
            self.tensors[name] = Tensor(shape[::-1], kind, start + offset, size)

    def check_whole(self) -> None:
        """Raises StageError for one file of several that make a model together."""
        if (parts := self.metadata.get("split.count", 0)) > 1:
            raise StageError(
                f"{self.path.name} is one of {parts} parts of a GGUF",
                "put them together with llama.cpp's `llama-gguf-split --merge FIRST-PART WHOLE`, and name the whole "
                "file",
            )

    def load(self, name: str) -> np.ndarray:
        """A tensor, dequantized: float32 in its shape."""
        tensor = self.tensors[name]
        raw = np.frombuffer(self.data, np.uint8, tensor.bytes, tensor.offset)
        if tensor.type == gguf.GGMLQuantizationType.F32:
            return raw.view(np.float32).reshape(tensor.shape)
        if tensor.type == gguf.GGMLQuantizationType.F16:
            return raw.view(np.float16).astype(np.float32).reshape(tensor.shape)
        rows = raw.reshape(*tensor.shape[:-1], -1)
        return dequantize(rows, tensor.type).reshape(tensor.shape)

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.data, self.position)
        self.position += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._scalar("<Q")
        text = self.data[self.position : self.position + length]
        if len(text) < length:
            raise ValueError("it ends inside its metadata")
        self.position += length
        return text.decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._scalar(SCALARS[kind])
        item, count = self._scalar("<I"), self._scalar("<Q")
        if item in (STRING, ARRAY):
            read: Callable[[], Any] = self._string if item == STRING else lambda: self._value(ARRAY)
            return [read() for _ in range(count)]
        form = f"<{count}{SCALARS[item][1]}"
        values = list(struct.unpack_from(form, self.data, self.position))
        self.position += struct.calcsize(form)
        return values
