"""convert: a model folder as a GGUF file, by llama.cpp's own converter."""

import re
from pathlib import Path

from pipress.conversion import convert_folder
from pipress.gguf_file import check_generates
from pipress.spec import Metrics, Spec
from pipress.tokenization import check_tokens
from pipress.weights.files import check_weights, read_config
from pipress.weights.license import carry_license, read_license

TOOLS = ("llama.cpp", "numpy", "safetensors", "sentencepiece", "torch", "transformers")

WRITING = re.compile(r"Writing:\s+(\d+)%")


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Converts in one type for all weights, then lets llama.cpp load the file and say something.

    What it makes of text must be what it made of the base model's, token by token.
    """
    read_config(inputs["model"])
    check_weights(inputs["model"])
    target = out / "model.gguf"
    spec.report(0.05, "converting")

    def on_line(line: str) -> None:
        if match := WRITING.search(line):
            spec.report(0.2 + 0.6 * int(match[1]) / 100, f"writing {match[1]} %")

    license = read_license(inputs["model"])
    name = ["--model-name", license["modelName"]] if "modelName" in license else []
    convert_folder(spec.convert_script, inputs["model"], target, ["--outtype", spec.params["type"], *name], on_line)
    spec.report(0.83, "comparing tokens with the base model's")
    check_tokens(spec.llama_cpp_bin, target, inputs["model"])
    spec.report(0.85, "loading it with llama.cpp")
    check_generates(spec.llama_cpp_bin, target)
    carry_license(inputs["model"], out)
    return {"fileBytes": target.stat().st_size, "type": spec.params["type"]}
