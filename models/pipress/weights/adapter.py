"""A LoRA adapter in PEFT's format, merged into the weights it was trained on (Hu et al., arXiv:2106.09685).

Layout of https://huggingface.co/docs/peft: adapter_config.json, and adapter_model.safetensors with two matrices for
each linear layer, `base_model.model.<layer>.lora_A.weight` (rank, in) and `lora_B.weight` (out, rank).
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import torch

from pipress.errors import StageError
from pipress.weights.shards import ShardReader, rewrite

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PART = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
# Settings of PEFT that change what an adapter computes, and are not merged here.
REFUSED = {
    "use_dora": "it is a DoRA",
    "modules_to_save": "it brings whole layers of its own (modules_to_save), such as a resized embedding",
    "fan_in_fan_out": "its matrices are transposed (fan_in_fan_out)",
    "alpha_pattern": "it scales single layers otherwise (alpha_pattern)",
    "layer_replication": "it repeats layers (layer_replication)",
}
MERGE_YOURSELF = "merge it with PEFT (`merge_and_unload`), and name the result as a `local` source"
NAMED = 3


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """adapter_config.json. Raises StageError for what is no LoRA, or one that would be merged wrongly."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"the adapter holds no {CONFIG}"
        raise StageError(what, "name a folder or repository that PEFT has saved") from None
    except ValueError as error:
        raise StageError(f"{CONFIG} is not JSON: {error}", "fetch the adapter again") from error
    if (kind := config.get("peft_type")) != "LORA":
        raise StageError(f"the adapter is of the type {kind}, and only LoRA is merged here", MERGE_YOURSELF)
    problems = [what for key, what in REFUSED.items() if config.get(key)]
    if config.get("bias", "none") != "none":
        problems.append("it trains biases")
    if problems:
        raise StageError(f"the adapter cannot be merged here: {'; '.join(problems)}", MERGE_YOURSELF)
    if not (folder / WEIGHTS).is_file():
        raise StageError(f"the adapter holds no {WEIGHTS}", "save it with PEFT as safetensors")
    return config


def merge_adapter(model: Path, adapter: Path) -> int:
    """Adds an adapter to the weights in `model`, tensor by tensor, each in the type it is kept in.

    Returns how many it changed. Raises StageError unless every part of it has its place there.
    """
    config = read_adapter_config(adapter)
    reader = ShardReader(adapter)
    thin = reader.shapes()
    layers: dict[str, dict[str, str]] = {}
    strange = []
    for name in thin:
        if match := PART.fullmatch(name):
            layers.setdefault(f"{match[1]}.weight", {})[match[2]] = name
        else:
            strange.append(name)
    shapes = ShardReader(model).shapes()
    # Each layer's low rank, from which B A has the weight's shape.
    fit = {
        target: len(parts) == 2
        and shapes.get(target) == (thin[parts["B"]][0], thin[parts["A"]][1])
        and thin[parts["B"]][1] == thin[parts["A"]][0]
        for target, parts in layers.items()
    }
    strange += [target for target, fits in fit.items() if not fits]
    if strange or not layers:
        named = ", ".join(sorted(strange)[:NAMED]) or "it holds no layer"
        more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        raise StageError(
            f"the adapter does not fit the base model: {named}{more}",
            f"it was trained on {config.get('base_model_name_or_path') or 'another model'}: take that as the base",
        )

    def merged(name: str, weight: torch.Tensor) -> torch.Tensor:
        if name not in layers:
            return weight
        a, b = (reader.load(layers[name][part]).float() for part in "AB")
        rank = a.shape[0]
        # rsLoRA: Kalajdzievski, arXiv:2312.03732.
        scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
        return weight.float().addmm_(b, a, alpha=scale).to(weight.dtype)

    rewrite(model, merged)
    return len(layers)
