"""A Llama of any shape with random weights and a tokenizer of any size, written shard by shard."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig

from pipress.errors import StageError
from pipress.spec import Report
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.gguf_tokenizer import build_tokenizer

DTYPE = torch.bfloat16
DEVIATION = 0.02
# Weights that are in memory at a time, before they are written.
SHARD_BYTES = 2_000_000_000
# Random numbers are drawn so many at a time: in float32 they take twice the memory of what is kept.
DRAWN = 1 << 24
NORMAL_TOKEN = 1


def write_random_model(config: dict[str, Any], tokenizer_from: Path, out: Path, report: Report) -> None:
    """Writes config.json, weights in bfloat16 and a tokenizer with as many entries as the config says.

    tokenizer_from: a GGUF whose tokenizer is taken and filled up with tokens that no text is made of, so that the
    converter recognises it by what it makes of its test text.
    """
    out.mkdir(parents=True, exist_ok=True)
    llama = LlamaConfig(architectures=["LlamaForCausalLM"], dtype=DTYPE, **config)
    llama.save_pretrained(out)
    build_tokenizer(widened(GgufFile(tokenizer_from).metadata, llama.vocab_size)).save_pretrained(out)

    torch.manual_seed(0)
    tensors = list(tensor_shapes(llama))
    total = sum(rows * columns for _, (rows, columns) in tensors)
    shards, shard, done = [], {}, 0
    for name, (rows, columns) in tensors:
        if shard and 2 * (rows * columns + sum(tensor.numel() for tensor in shard.values())) > SHARD_BYTES:
            shards.append(_write_shard(shard, len(shards), out))
            shard = {}
        shard[name] = _random(rows, columns, ones=name.endswith("norm.weight"))
        done += rows * columns
        report(done / total, f"writing random weights {done / total:.0%}")
    shards.append(_write_shard(shard, len(shards), out))
    index = {
        "metadata": {"total_size": 2 * total},
        "weight_map": {name: file for file, names in shards for name in names},
    }
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def widened(metadata: dict[str, Any], entries: int) -> dict[str, Any]:
    """A tokenizer's metadata with that many entries: those it has, and made-up ones that no merge leads to."""
    tokens = list(metadata["tokenizer.ggml.tokens"])
    if len(tokens) > entries:
        raise StageError(f"the tokenizer has {len(tokens)} entries, more than {entries}", "take a larger vocabulary")
    types = list(metadata.get("tokenizer.ggml.token_type", [NORMAL_TOKEN] * len(tokens)))
    added = [f"unused{index}" for index in range(entries - len(tokens))]
    wide = {"tokenizer.ggml.tokens": tokens + added, "tokenizer.ggml.token_type": types + [NORMAL_TOKEN] * len(added)}
    return metadata | wide


def tensor_shapes(config: LlamaConfig) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every tensor of the model with its rows and columns; a norm is one row."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    queries, keys = (heads * config.head_dim for heads in (config.num_attention_heads, config.num_key_value_heads))
    yield "model.embed_tokens.weight", (config.vocab_size, hidden)
    for layer in range(config.num_hidden_layers):
        block = f"model.layers.{layer}"
        yield f"{block}.input_layernorm.weight", (1, hidden)
        yield f"{block}.self_attn.q_proj.weight", (queries, hidden)
        yield f"{block}.self_attn.k_proj.weight", (keys, hidden)
        yield f"{block}.self_attn.v_proj.weight", (keys, hidden)
        yield f"{block}.self_attn.o_proj.weight", (hidden, queries)
        yield f"{block}.post_attention_layernorm.weight", (1, hidden)
        yield f"{block}.mlp.gate_proj.weight", (ffn, hidden)
        yield f"{block}.mlp.up_proj.weight", (ffn, hidden)
        yield f"{block}.mlp.down_proj.weight", (hidden, ffn)
    yield "model.norm.weight", (1, hidden)
    if not config.tie_word_embeddings:
        yield "lm_head.weight", (config.vocab_size, hidden)


def _random(rows: int, columns: int, ones: bool) -> torch.Tensor:
    if ones:
        return torch.ones(columns, dtype=DTYPE)
    tensor = torch.empty(rows * columns, dtype=DTYPE)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for start in range(0, len(tensor), DRAWN):
        part = tensor[start : start + DRAWN]
        part.copy_(torch.randn(len(part), device=device) * DEVIATION)
    return tensor.view(rows, columns)


def _write_shard(shard: dict[str, torch.Tensor], number: int, out: Path) -> tuple[str, list[str]]:
    name = f"model-{number + 1:05}.safetensors"
    save_file(shard, out / name, metadata={"format": "pt"})
    return name, list(shard)
