"""quantize: fewer bits per weight, by llama-quantize: one of its types, or the best mix of types for an objective."""

from collections import Counter
from pathlib import Path

import numpy as np

from pipress.atomic import write_json
from pipress.errors import StageError
from pipress.gguf_file import check_generates
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.overrides import tensor_overrides
from pipress.quantization.search import CONTEXT, DECIDING_ROWS, PROBE_ROWS, Search, SearchResult
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import NEED_IMATRIX
from pipress.spec import Metrics, Spec
from pipress.texts.rows import read_rows
from pipress.tokenization import llama_encoder
from pipress.units import parse_size
from pipress.weights.license import carry_license, read_license

TOOLS = ("llama.cpp",)


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves model.gguf, loaded and heard once; after a search also mix.json, the type of every tensor."""
    imatrix = inputs["imatrix"] / "imatrix.gguf" if "imatrix" in inputs else None
    kind = spec.params.get("type")
    if kind in NEED_IMATRIX and imatrix is None:
        raise StageError(f"{kind} needs an importance matrix", "add the step `imatrix` to the recipe")
    source = SourceModel(inputs["model"] / "model.gguf", imatrix)
    if "objective" in spec.params:
        return _search(spec, source, imatrix, inputs, out)
    fallbacks = write_model(spec, source, imatrix, kind, tensor_overrides(spec.params, source, imatrix), out, 0.0)
    return {
        "fileBytes": (out / "model.gguf").stat().st_size,
        "type": kind,
        "imatrix": imatrix is not None,
        # Tensors whose rows do not fit the type's blocks, and which took a larger type.
        "fallbackTensors": fallbacks,
        **license_metrics(source),
    }


def write_model(
    spec: Spec, source: SourceModel, imatrix: Path | None, kind: str, overrides: Mix, out: Path, begin: float
) -> int:
    """Quantizes, then lets llama.cpp load the file and say something. Returns the number of fallbacks.

    The model's license goes along with it.
    """

    def on_tensor(done: int, total: int) -> None:
        spec.report(begin + (0.92 - begin) * done / total, f"tensor {done}/{total}")

    target = out / "model.gguf"
    fallbacks = quantize(spec.llama_cpp_bin, source.path, target, kind, imatrix, overrides, on_tensor)
    spec.report(0.92, "loading it with llama.cpp")
    check_generates(spec.llama_cpp_bin, target)
    carry_license(source.path.parent, out)
    return fallbacks


def license_metrics(source: SourceModel) -> Metrics:
    """The naming that the model's license asks for, where it has one."""
    license = read_license(source.path.parent)
    return {name: license[name] for name in ("attribution", "modelName") if name in license}


def _search(spec: Spec, source: SourceModel, imatrix: Path | None, inputs: dict[str, Path], out: Path) -> Metrics:
    objective = spec.params["objective"]
    if imatrix is None:
        raise StageError(
            "the search for the best mix needs an importance matrix", "add the step `imatrix` to the recipe"
        )
    rows = held_back_rows(spec, inputs["datasets"], source.path)
    search = Search(spec, source, imatrix, rows, objective.get("types"))
    if "maxFileSize" in objective:
        result = search.under_bytes(parse_size(objective["maxFileSize"]))
    else:
        result = search.under_kld(objective["quality"]["kld"])
    # The mix says all there is to say; the file type is only the name that it goes by.
    write_model(spec, source, imatrix, result.file_type, result.mix, out, 0.9)
    size = (out / "model.gguf").stat().st_size
    if size != source.file_bytes(result.mix):
        raise AssertionError(f"the file has {size} bytes, expected {source.file_bytes(result.mix)}")
    write_json(out / "mix.json", {"types": result.mix, "costs": result.costs})
    return {
        "fileBytes": size,
        "type": result.standard or "mix",
        "imatrix": True,
        "fallbackTensors": 0,
        "mix": _summary(result),
        "maxFileSize": objective.get("maxFileSize"),
        "objectiveKld": objective.get("quality", {}).get("kld"),
        "searchKld": result.kld,
        "searchKldError": result.kld_error,
        "searchRival": result.rival,
        "searchRivalKld": result.rival_kld,
        "searchMeasurements": result.measurements,
        **license_metrics(source),
    }


def held_back_rows(spec: Spec, datasets: Path, model: Path) -> np.ndarray:
    """Rows of the documents that are held back, which the importance matrix did not see: (n, CONTEXT)."""
    count = PROBE_ROWS + DECIDING_ROWS
    rows = read_rows(datasets / "validation.jsonl", llama_encoder(spec.llama_cpp_bin, model), CONTEXT, count)
    if len(rows) < count:
        raise StageError(
            f"what is held back of the calibration text has {len(rows) * CONTEXT:,} tokens; the search for the best "
            f"mix needs {count * CONTEXT:,}",
            "take more text for datasets.calibration, or more documents",
        )
    return rows


def _summary(result: SearchResult) -> str:
    counts = Counter(result.mix.values())
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
