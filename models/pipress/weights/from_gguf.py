"""A GGUF file as a model folder in Hugging Face format: dequantized, renamed, rearranged."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from pipress.errors import StageError
from pipress.weights.gguf_names import NAMES
from pipress.weights.gguf_reader import MAGIC, GgufFile
from pipress.weights.gguf_tokenizer import build_tokenizer

# Quantized blocks carry scales in half precision: this keeps all that a quantized file says, in half of float32.
DTYPE = torch.float16

# Lines of metadata that the config carries, and those that say nothing of what the model computes.
CARRIED = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "tensor_data_layout",
    "vocab_size",
}
# YaRN's settings here and in Transformers.
YARN = {"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"}
ROPE_FACTORS = "rope_freqs.weight"
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
    file.check_whole()
    config = _config(file)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for name in file.tensors:
        if name == ROPE_FACTORS:
            continue  # in the config
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


def _config(file: GgufFile) -> LlamaConfig:
    metadata, tensors = file.metadata, file.tensors
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise StageError(
            f"the model is of the architecture {architecture}",
            "of GGUFs only a Llama is taken apart here: take the model from Hugging Face, or serve the file as it is "
            "(pipress:model)",
        )
    value = {key.removeprefix("llama."): item for key, item in metadata.items() if key.startswith("llama.")}
    heads = value["attention.head_count"]
    head_dim = value.get("attention.key_length", value["embedding_length"] // heads)
    problems = [f"{key} is {item}" for key, item in value.items() if not _is_carried(key, item)]
    for key in ("rope.dimension_count", "attention.value_length"):
        if (said := value.get(key, head_dim)) != head_dim:
            problems.append(f"{key} is {said}, where a head has {head_dim}")
    if problems:
        raise StageError(
            f"the GGUF says of its model what a folder in Hugging Face format has no place for: {'; '.join(problems)}",
            "take the model from Hugging Face instead",
        )
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        hidden_size=value["embedding_length"],
        intermediate_size=value["feed_forward_length"],
        num_hidden_layers=value["block_count"],
        num_attention_heads=heads,
        num_key_value_heads=value.get("attention.head_count_kv", heads),
        head_dim=head_dim,
        max_position_embeddings=value["context_length"],
        # float32 in the file: 1e-5 comes out as 9.99999974e-06
        rms_norm_eps=float(f"{value['attention.layer_norm_rms_epsilon']:.4g}"),
        rope_parameters=_rope(file, value, head_dim),
        attention_bias="blk.0.attn_q.bias" in tensors,
        mlp_bias="blk.0.ffn_up.bias" in tensors,
        tie_word_embeddings="output.weight" not in tensors,
        bos_token_id=metadata.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=metadata.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=metadata.get("tokenizer.ggml.padding_token_id"),
        dtype=DTYPE,
    )


def _is_carried(key: str, value: Any) -> bool:
    """Whether a line of metadata about the model is in the config, or says nothing of what the model computes."""
    return key in CARRIED or (key.startswith("expert_") and value == 0)


def _rope(file: GgufFile, value: dict[str, Any], head_dim: int) -> dict[str, Any]:
    """Rotary embedding and its scaling, in the words of Transformers."""
    theta = value.get("rope.freq_base", 10000.0)
    if ROPE_FACTORS in file.tensors:
        return _llama_3_rope(np.array(file.load(ROPE_FACTORS)), theta, head_dim)
    # The older name of the factor goes with the linear kind only.
    kind = value.get("rope.scaling.type", "linear" if "rope.scale_linear" in value else "none")
    factor = float(value.get("rope.scaling.factor", value.get("rope.scale_linear", 1.0)))
    if kind == "none" or factor in (0.0, 1.0):
        return {"rope_type": "default", "rope_theta": theta}
    scaled = {"rope_type": kind, "rope_theta": theta, "factor": factor}
    if kind == "yarn":
        trained = value.get("rope.scaling.original_context_length", value["context_length"])
        named = {key: value[f"rope.scaling.{name}"] for name, key in YARN.items() if f"rope.scaling.{name}" in value}
        return {**scaled, "original_max_position_embeddings": trained, **named}
    if kind != "linear":
        raise StageError(f"the GGUF scales RoPE by {kind}, which is not known here", "take the model from Hugging Face")
    return scaled


def _llama_3_rope(factors: np.ndarray, theta: float, head_dim: int) -> dict[str, Any]:
    """Llama 3.1's scaling, of which a GGUF keeps only a factor for every frequency: the settings that give those."""
    settings = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    scaled = {"rope_type": "llama3", "rope_theta": theta, "factor": float(factors.max()), **settings}
    plain = 1.0 / theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    config = LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim, rope_parameters=scaled)
    frequencies, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    if len(factors) != len(plain) or not torch.allclose(plain / frequencies, torch.from_numpy(factors), rtol=1e-4):
        raise StageError(
            f"the GGUF's {ROPE_FACTORS} are none that Llama 3.1's scaling gives, which is the only one known here",
            "take the model from Hugging Face instead",
        )
    return scaled


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
