"""A GGUF file as a model folder in Hugging Face format: dequantized, renamed, rearranged."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig

from pipress.errors import StageError
from pipress.weights.gguf_reader import MAGIC, GgufFile
from pipress.weights.gguf_tokenizer import build_tokenizer

# Quantized blocks carry scales in half precision: this keeps all that a quantized file says, in half of float32.
DTYPE = torch.float16

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
BLOCK_TENSOR = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def is_gguf(path: Path) -> bool:
    """Whether a file says of itself that it is a GGUF."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def unpack_gguf(path: Path, out: Path) -> None:
    """Writes config.json, model.safetensors and the tokenizer. Raises StageError for what is not a whole Llama."""
    file = GgufFile(path)
    config = _config(file.metadata, tied="output.weight" not in file.tensors)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for name in file.tensors:
        target, part = _target(name)
        values = torch.from_numpy(np.array(file.load(name)))
        if not torch.isfinite(values).all():
            raise StageError(f"{name} in {path.name} holds values that are not finite", "fetch the file again")
        if part in heads:
            values = _unpermute(values, heads[part])
        weights[target] = values.to(DTYPE).contiguous()
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(out)
    build_tokenizer(file.metadata).save_pretrained(out)


def _config(metadata: dict[str, Any], tied: bool) -> LlamaConfig:
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise StageError(
            f"the model is of the architecture {architecture}",
            "only the Llama architecture can be pruned here and loads on the hosts: choose a model of that kind",
        )
    value = {key.removeprefix("llama."): item for key, item in metadata.items() if key.startswith("llama.")}
    heads = value["attention.head_count"]
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        hidden_size=value["embedding_length"],
        intermediate_size=value["feed_forward_length"],
        num_hidden_layers=value["block_count"],
        num_attention_heads=heads,
        num_key_value_heads=value.get("attention.head_count_kv", heads),
        head_dim=value.get("rope.dimension_count", value["embedding_length"] // heads),
        max_position_embeddings=value["context_length"],
        # float32 in the file: 1e-5 comes out as 9.99999974e-06
        rms_norm_eps=float(f"{value['attention.layer_norm_rms_epsilon']:.4g}"),
        rope_parameters={"rope_type": "default", "rope_theta": value.get("rope.freq_base", 10000.0)},
        tie_word_embeddings=tied,
        bos_token_id=metadata.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=metadata.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=metadata.get("tokenizer.ggml.padding_token_id"),
        dtype=DTYPE,
    )


def _target(name: str) -> tuple[str, str]:
    """Hugging Face's name of a tensor, and its part in the block: `blk.3.attn_q.weight` -> (…, `attn_q`)."""
    if match := BLOCK_TENSOR.fullmatch(name):
        layer, part, kind = match.groups()
        if part in NAMES:
            return f"model.layers.{layer}.{NAMES[part]}.{kind}", part
    part, _, kind = name.rpartition(".")
    if part in NAMES:
        return f"{NAMES[part]}.{kind}", part
    raise StageError(
        f"the GGUF holds a tensor {name}, which a folder in Hugging Face format has no place for",
        "take the model from Hugging Face instead",
    )


def _unpermute(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Undoes the converter's reordering of rotary dimensions: pairs side by side become two halves."""
    rows = weight.shape[0] // heads
    return weight.view(heads, rows // 2, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
