"""Loading and saving model folders in Hugging Face format."""

import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from pipress.errors import StageError
from pipress.texts.rows import ENDS_OF_TEXT, Encoder
from pipress.tokenization import RECORD
from pipress.weights.files import AGAIN, check_weights, read_config
from pipress.weights.layouts import find_layout
from pipress.weights.license import carry_license
from pipress.weights.llama import CLASSES

logging.disable_progress_bar()

# What belongs to a model beside its weights and its config.json: every tokenizer there is, whole, because each of them
# keeps something that none of the others says (the scores of tokenizer.model, for one).
BESIDE = (
    "tokenizer*.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "additional_chat_templates/*",
    "generation_config.json",
    RECORD,
)


def load_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The model in `folder`, on the processor, in `dtype`; of layouts not known here, as Transformers has it."""
    layout = find_layout(read_config(folder))
    check_weights(folder)
    kind = CLASSES[layout].model if layout else AutoModelForCausalLM
    try:
        model, info = kind.from_pretrained(folder, dtype=dtype, local_files_only=True, output_loading_info=True)
    except (ValueError, RuntimeError) as error:
        raise StageError(f"the weights do not fit config.json: {str(error).splitlines()[0]}", AGAIN) from error
    if missing := sorted(info["missing_keys"]):
        raise StageError(f"the weights do not fit config.json: {', '.join(missing[:3])} missing", AGAIN)
    return model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a model folder."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises nothing narrower
        raise StageError(f"the model has no tokenizer that loads: {error}", "fetch the model again") from error


def load_encoder(folder: Path) -> Encoder:
    """The tokenizer in a model folder, for rows of token ids."""
    tokenizer = load_tokenizer(folder)
    known = tokenizer.get_vocab()
    end = next((known[name] for name in ENDS_OF_TEXT if name in known), None)

    def encode(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False).input_ids if texts else []

    return Encoder(encode, tokenizer.bos_token_id if begins_texts(tokenizer) else None, end)


def begins_texts(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer begins every text with its `bos_token`; models without such a token name any other one."""
    return tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]


def stored_dtype(folder: Path) -> torch.dtype:
    """Type that the weights in `folder` are kept in."""
    config = read_config(folder)
    return getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")


def save_model(model: PreTrainedModel, tokenizer_from: Path, out: Path) -> int:
    """Saves a model beside the tokenizer of the folder it came from, then loads it again. Returns its parameters."""
    model.save_pretrained(out)
    save_beside(tokenizer_from, out)
    return check_loads(out)


def save_beside(source: Path, out: Path) -> None:
    """Copies what belongs to the model in `source` beside weights and config.json, byte by byte.

    Loading a tokenizer and saving it again would leave out what Transformers does not need.
    """
    for pattern in BESIDE:
        for file in source.glob(pattern):
            target = out / file.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
    carry_license(source, out)


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
