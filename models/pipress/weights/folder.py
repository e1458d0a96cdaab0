"""Loading and saving model folders in Hugging Face format."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging

from pipress.errors import StageError
from pipress.weights.files import AGAIN, check_weights, read_config
from pipress.weights.license import carry_license

logging.disable_progress_bar()


def load_model(folder: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    """The model in `folder`, on the processor, in `dtype`."""
    read_config(folder)
    check_weights(folder)
    try:
        model, info = LlamaForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (ValueError, RuntimeError) as error:
        raise StageError(f"the weights do not fit config.json: {str(error).splitlines()[0]}", AGAIN) from error
    if missing := sorted(info["missing_keys"]):
        raise StageError(f"the weights do not fit config.json: {', '.join(missing[:3])} missing", AGAIN)
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
    return getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")


def save_model(model: LlamaForCausalLM, tokenizer_from: Path, out: Path) -> int:
    """Saves a model beside the tokenizer of the folder it came from, then loads it again. Returns its parameters."""
    model.save_pretrained(out)
    save_beside(tokenizer_from, out)
    return check_loads(out)


def save_beside(source: Path, out: Path) -> None:
    """Puts into `out` what belongs to the model in `source` beside weights and config.json."""
    load_tokenizer(source).save_pretrained(out)
    carry_license(source, out)
    generation = source / "generation_config.json"
    if generation.is_file():
        (out / generation.name).write_bytes(generation.read_bytes())


@torch.no_grad()
def check_loads(folder: Path) -> int:
    """Loads a saved model the way the next stage will, and runs a few tokens through it. Returns its parameters."""
    model = load_model(folder, torch.bfloat16)
    ids = torch.tensor([load_tokenizer(folder)("The capital of France is").input_ids])
    if ids.max() >= model.config.vocab_size:
        raise StageError("the tokenizer knows more tokens than the model", "they do not belong together")
    if not torch.isfinite(model(ids).logits).all():
        raise StageError("the model computes values that are not finite", "its weights are damaged")
    return sum(parameter.numel() for parameter in model.parameters())
