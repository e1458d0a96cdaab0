"""A GGUF file as a model folder in Hugging Face format."""

import struct
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from pipress.errors import StageError
from pipress.weights.folder import ARCHITECTURE

MAGIC = b"GGUF"
# Quantized blocks carry scales in half precision: so this keeps all that a quantized file says, in half of float32.
DTYPE = torch.float16


def is_gguf(path: Path) -> bool:
    """Whether a file says of itself that it is a GGUF."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == MAGIC


def unpack_gguf(path: Path, out: Path) -> None:
    """Dequantizes a GGUF of the Llama architecture into a model folder, tokenizer included."""
    location = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    try:
        model = LlamaForCausalLM.from_pretrained(**location, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(**location)
    except (ValueError, KeyError, IndexError, OSError, struct.error) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise StageError(
            f"{path.name} is not a GGUF of the Llama architecture that can be read: {error}",
            "check that the file is whole, and of a Llama model",
        ) from error
    # transformers takes what it has dequantized for quantized, and would refuse to save it.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.architectures = [ARCHITECTURE]
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise StageError(f"{path.name} holds weights that are not finite", "the file is damaged: fetch it again")
    model.to(DTYPE).save_pretrained(out)
    tokenizer.save_pretrained(out)
