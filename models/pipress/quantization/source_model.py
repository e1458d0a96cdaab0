"""The full-precision GGUF that is to be quantized, and the exact size of every file that can be made from it."""

from collections import Counter
from pathlib import Path
from typing import Any

import gguf

from pipress.errors import StageError
from pipress.quantization.types import UNQUANTIZED, tensor_bytes
from pipress.weights.gguf_reader import GgufFile, Tensor

# Tensor name -> type, for every tensor that is quantized.
Mix = dict[str, str]

# Parts of the names of matrices that llama-quantize leaves as they are, most of them small: norms, routers of experts,
# positions, convolutions, and what RWKV, T5 and Gemma 3n have beside their layers. Those that one architecture alone
# keeps by other names are left out.
KEPT = (
    *("_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj"),
    *("position_embd.weight", "token_types.weight", "ssm_conv1d", "shortconv.conv.weight", "attn_rel_b.weight"),
    *(f"time_mix_{name}" for name in ("first.", "w0.", "w1.", "w2.", "v0.", "v1.", "v2.", "a0.", "a1.", "a2.")),
    *("time_mix_g1.weight", "time_mix_g2.weight"),
    *("time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight"),
)

# llama-quantize keeps this much of a name in the file's metadata.
NAME_BYTES = 127


class SourceModel:
    """Tensors of the source, and what a quantized copy of it weighs."""

    def __init__(self, path: Path, imatrix: Path | None) -> None:
        self.path = path
        self.file = GgufFile(path)
        self.alignment = int(self.file.metadata.get("general.alignment", 32))
        self.weights: dict[str, Tensor] = {
            name: tensor for name, tensor in self.file.tensors.items() if is_quantized(name, tensor)
        }
        self.full_type = _common_type(path, self.weights)
        self.layers = int(self.file.metadata[f"{self.file.metadata['general.architecture']}.block_count"])
        self.header_bytes = self._aligned(self.file.position + _added_bytes(self.file.metadata, imatrix))

    @property
    def fixed_bytes(self) -> int:
        """What every quantized copy holds besides the weights: metadata and the tensors left as they are."""
        kept = self.file.tensors.keys() - self.weights.keys()
        return self.header_bytes + sum(self._aligned(self.file.tensors[name].bytes) for name in kept)

    def file_bytes(self, mix: Mix) -> int:
        """Size of the file whose tensors have these types, metadata and padding included, to the byte."""
        return self.fixed_bytes + sum(self.padded_bytes(name, mix.get(name, self.full_type)) for name in self.weights)

    def padded_bytes(self, name: str, kind: str) -> int:
        """What one tensor takes in the file."""
        return self._aligned(tensor_bytes(kind, self.weights[name].shape))

    def _aligned(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


def _common_type(path: Path, weights: dict[str, Tensor]) -> str:
    """That of most of them: the converter keeps some small ones of some architectures in float32."""
    types = Counter(gguf.GGMLQuantizationType(tensor.type).name for tensor in weights.values())
    if not types or not types.keys() <= UNQUANTIZED:
        raise StageError(
            f"{path.name} is quantized already ({', '.join(sorted(types))})", "quantize the original model"
        )
    return types.most_common(1)[0][0]


def is_quantized(name: str, tensor: Tensor) -> bool:
    """llama-quantize's rule: matrices, but no norms, and none of `KEPT` (`tensor_allows_quantization`)."""
    return len(tensor.shape) >= 2 and name.endswith("weight") and not any(part in name for part in KEPT)


def _added_bytes(metadata: dict[str, Any], imatrix: Path | None) -> int:
    """Size of the metadata that llama-quantize adds; what is there already keeps its size."""
    numbers = ["general.quantization_version", "general.file_type"]
    texts: dict[str, str] = {}
    if imatrix is not None:
        matrix = GgufFile(imatrix)
        texts["quantize.imatrix.file"] = imatrix.name
        if datasets := matrix.metadata.get("imatrix.datasets"):
            texts["quantize.imatrix.dataset"] = datasets[0]
        numbers.append("quantize.imatrix.entries_count")
        if matrix.metadata.get("imatrix.chunk_count", 0) > 0:
            numbers.append("quantize.imatrix.chunks_count")
    added = sum(8 + len(key) + 4 + 4 for key in numbers if key not in metadata)
    for key, text in texts.items():
        added += 8 + len(key) + 4 + 8 + len(text.encode()[:NAME_BYTES])
    return added
