"""quantize: fewer bits per weight, by llama-quantize."""

import os
import re
from pathlib import Path

from pipress.errors import StageError
from pipress.gguf_file import check_generates
from pipress.programs import run_program
from pipress.spec import Metrics, Spec
from pipress.weights.license import carry_license, read_license

TOOLS = ("llama.cpp",)

TENSOR = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
FALLBACK = re.compile(r"(\d+) of \d+ tensor\(s\) required fallback")
# llama-quantize itself refuses these without an importance matrix; better to say so before anything runs.
NEED_IMATRIX = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "Q2_K_S"}


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Quantizes with the importance matrix, if there is one, then lets llama.cpp load the file and say something."""
    kind, source, target = spec.params["type"], inputs["model"] / "model.gguf", out / "model.gguf"
    if kind in NEED_IMATRIX and "imatrix" not in inputs:
        raise StageError(f"{kind} needs an importance matrix", "add the step `imatrix` to the recipe")
    fallbacks = 0

    def on_line(line: str) -> None:
        nonlocal fallbacks
        if match := FALLBACK.search(line):
            fallbacks = int(match[1])
        if match := TENSOR.search(line):
            spec.report(0.9 * int(match[1]) / int(match[2]), f"tensor {match[1]}/{match[2]}")

    matrix = ["--imatrix", inputs["imatrix"] / "imatrix.gguf"] if "imatrix" in inputs else []
    threads = str(len(os.sched_getaffinity(0)))
    run_program([spec.llama_cpp_bin / "llama-quantize", *matrix, source, target, kind, threads], on_line)

    spec.report(0.92, "loading it with llama.cpp")
    check_generates(spec.llama_cpp_bin, target)
    carry_license(inputs["model"], out)
    license = read_license(inputs["model"])
    return {
        "fileBytes": target.stat().st_size,
        "type": kind,
        "imatrix": bool(matrix),
        # Tensors whose rows do not fit the type's blocks, and which took a larger type.
        "fallbackTensors": fallbacks,
        **{name: license[name] for name in ("attribution", "modelName") if name in license},
    }
