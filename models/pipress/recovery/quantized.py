"""A student that computes with the weights that its release will have (quantization-aware training).

Every adapted layer holds `Q(W + scale B A) - scale B A` in the place of its frozen weight W, and its adapter adds
`scale B A` to that: after a refresh the layer computes with the quantized weight `Q(W + scale B A)` itself. As the
adapter moves on, the rounding stays what it was at the last refresh, and the gradient goes to the adapter as if there
were none (the straight-through estimator of Bengio et al., arXiv:1308.3432). Q is llama.cpp's own quantizer with the
types and the importance that llama-quantize will take: after a refresh held-back text is judged by the weights of the
release, to the precision of the training.

The weights W are read from their shards at every refresh, one at a time: the student in memory is no larger than
without quantization.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import PreTrainedModel

from pipress.errors import StageError
from pipress.quantization.imatrix_file import read_imatrix
from pipress.quantization.llama_quantize import planned_types
from pipress.quantization.quantizer import Quantizer
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import UNQUANTIZED
from pipress.recovery.adapters import LowRankLinear
from pipress.recovery.merging import merged
from pipress.recovery.together import ALONE, Ranks
from pipress.weights.folder import stored_dtype
from pipress.weights.gguf_names import gguf_name
from pipress.weights.shards import ShardReader

# Rows of an embedding that are quantized at a time, for memory: each is quantized by itself.
ROWS = 16384

CONVERTED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class ReleaseTypes:
    """What llama-quantize will make of each matrix: its type, and the importance that it goes by."""

    def __init__(
        self, llama_cpp_bin: Path, source: SourceModel, imatrix: Path | None, file_type: str, overrides: Mix
    ) -> None:
        """source: the student before training, converted. Raises StageError for what llama-quantize would refuse."""
        types = planned_types(llama_cpp_bin, source.path, file_type, imatrix, overrides)
        if types is None or file_type in UNQUANTIZED:
            raise StageError(f"llama-quantize quantizes nothing to {file_type}", "take another steps.quantize.type")
        self._types = types
        self._importance = {} if imatrix is None else read_imatrix(imatrix)
        self._converted = CONVERTED[source.full_type]
        self._quantizer = Quantizer(llama_cpp_bin)

    def of(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """The weight as the release has it: converted, quantized, and read back as float32. name: Hugging Face's."""
        converted, tensor = weight.to("cpu").to(self._converted), gguf_name(name)
        if tensor not in self._types:
            return converted.float()
        return self._quantizer.round_trip(converted, self._types[tensor], self._importance.get(tensor))


class QuantizedStudent:
    """Keeps the weights of a student, in place, as its release will have them."""

    def __init__(self, student: PreTrainedModel, source: Path, release: ReleaseTypes, ranks: Ranks = ALONE) -> None:
        """student: with its adapters, see `adapters.trainable`; source: the folder that it was loaded from.

        ranks: processes that train the same student; each quantizes a part of the matrices for all.

        Quantizes for good what is not trained: embeddings, output layer, and layers without an adapter.
        """
        self._release, self._shards, self._stored = release, ShardReader(source), stored_dtype(source)
        self._ranks = ranks
        # What was trained as it was at the last refresh: with it, a resumed training computes with the same weights.
        self.refreshed_with: dict[str, torch.Tensor] = {}
        self._adapted = {name: part for name, part in student.named_modules() if isinstance(part, LowRankLinear)}
        adapted = {f"{name}.linear.weight" for name in self._adapted}
        for name, parameter in student.named_parameters():  # a tied matrix once
            if parameter.dim() == 2 and not parameter.requires_grad and name not in adapted:
                weight = self._shards.load(name)
                for target, rows in zip(parameter.data.split(ROWS), weight.split(ROWS), strict=True):
                    target.copy_(release.of(name, rows))

    @torch.no_grad()
    def refresh(self, trained: Mapping[str, torch.Tensor]) -> None:
        """Quantizes every adapted layer anew, as it is with the adapters in `trained` (names as in `trainable`)."""
        self.refreshed_with = {name: values.detach().to("cpu", copy=True) for name, values in trained.items()}
        for index, (name, part) in enumerate(self._adapted.items()):
            if not self._ranks.owns(index):
                continue
            a, b = (self.refreshed_with[f"{name}.{key}"] for key in ("a", "b"))
            full = merged(self._shards.load(f"{name}.weight"), a, b, part.scale)
            released = self._release.of(f"{name}.weight", full.to(self._stored))
            part.linear.weight.copy_(released.addmm_(b, a, alpha=-part.scale))
        for index, part in enumerate(self._adapted.values()):
            self._ranks.pass_on(part.linear.weight, index)
