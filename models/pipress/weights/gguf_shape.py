"""What a GGUF says of itself that size, memory and speed follow from, whatever its architecture."""

from typing import Any

import gguf
import numpy as np

from pipress.errors import StageError
from pipress.spec import Metrics
from pipress.weights.gguf_reader import Q2_0, GgufFile
from pipress.weights.shape import SCORE_BYTES, STRING_BYTES, TOKEN_TYPE_BYTES

# How an embedding model makes one vector of a text's tokens, by its number in the header; 4 is a reranker's.
POOLINGS = {1: "mean", 2: "cls", 3: "last"}
NO_POOLING, RANK = 0, 4


def pooling_of(file: GgufFile, told: str | None = None) -> str | None:
    """How an embedding model pools, as llama-server's `--pooling` takes it; None for a model that generates.

    told: what the header does not say, or says wrongly. Raises StageError for a reranker, and for a model that reads a
    text as a whole, as BERT does, of which nothing says how it pools: it can do nothing but embed.
    """
    architecture = file.metadata.get("general.architecture", "")
    number = file.metadata.get(f"{architecture}.pooling_type", NO_POOLING)
    if told is not None or number in POOLINGS:
        return told or POOLINGS[number]
    if number == RANK:
        raise StageError(f"{file.path.name} is a reranker: it neither chats nor embeds", "take another model")
    if not _is_causal(file):
        raise StageError(
            f"{file.path.name} is an embedding model, but does not say how it makes one vector of a text",
            "its makers do: set `pooling` beside its source, to mean, cls or last",
        )
    return None


def _is_causal(file: GgufFile) -> bool:
    architecture = file.metadata.get("general.architecture", "")
    return bool(file.metadata.get(f"{architecture}.attention.causal", True))


def read_gguf_shape(file: GgufFile) -> Metrics:
    """The figures of `weights.shape.read_shape`, and what a token is multiplied with.

    kvHeads and headDim are means over layers, keys and values where those differ. `blocks` and `output` are weights by
    type, as `Q4_K=84934656 Q6_K=21233664`: of all layers, and of the output matrix, which may be the token embedding.
    Of experts those count that a token takes. A model that reads a text as a whole keeps no keys and values: its
    kvHeads are 0. The keys are those of ggml's docs/gguf.md; one that is missing counts as 0, as for a model without
    attention.
    """
    said = file.metadata
    architecture = said.get("general.architecture", "")

    def value(key: str, default: float = 0) -> float:
        """One number for all layers, or the mean of one for each."""
        return float(np.mean(said.get(f"{architecture}.{key}", default)))

    hidden, heads = value("embedding_length"), value("attention.head_count")
    each = hidden / heads if heads else 0
    experts = value("expert_count")
    share = value("expert_used_count") / experts if experts else 1.0
    tokens = said.get("tokenizer.ggml.tokens", [])
    output = "output.weight" if "output.weight" in file.tensors else "token_embd.weight"
    return {
        "architecture": architecture,
        "type": _type_of_file(said.get("general.file_type")),
        "parameters": sum(int(np.prod(tensor.shape)) for tensor in file.tensors.values()),
        "layers": int(value("block_count")),
        "hiddenSize": int(hidden),
        "ffnSize": int(value("feed_forward_length") or value("expert_feed_forward_length")),
        "heads": int(heads),
        "kvHeads": value("attention.head_count_kv", heads) if _is_causal(file) else 0,
        "headDim": (value("attention.key_length", each) + value("attention.value_length", each)) / 2,
        "vocabulary": len(tokens),
        "tied": output != "output.weight",
        "tokenizerBytes": _tokenizer_bytes(said, tokens),
        "trainedContext": int(value("context_length")),
        "blocks": _by_type(file, [name for name in file.tensors if name.startswith("blk.")], share),
        "output": _by_type(file, [output], 1.0),
    }


def _by_type(file: GgufFile, names: list[str], experts: float) -> str:
    """Weights of matrices by type; `experts` is the share of a layer's experts that a token takes."""
    weights: dict[str, int] = {}
    for name in names:
        tensor = file.tensors.get(name)
        if tensor is None or len(tensor.shape) < 2:
            continue
        kind = "Q2_0" if tensor.type == Q2_0 else gguf.GGMLQuantizationType(tensor.type).name
        share = experts if "_exps." in name else 1.0
        weights[kind] = weights.get(kind, 0) + round(int(np.prod(tensor.shape)) * share)
    return " ".join(f"{kind}={count}" for kind, count in sorted(weights.items()))


def _type_of_file(number: int | None) -> str:
    """As llama-quantize calls it, e.g. `Q4_K_M`."""
    try:
        return gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return "mixed"


def _tokenizer_bytes(said: dict[str, Any], tokens: list[str]) -> int:
    texts = [*tokens, *said.get("tokenizer.ggml.merges", [])]
    each = TOKEN_TYPE_BYTES + (SCORE_BYTES if "tokenizer.ggml.scores" in said else 0)
    return sum(len(text.encode()) + STRING_BYTES for text in texts) + each * len(tokens)
