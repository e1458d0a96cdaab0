"""What a GGUF says of itself that size, memory and speed follow from, whatever its architecture."""

import math
import re
from typing import Any

import gguf
import numpy as np

from pipress.errors import StageError
from pipress.spec import Metrics
from pipress.weights.gguf_reader import Q2_0, GgufFile
from pipress.weights.layouts import architecture_of, text_config_of
from pipress.weights.shape import SCORE_BYTES, STRING_BYTES, TOKEN_TYPE_BYTES

# Tensors of a model folder, as most makers name them: the output layer, the embedding, and parts for pictures and
# sound, which no text goes through.
OUTPUT = re.compile(r"(^|\.)(lm_head|embed_out)\.weight$|^output\.weight$")
EMBEDDING = re.compile(r"(embed_tokens|word_embeddings|wte|embed_in)\.weight$")
OTHER_PARTS = re.compile(r"vision|visual|audio|multi_modal|mm_projector")

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
    if not _is_causal(file.metadata):
        raise StageError(
            f"{file.path.name} is an embedding model, but does not say how it makes one vector of a text",
            "its makers do: set `pooling` beside its source, to mean, cls or last",
        )
    return None


def _is_causal(said: dict[str, Any]) -> bool:
    return bool(said.get(f"{said.get('general.architecture', '')}.attention.causal", True))


def read_gguf_shape(file: GgufFile) -> Metrics:
    """The figures of `weights.shape.read_shape`, and what a token is multiplied with.

    kvHeads and headDim are means over layers, keys and values where those differ. `blocks` and `output` are weights by
    type, as `Q4_K=84934656 Q6_K=21233664`: of all layers, and of the output matrix, which may be the token embedding.
    Of experts those count that a token takes. A model that reads a text as a whole keeps no keys and values: its
    kvHeads are 0. The keys are those of ggml's docs/gguf.md; one that is missing counts as 0, as for a model without
    attention.
    """
    said, share = file.metadata, _used_experts(file.metadata)
    output = "output.weight" if "output.weight" in file.tensors else "token_embd.weight"
    return {
        **read_header_shape(said),
        "type": _type_of_file(said.get("general.file_type")),
        "parameters": sum(int(np.prod(tensor.shape)) for tensor in file.tensors.values()),
        "tied": output != "output.weight",
        "blocks": _by_type(file, [name for name in file.tensors if name.startswith("blk.")], share),
        "output": _by_type(file, [output], 1.0),
    }


def read_header_shape(said: dict[str, Any]) -> Metrics:
    """The figures of `weights.shape.read_shape` that metadata alone says."""
    hidden, heads = _number(said, "embedding_length"), _number(said, "attention.head_count")
    each = hidden / heads if heads else 0
    tokens = said.get("tokenizer.ggml.tokens", [])
    head_dim = _number(said, "attention.key_length", each) + _number(said, "attention.value_length", each)
    return {
        "architecture": said.get("general.architecture", ""),
        "layers": int(_number(said, "block_count")),
        "hiddenSize": int(hidden),
        "ffnSize": int(_number(said, "feed_forward_length") or _number(said, "expert_feed_forward_length")),
        "heads": int(heads),
        "kvHeads": _number(said, "attention.head_count_kv", heads) if _is_causal(said) else 0,
        "headDim": head_dim / 2,
        "vocabulary": len(tokens),
        "tokenizerBytes": _tokenizer_bytes(said, tokens),
        "trainedContext": int(_number(said, "context_length")),
    }


def read_folder_shape(said: dict[str, Any], config: dict[str, Any], tensors: dict[str, tuple[int, ...]]) -> Metrics:
    """The same of a model folder of a layout that is not known here, and how many weights it has.

    said: metadata that the converter makes of it. tensors: shapes by name. `parameters` are those that write text;
    `tokenParameters` those of them that a token is multiplied with, which of experts are some.
    """
    sizes = {name: math.prod(shape) for name, shape in tensors.items() if not OTHER_PARTS.search(name)}
    in_experts = sum(size for name, size in sizes.items() if ".experts." in name)
    tied = bool(text_config_of(config).get("tie_word_embeddings")) or not any(map(OUTPUT.search, sizes))
    # An embedding that is not the output too costs a token one row.
    looked_up = 0 if tied else max((size for name, size in sizes.items() if EMBEDDING.search(name)), default=0)
    parameters = sum(sizes.values())
    return {
        **read_header_shape(said),
        "architecture": architecture_of(config),
        "tied": tied,
        "parameters": parameters,
        "tokenParameters": round(parameters - looked_up - (1 - _used_experts(said)) * in_experts),
    }


def _number(said: dict[str, Any], key: str, default: float = 0) -> float:
    """What metadata says of the model: one number for all layers, or the mean of one for each."""
    return float(np.mean(said.get(f"{said.get('general.architecture', '')}.{key}", default)))


def _used_experts(said: dict[str, Any]) -> float:
    """Share of a layer's experts that a token takes; 1 where there are none."""
    experts = _number(said, "expert_count")
    return _number(said, "expert_used_count") / experts if experts else 1.0


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
