"""Every tensor in every type that a search considers, made once by llama-quantize, and what each loses.

A type's tensors lie one after another in `<type>.bin`, as llama.cpp stores them, so that a file of any mix is put
together by copying. All of them together take about four times the space of the full-precision file.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import gguf
import numpy as np
from gguf.quants import dequantize

from pipress.atomic import read_json, replace_synced, write_json
from pipress.errors import StageError
from pipress.quantization.imatrix_file import read_imatrix
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import SEARCHED_TYPES, fits, tensor_bytes
from pipress.weights.gguf_reader import GgufFile

# Rows of a tensor that its error is estimated from, evenly spaced: at least this many rows, and this many weights.
SAMPLED_ROWS = 32
SAMPLED_WEIGHTS = 65536
COPY_BYTES = 1 << 24


class Candidates:
    """Quantized tensors in a folder that outlives a killed run."""

    def __init__(self, llama_cpp_bin: Path, source: SourceModel, imatrix: Path, folder: Path) -> None:
        self.llama_cpp_bin = llama_cpp_bin
        self.source = source
        self.imatrix = imatrix
        self.folder = folder
        self.importance = read_imatrix(imatrix)
        # By type, then tensor: where it lies in the type's file, and the share of its output's power that is lost.
        self.offsets: dict[str, dict[str, int]] = {}
        self.losses: dict[str, dict[str, float]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        # Leaving a tensor as it is costs nothing but bytes.
        self.losses[source.full_type] = dict.fromkeys(source.weights, 0.0)

    def kinds_for(self, name: str, kinds: Iterable[str]) -> list[str]:
        """Those of the types that this tensor can have."""
        return [kind for kind in kinds if fits(kind, name, self.source.weights[name].shape[-1])]

    def make(self, kind: str, on_tensor: Callable[[int, int], None]) -> None:
        """Quantizes every tensor that fits to one type, unless an earlier run did."""
        if kind in self.losses:
            return
        index = read_json(self.folder / f"{kind}.json")
        if index is None or not self._is_whole(kind, index):
            index = self._make(kind, on_tensor)
            write_json(self.folder / f"{kind}.json", index)
        self.offsets[kind] = {name: int(offset) for name, (offset, _) in index.items()}
        self.losses[kind] = {name: loss for name, (_, loss) in index.items()}

    def _is_whole(self, kind: str, index: dict[str, tuple[int, float]]) -> bool:
        """Whether what an earlier run left has the sizes that it must have, whatever happened to the disk since."""
        blob, header = self.folder / f"{kind}.bin", self.folder / "header.bin"
        size = sum(tensor_bytes(kind, self.source.weights[name].shape) for name in index)
        return _size(blob) == size and _size(header) == self.source.header_bytes

    def _make(self, kind: str, on_tensor: Callable[[int, int], None]) -> dict[str, tuple[int, float]]:
        wanted = [name for name in self.source.weights if self.kinds_for(name, [kind])]
        # What does not fit keeps its type: copying is quicker than quantizing it for nothing.
        overrides = {name: kind if name in wanted else self.source.full_type for name in self.source.weights}
        whole, part = self.folder / f"{kind}.gguf", self.folder / f"{kind}.part"
        quantize(
            self.llama_cpp_bin,
            self.source.path,
            whole,
            SEARCHED_TYPES[kind],
            self.imatrix,
            overrides,
            lambda done, total: on_tensor(done, 2 * total),
        )
        file, index, offset = GgufFile(whole), {}, 0
        start = min(tensor.offset for tensor in file.tensors.values())
        _write_whole(self.folder / "header.bin", file.data[:start])
        with open(part, "wb") as out:
            for done, name in enumerate(wanted):
                on_tensor(len(wanted) + done, 2 * len(wanted))
                tensor = file.tensors[name]
                out.write(file.data[tensor.offset : tensor.offset + tensor.bytes])
                index[name] = (offset, self._loss(name, file, kind))
                offset += tensor.bytes
        replace_synced(part, self.folder / f"{kind}.bin")
        whole.unlink()
        return index

    def _loss(self, name: str, quantized: GgufFile, kind: str) -> float:
        """Weighted relative squared error, from a sample of rows.

        sum_i E[x_i^2] (W - Q(W))_i^2 over sum_i E[x_i^2] W_i^2: the share of the output's power that turns to noise.
        That model quality is close to linear in it, layer by layer, is the linearity theorem of Malinovskii et al.,
        "Pushing the Limits of Large Language Model Quantization via the Linearity Theorem" (arXiv:2411.17525).
        """
        rows, columns = self.source.weights[name].shape
        count = min(rows, max(SAMPLED_ROWS, SAMPLED_WEIGHTS // columns))
        chosen = np.linspace(0, rows - 1, count).astype(int)
        exact = _rows(self.source.file, name, chosen)
        error = exact - _rows(quantized, name, chosen)
        weight = self.importance.get(name)
        if weight is None:
            weight = np.ones(columns, np.float32)
        power = float(np.square(exact, dtype=np.float64) @ weight.astype(np.float64) @ np.ones(count))
        lost = float(np.square(error, dtype=np.float64) @ weight.astype(np.float64) @ np.ones(count))
        return lost / power if power > 0 else 0.0

    def assemble(self, mix: Mix, target: Path) -> None:
        """Writes the file in which each tensor has its type in `mix`: what llama-quantize would write, but for
        `general.file_type`."""
        file = self.source.file
        header = bytearray((self.folder / "header.bin").read_bytes())
        offset, start = 0, len(header)
        order = _tensor_order(header, list(file.tensors))
        with open(target, "wb") as out:
            out.write(header)
            for name, position in order:
                kind = mix.get(name)
                size = tensor_bytes(kind, self.source.weights[name].shape) if kind else file.tensors[name].bytes
                number = gguf.GGMLQuantizationType[kind] if kind else file.tensors[name].type
                header[position : position + 12] = int(number).to_bytes(4, "little") + offset.to_bytes(8, "little")
                self._copy(name, kind, size, out)
                padding = -size % self.source.alignment
                out.write(b"\0" * padding)
                offset += size + padding
            out.seek(0)
            out.write(header[:start])

    def _copy(self, name: str, kind: str | None, size: int, out: IO[bytes]) -> None:
        if kind is None or kind == self.source.full_type:
            begin = self.source.file.tensors[name].offset
            out.write(self.source.file.data[begin : begin + size])
            return
        with open(self.folder / f"{kind}.bin", "rb") as blob:
            blob.seek(self.offsets[kind][name])
            while size > 0:
                piece = blob.read(min(size, COPY_BYTES))
                if not piece:
                    raise StageError(
                        f"{blob.name} is cut off: it ends inside {name}", "run `up` again: it is made anew"
                    )
                out.write(piece)
                size -= len(piece)


def _rows(file: GgufFile, name: str, chosen: np.ndarray) -> np.ndarray:
    """Some rows of a matrix, dequantized: (len(chosen), columns)."""
    tensor = file.tensors[name]
    raw = np.frombuffer(file.data, np.uint8, tensor.bytes, tensor.offset).reshape(tensor.shape[0], -1)[chosen]
    if tensor.type == gguf.GGMLQuantizationType.F32:
        return raw.view(np.float32)
    if tensor.type == gguf.GGMLQuantizationType.F16:
        return raw.view(np.float16).astype(np.float32)
    return dequantize(raw, gguf.GGMLQuantizationType(tensor.type))


def _tensor_order(header: bytes | bytearray, names: list[str]) -> list[tuple[str, int]]:
    """Tensors in the header's order, each with the place of its type (4 bytes), which its offset (8 bytes) follows."""
    positions = []
    for name in names:
        encoded = name.encode()
        # The list of tensors comes last in a header, so the last mention of a name is the one in it.
        begin = header.rfind(len(encoded).to_bytes(8, "little") + encoded)
        dimensions = begin + 8 + len(encoded)
        n_dimensions = int.from_bytes(header[dimensions : dimensions + 4], "little")
        positions.append((name, dimensions + 4 + 8 * n_dimensions))
    return sorted(positions, key=lambda entry: entry[1])


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    replace_synced(part, path)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
