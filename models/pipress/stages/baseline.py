"""baseline: the unpruned model, quantized to the size of a recipe's result.

The standard type whose file is the closest not larger: what anybody could have had without pruning.
"""

from pathlib import Path

from pipress.errors import StageError
from pipress.quantization.llama_quantize import planned_types
from pipress.quantization.source_model import SourceModel
from pipress.quantization.types import NEED_IMATRIX, STANDARD_TYPES
from pipress.spec import Metrics, Spec
from pipress.stages.quantize import write_model

TOOLS = ("llama.cpp",)


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves model.gguf. `like` is the artifact to be matched in size, `model` the unpruned one in full precision."""
    imatrix = inputs["imatrix"] / "imatrix.gguf" if "imatrix" in inputs else None
    source = SourceModel(inputs["model"] / "model.gguf", imatrix)
    limit = (inputs["like"] / "model.gguf").stat().st_size
    sizes = {}
    for index, name in enumerate(STANDARD_TYPES):
        if name in NEED_IMATRIX and imatrix is None:
            continue
        spec.report(0.3 * index / len(STANDARD_TYPES), f"what {name} would be")
        plan = planned_types(spec.llama_cpp_bin, source.path, name, imatrix)
        if plan is not None:
            sizes[name] = source.file_bytes({tensor: kind for tensor, kind in plan.items() if tensor in source.weights})
    if not sizes:
        raise StageError("llama-quantize makes no standard type of this model", "the log has its output")
    kind = closest(sizes, limit)
    fallbacks = write_model(spec, source, imatrix, kind, {}, out, 0.3)
    size = (out / "model.gguf").stat().st_size
    return {
        "fileBytes": size,
        "type": kind,
        "imatrix": imatrix is not None,
        "fallbackTensors": fallbacks,
        "resultBytes": limit,
        "largerThanResult": size > limit,
    }


def closest(sizes: dict[str, int], limit: int) -> str:
    """The largest type of at most `limit` bytes, the first of equals; where there is none, the smallest of all."""
    small_enough = {name: size for name, size in sizes.items() if size <= limit}
    if not small_enough:
        return min(sizes, key=sizes.__getitem__)
    return max(small_enough, key=small_enough.__getitem__)
