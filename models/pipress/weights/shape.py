"""A model's shape, as the plan reads it from fetch's metrics to predict sizes, memory and speed.

Of layouts that are not known here it is what llama.cpp's converter makes of config.json: see `gguf_shape.py`.
"""

import json
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.spec import Metrics
from pipress.weights.files import read_config, rope_of
from pipress.weights.layouts import LLAMA, architecture_of, find_layout, layout_of, text_config_of

# What Transformers takes where config.json says nothing.
LLAMA_CONTEXT = 2048
# A string in a GGUF is its length in 8 bytes and its text; the type of a token takes 4, as does its score.
STRING_BYTES, TOKEN_TYPE_BYTES, SCORE_BYTES = 8, 4, 4


def read_shape(folder: Path) -> Metrics:
    """The sizes of the model in `folder`; `tokenizerBytes` is what its tokenizer will take in a GGUF."""
    config = read_config(folder)
    layout_of(config)
    return {
        "architecture": architecture_of(config),
        "layers": config["num_hidden_layers"],
        "hiddenSize": config["hidden_size"],
        "ffnSize": config["intermediate_size"],
        "heads": config["num_attention_heads"],
        "kvHeads": _kv_heads(config),
        "headDim": _head_dim(config),
        "vocabulary": config["vocab_size"],
        "tied": config.get("tie_word_embeddings", False),
        "tokenizerBytes": _tokenizer_bytes(folder, config["vocab_size"]),
        "trainedContext": trained_context(config),
    }


def check_shape(config: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises StageError unless config.json says what the recipe's `base.config` expects, which predictions rest on.

    What it leaves out has the defaults of a Llama; of other layouts nobody here knows them, and it is not compared.
    """
    actual = {**text_config_of(config), "architectures": [architecture_of(config)]}
    if find_layout(config):
        actual |= {
            "num_key_value_heads": _kv_heads(config),
            "head_dim": _head_dim(config),
            "tie_word_embeddings": config.get("tie_word_embeddings", False),
            "max_position_embeddings": trained_context(config),
        }
    else:
        expected = {name: wanted for name, wanted in expected.items() if name in actual}
    if actual["architectures"] == [LLAMA.architecture] and expected.get("architectures") == ["MistralForCausalLM"]:
        actual["architectures"] = ["MistralForCausalLM"]  # read as a Llama
    wrong = [
        f"{name} is {_said(actual.get(name))}, not {_said(wanted)}"
        for name, wanted in expected.items()
        if actual.get(name) != wanted
    ]
    if wrong:
        raise StageError(
            f"the model is not what base.config in the recipe says: {'; '.join(wrong)}",
            "put what the model's config.json says into the recipe: what was predicted is wrong",
        )


def trained_context(config: dict[str, Any]) -> int:
    """Tokens that the model was trained to look back on, RoPE scaling included.

    `linear` and `yarn` stretch the length that they were applied to; `llama3` says the stretched one already.
    """
    rope = rope_of(config)
    context = config.get("max_position_embeddings", LLAMA_CONTEXT)
    if rope["rope_type"] == "yarn" and "original_max_position_embeddings" in rope:
        context = rope["original_max_position_embeddings"]
    return round(context * rope.get("factor", 1)) if rope["rope_type"] in ("linear", "yarn") else context


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _kv_heads(config: dict[str, Any]) -> int:
    return config.get("num_key_value_heads") or config["num_attention_heads"]


def _head_dim(config: dict[str, Any]) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _tokenizer_bytes(folder: Path, vocabulary: int) -> int:
    """Tokens, their types and merges; SentencePiece has scores in the place of merges."""
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    model = document.get("model", {})
    vocab = model.get("vocab", {})
    tokens = {*(vocab if isinstance(vocab, dict) else (entry[0] for entry in vocab))}
    tokens |= {token["content"] for token in document.get("added_tokens", [])}
    scored = (folder / "tokenizer.model").is_file()
    listed = [] if scored else model.get("merges", [])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in listed]
    texts = sum(len(text.encode()) for text in (*tokens, *merges))
    each = TOKEN_TYPE_BYTES + (SCORE_BYTES if scored else 0)
    return texts + STRING_BYTES * (max(vocabulary, len(tokens)) + len(merges)) + each * vocabulary
