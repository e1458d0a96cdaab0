"""Model folders as files: config.json and safetensors, checked without loading a framework.

Whatever is wrong with a folder is found here, with one clear error, before transformers or llama.cpp stumble over it.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from pipress.errors import StageError
from pipress.weights.layouts import LLAMA, QWEN2, QWEN3, architecture_of

# Architectures of which config.json may name a window that llama.cpp does not know, and the lines that it does so in.
WINDOWED = ("MistralForCausalLM", QWEN2.architecture, QWEN3.architecture)
WINDOW_KEYS = ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types")
# Key of config.json for the FFN widths of all layers, where they differ; `intermediate_size` is their mean. A key of
# its own: what else reads configs takes `intermediate_size` for one number.
WIDTHS = "intermediate_size_per_layer"
AGAIN = "the model is damaged: fetch or make it again"
# Integer type of the same width, and the bits of the exponent: all set means infinite or not a number.
EXPONENTS = {"F32": (np.uint32, 0x7F800000), "F16": (np.uint16, 0x7C00), "BF16": (np.uint16, 0x7F80)}
# Values looked at in one go: what is in memory at a time stays small whatever the model.
SLICE = 1 << 24


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, as it is understood here: see `understood`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"{folder.name} holds no config.json"
        raise StageError(what, "name a model folder in Hugging Face format, or a GGUF") from None
    except ValueError as error:
        raise StageError(f"config.json is not JSON: {error}", AGAIN) from error
    if not isinstance(config, dict):
        raise StageError("config.json holds no settings", AGAIN)
    return understood(config)


def understood(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json in the words of what llama.cpp computes.

    Mistral and Qwen may say that attention slides over a window. llama.cpp's `llama`, `qwen2` and `qwen3` know none,
    and compute the same as long as a text is no longer than it: such a model is one without a window that was trained
    for that many tokens. A Mistral without one has a Llama's layers by another name.
    """
    architecture = architecture_of(config)
    if architecture not in WINDOWED:
        return config
    window = _window(config, architecture)
    config = {key: value for key, value in config.items() if key not in WINDOW_KEYS}
    if window is not None:
        config["max_position_embeddings"] = min(window, config.get("max_position_embeddings", window))
    if architecture == "MistralForCausalLM" and config.get("model_type") == "mistral":
        return {**config, "model_type": LLAMA.model_type, "architectures": [LLAMA.architecture]}
    return config


def _window(config: dict[str, Any], architecture: str) -> int | None:
    """Tokens that some layer looks back on at most; None where every layer sees all."""
    window = config.get("sliding_window")
    if architecture == "MistralForCausalLM" or window is None:
        return window
    layers = config.get("num_hidden_layers", 0)
    is_used = config.get("use_sliding_window", False) and config.get("max_window_layers", layers) < layers
    return window if is_used or "sliding_attention" in (config.get("layer_types") or []) else None


def rope_of(config: dict[str, Any]) -> dict[str, Any]:
    """What config.json says of RoPE, in today's words; older files say `rope_scaling` and `type`."""
    said = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return {**said, "rope_type": said.get("rope_type") or said.get("type") or "default"}


def check_weights(folder: Path) -> None:
    """Reads every tensor once. Raises StageError for files cut off, other types, and values that are not finite."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise StageError(f"{folder.name} holds no *.safetensors", "only weights in safetensors are loaded")
    for file in files:
        _check_file(file)


def _check_file(file: Path) -> None:
    header, start = read_header(file)
    size = file.stat().st_size - start
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        if end > size:
            raise StageError(f"{file.name} is cut off: it ends inside {name}", AGAIN)
        if tensor["dtype"] not in EXPONENTS:
            raise StageError(
                f"{name} in {file.name} is of type {tensor['dtype']}", "take a model in F32, F16 or BF16: not quantized"
            )
        kind, exponent = EXPONENTS[tensor["dtype"]]
        bits = np.memmap(file, kind, "r", start + begin, ((end - begin) // np.dtype(kind).itemsize,))
        for first in range(0, len(bits), SLICE):
            if ((bits[first : first + SLICE] & exponent) == exponent).any():
                raise StageError(f"{name} in {file.name} holds values that are not finite (NaN or infinite)", AGAIN)


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """Tensors by name, and where their data begins: 8 bytes of length, then JSON."""
    try:
        with open(file, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            text = stream.read(min(length, 1 << 28))
        if len(text) < length:
            raise ValueError("it ends inside its header")
        header = json.loads(text)
    except (struct.error, ValueError) as error:
        raise StageError(f"{file.name} is cut off or damaged: {error}", AGAIN) from error
    header.pop("__metadata__", None)
    return header, 8 + length
