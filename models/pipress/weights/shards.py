"""Safetensors shards tensor by tensor: what is in memory is what was asked for, however big the model.

Format: https://huggingface.co/docs/safetensors, and the index of sharded checkpoints of Transformers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from pipress.errors import StageError
from pipress.weights.files import AGAIN, read_header

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
# Transformers' and the hub's usual size of a shard.
SHARD_BYTES = 5_000_000_000
# Room kept for a shard's header, which is only known once its data is written; the format allows spaces at its end.
HEADER_BYTES = 1 << 18
INDEX = "model.safetensors.index.json"


class ShardReader:
    """The tensors of a model folder by name. Each load is one read from the file; nothing stays mapped."""

    def __init__(self, folder: Path) -> None:
        self._locations: dict[str, tuple[Path, int, dict[str, Any]]] = {}
        for file in sorted(folder.glob("*.safetensors")):
            header, start = read_header(file)
            for name, tensor in header.items():
                self._locations[name] = (file, start, tensor)

    def __contains__(self, name: str) -> bool:
        return name in self._locations

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by name."""
        return {name: tuple(tensor["shape"]) for name, (_, _, tensor) in self._locations.items()}

    def load(self, name: str) -> torch.Tensor:
        """One tensor in the type it is stored in. Raises StageError where there is none, or not all of it."""
        if name not in self._locations:
            raise StageError(f"the weights do not fit config.json: {name} missing", AGAIN)
        file, start, tensor = self._locations[name]
        begin, end = tensor["data_offsets"]
        values = bytearray(end - begin)
        with open(file, "rb") as stream:
            stream.seek(start + begin)
            if stream.readinto(values) < len(values):
                raise StageError(f"{file.name} is cut off: it ends inside {name}", AGAIN)
        return torch.frombuffer(values, dtype=DTYPES[tensor["dtype"]]).view(tensor["shape"])


class ShardWriter:
    """Writes tensors as they come: model.safetensors, or shards and their index where that is over `shard_bytes`."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        # Every shard's file and header; only the last one grows.
        self._shards: list[tuple[Path, dict[str, Any]]] = []
        self._size = 0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._end_shard()
            self._name_shards()

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """Appends one tensor; begins another shard where it would not fit into this one."""
        tensor = tensor.detach().to("cpu").contiguous()
        values = tensor.view(-1).view(torch.uint8).numpy()
        if not self._shards or self._size + values.nbytes > self.shard_bytes:
            self._end_shard()
            self._begin_shard()
        path, header = self._shards[-1]
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [self._size, self._size + values.nbytes],
        }
        with open(path, "ab") as file:
            file.write(values)
        self._size += values.nbytes

    def _begin_shard(self) -> None:
        path = self.folder / f"part-{len(self._shards) + 1}.safetensors"
        path.write_bytes(bytes(8 + HEADER_BYTES))
        self._shards.append((path, {}))
        self._size = 0

    def _end_shard(self) -> None:
        if not self._shards:
            return
        path, tensors = self._shards[-1]
        header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
        with open(path, "r+b") as file:
            file.write(HEADER_BYTES.to_bytes(8, "little") + header.ljust(HEADER_BYTES))

    def _name_shards(self) -> None:
        if len(self._shards) == 1:
            self._shards[0][0].rename(self.folder / "model.safetensors")
            return
        shard_of, total = {}, 0
        for number, (path, header) in enumerate(self._shards, start=1):
            name = f"model-{number:05d}-of-{len(self._shards):05d}.safetensors"
            path.rename(self.folder / name)
            shard_of.update(dict.fromkeys(header, name))
            total += max(tensor["data_offsets"][1] for tensor in header.values())
        index = {"metadata": {"total_size": total}, "weight_map": shard_of}
        (self.folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def rewrite(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor | None]) -> None:
    """Replaces the weights in a folder, tensor by tensor; one for which `change` returns None is left out."""
    reader = ShardReader(folder)
    changed = folder / "changed"
    changed.mkdir()
    with ShardWriter(changed) as writer:
        for name in reader.shapes():
            if (tensor := change(name, reader.load(name))) is not None:
                writer.write(name, tensor)
    for file in (*folder.glob("*.safetensors"), folder / INDEX):
        file.unlink(missing_ok=True)
    for file in changed.iterdir():
        file.rename(folder / file.name)
    changed.rmdir()
