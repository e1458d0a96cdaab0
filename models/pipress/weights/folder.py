"""Model folders in Hugging Face format (config.json, *.safetensors, tokenizer).

Whatever is wrong with one is found here, with one clear error, before transformers or llama.cpp stumble over it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging

from pipress.errors import StageError

logging.disable_progress_bar()

ARCHITECTURE = "LlamaForCausalLM"


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, refused unless it is a Llama."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(
            f"{folder.name} holds no config.json", "name a model folder in Hugging Face format, or a GGUF"
        ) from None
    except ValueError as error:
        raise StageError(f"config.json is not JSON: {error}", "fetch the model again") from error
    architectures = config.get("architectures") or [config.get("model_type", "unknown")]
    if config.get("model_type") != "llama" or ARCHITECTURE not in architectures:
        raise StageError(
            f"the model is of the architecture {', '.join(architectures)}",
            "only the Llama architecture can be pruned here and loads on the hosts: choose a model of that kind",
        )
    return config


def check_weights(folder: Path) -> int:
    """Reads every tensor once. Returns how many parameters there are.

    Raises StageError for files that are cut off, and for weights that are not finite.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise StageError(f"{folder.name} holds no *.safetensors", "only weights in safetensors are loaded")
    parameters = 0
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - no dict
                    tensor = tensors.get_tensor(name)
                    if not torch.isfinite(tensor).all():
                        raise StageError(
                            f"{name} in {file.name} holds values that are not finite (NaN or infinite)",
                            "the model is damaged: fetch or make it again",
                        )
                    parameters += tensor.numel()
        except SafetensorError as error:
            raise StageError(
                f"{file.name} is cut off or damaged: {error}", "the model is damaged: fetch or make it again"
            ) from error
    return parameters


def load_model(folder: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    """The model in `folder`, on the processor, in `dtype`."""
    read_config(folder)
    check_weights(folder)
    model, info = LlamaForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, output_loading_info=True
    )
    missing = sorted(info["missing_keys"]) + sorted(map(str, info.get("mismatched_keys", ())))
    if missing:
        raise StageError(
            f"the weights do not fit config.json: {', '.join(missing[:3])} missing or of another shape",
            "the model is damaged: fetch or make it again",
        )
    return model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a model folder."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise StageError(f"the model has no tokenizer that loads: {error}", "fetch the model again") from error


def stored_dtype(folder: Path) -> torch.dtype:
    """Type that the weights in `folder` are kept in."""
    config = read_config(folder)
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    return getattr(torch, name)


def save_model(model: LlamaForCausalLM, tokenizer_from: Path, out: Path) -> int:
    """Saves a model beside the tokenizer of the folder it came from, then loads it again. Returns its parameters."""
    model.save_pretrained(out)
    load_tokenizer(tokenizer_from).save_pretrained(out)
    for extra in (*tokenizer_from.glob("LICENSE*"), *tokenizer_from.glob("USE_POLICY*")):
        (out / extra.name).write_bytes(extra.read_bytes())
    return check_loads(out)


@torch.no_grad()
def check_loads(folder: Path) -> int:
    """Loads a saved model the way the next stage will, and runs a few tokens through it. Returns its parameters."""
    model = load_model(folder, torch.float32 if stored_dtype(folder) == torch.float32 else torch.bfloat16)
    ids = torch.tensor([load_tokenizer(folder)("The capital of France is").input_ids])
    if ids.max() >= model.config.vocab_size:
        raise StageError("the tokenizer knows more tokens than the model", "they do not belong together")
    if not torch.isfinite(model(ids).logits).all():
        raise StageError("the model computes values that are not finite", "its weights are damaged")
    return sum(parameter.numel() for parameter in model.parameters())
