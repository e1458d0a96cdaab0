"""Reads what a GGUF says about itself: what its speed depends on, without reading any weights."""

from __future__ import annotations

import math
import mmap
import re
import struct
from pathlib import Path
from typing import Any

from .errors import HostError

#: Types of tensors, by ggml's number.
TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    41: "Q1_0",
    42: "Q2_0",
}
#: Types of files, by llama.cpp's number.
FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    40: "Q1_0",
    41: "Q2_0",
}

#: struct's letters of numbers, by GGUF's number; 8 is text and 9 an array.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: Any):
        self._data = data
        self._at = 0

    def number(self, letter: str) -> Any:
        value = struct.unpack_from(f"<{letter}", self._data, self._at)[0]
        self._at += struct.calcsize(letter)
        return value

    def text(self) -> str:
        size = self.number("Q")
        self._at += size
        return bytes(self._data[self._at - size : self._at]).decode(errors="replace")

    def value(self, kind: int) -> Any:
        """The value; None of an array, which is passed over."""
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner in _NUMBERS:
            self._at += count * struct.calcsize(_NUMBERS[inner])
        else:
            for _ in range(count):
                self.value(inner)
        return None


def describe_model(path: Path) -> dict[str, Any]:
    """What the model in `path` is, and what a token is multiplied with. Raises HostError for a file that does not tell.

    Returns `{name, type, parameters, fileBytes, layers, attentionWidth, blocks, output}`: `blocks` and `output` are weights by
    type, of all layers and of the output matrix, which may be the token embedding.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return {**_describe(_Reader(data)), "fileBytes": path.stat().st_size}
    except (OSError, ValueError, KeyError, struct.error) as problem:
        raise HostError(
            f"the model that serves cannot be read as a GGUF: {problem}",
            "roll it out again with `./pipress up`",
        ) from problem


def size_text(parameters: int) -> str:
    """`135M`, `8.0B`, as converters label models."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _describe(reader: _Reader) -> dict[str, Any]:
    magic, version = reader.number("I"), reader.number("I")
    if magic != struct.unpack("<I", b"GGUF")[0] or version < 2:
        raise ValueError("it does not begin as one")
    tensors, keys = reader.number("Q"), reader.number("Q")
    said = {}
    for _ in range(keys):
        key, kind = reader.text(), reader.number("I")
        said[key] = reader.value(kind)
    parameters, attention_width, layers = 0, 0, set()
    blocks: dict[str, int] = {}
    ends: dict[str, tuple[str, int]] = {}
    for _ in range(tensors):
        name = reader.text()
        sizes = [reader.number("Q") for _ in range(reader.number("I"))]
        kind, _ = TYPES[reader.number("I")], reader.number("Q")
        weights = math.prod(sizes)
        parameters += weights
        block = re.match(r"blk\.(\d+)\.(.*)", name)
        if block:
            layers.add(block[1])
        if block and block[2] == "attn_q.weight":
            attention_width = sizes[1]
        if len(sizes) < 2:
            continue
        if block:
            blocks[kind] = blocks.get(kind, 0) + weights
        else:
            ends[name] = (kind, weights)
    kind, weights = ends.get("output.weight") or ends["token_embd.weight"]
    return {
        # What it calls itself (`general.name`) is the name of a folder of the builder.
        "name": f"{said.get('general.architecture')} {said.get('general.size_label') or size_text(parameters)}",
        "type": FILE_TYPES.get(said.get("general.file_type", -1), "mixed"),
        "parameters": parameters,
        "layers": len(layers),
        "attentionWidth": attention_width,
        "blocks": blocks,
        "output": {kind: weights},
    }
