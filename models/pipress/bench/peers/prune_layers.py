"""`llama-quantize --prune-layers`: llama.cpp's own pruning of whole blocks.

Which blocks is left to the user; the help that llama.cpp gives are the statistics of `llama-imatrix --show-statistics`.
Those go whose activations are most like the layer's before (its column CosSim): they change least.
https://github.com/ggml-org/llama.cpp/blob/master/tools/imatrix/README.md
"""

import re
from pathlib import Path

from pipress.errors import StageError
from pipress.gguf_file import check_generates
from pipress.programs import run_program
from pipress.pruning.budget import shallower
from pipress.pruning.shape import shape_of
from pipress.spec import Metrics, Spec
from pipress.weights.files import read_config
from pipress.weights.folder import check_loads
from pipress.weights.from_gguf import unpack_gguf

TOOLS = ("gguf", "llama.cpp", "safetensors", "tokenizers", "torch", "transformers")

LAYER_TABLE = "Computing layer statistics"
ROW = re.compile(r"^\s*(\d+)\s+\|?")
# Counted from the end of a row: similarity, correlation, covariance.
COSINE = -3


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves model.gguf, loaded and heard once, and the same model as a folder, for recovery.

    inputs: `base`, the folder whose config.json the budget is counted by; `model`, its GGUF; `imatrix`, of the latter.
    """
    shape = shape_of(read_config(inputs["base"]))
    target = shallower(shape, spec.params["pruningRatio"] * shape.parameters)
    model = inputs["model"] / "model.gguf"
    alike = similarities(statistics(spec.llama_cpp_bin, model, inputs["imatrix"] / "imatrix.gguf"))
    dropped = sorted(sorted(alike, key=alike.__getitem__, reverse=True)[: shape.layers - target.layers])
    named = ",".join(map(str, dropped))
    run_program(
        [spec.llama_cpp_bin / "llama-quantize", "--prune-layers", named, model, out / "model.gguf", spec.params["type"]]
    )
    # It ends with status 0 for files that do not load, too.
    check_generates(spec.llama_cpp_bin, out / "model.gguf")
    unpack_gguf(out / "model.gguf", out)
    parameters = check_loads(out)
    return {
        "parametersBefore": shape.parameters,
        "parametersAfter": parameters,
        "pruningRatio": round(1 - parameters / shape.parameters, 4),
        "blocksRemoved": ", ".join(map(str, dropped)),
    }


def statistics(llama_cpp_bin: Path, model: Path, imatrix: Path) -> list[str]:
    """What `llama-imatrix --show-statistics` prints."""
    lines: list[str] = []
    command = [llama_cpp_bin / "llama-imatrix", "-m", model, "--in-file", imatrix, "--show-statistics"]
    run_program(command, lines.append)
    return lines


def similarities(lines: list[str]) -> dict[int, float]:
    """Cosine similarity of each layer with the one before, by layer. The first has none before it and never goes."""
    start = next((index for index, line in enumerate(lines) if LAYER_TABLE in line), len(lines))
    by_layer = {}
    for line in lines[start:]:
        if match := ROW.match(line):
            value = line.replace("|", " ").split()[COSINE]
            if value != "nan":
                by_layer[int(match[1])] = float(value)
    if not by_layer:
        raise StageError("llama-imatrix printed no layer statistics", "the log has its output")
    return by_layer
