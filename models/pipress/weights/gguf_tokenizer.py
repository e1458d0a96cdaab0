"""The tokenizer inside a GGUF file, as transformers has it.

Only byte-level BPE, with the pre-tokenizers (how text is split before merging) that Llama-architecture models use. The
exact one matters: the converter recognises a model by it, and the wrong one would tokenize numbers otherwise than the
model learned.
"""

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pipress.errors import StageError

# Token types of llama.cpp that are never merged from text.
CONTROL, USER_DEFINED = 3, 4

LLAMA_3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


LLAMA_3 = ("llama-bpe", "llama3", "llama-v3")


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    if name in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    if name in LLAMA_3:
        split = pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([split, byte_level])
    raise StageError(
        f"the GGUF's tokenizer splits text by the rule {name!r}, which is not known here",
        "take the model from Hugging Face, where its tokenizer is whole",
    )


def build_tokenizer(metadata: dict[str, Any]) -> PreTrainedTokenizerFast:
    """A tokenizer from a GGUF's metadata. Raises StageError for kinds that are not known."""
    kind = metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise StageError(
            f"the GGUF's tokenizer is of the kind {kind!r}, only byte-level BPE is known here",
            "take the model from Hugging Face, where its tokenizer is whole",
        )
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    pre = metadata.get("tokenizer.ggml.pre", "default")
    tokenizer.pre_tokenizer = _pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    special = [token for token, type_ in zip(tokens, types, strict=False) if type_ in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])

    def named(role: str) -> str | None:
        index = metadata.get(f"tokenizer.ggml.{role}_token_id")
        return None if index is None else tokens[index]

    # Where the file does not say it, llama.cpp goes by the pre-tokenizer.
    if metadata.get("tokenizer.ggml.add_bos_token", pre in LLAMA_3) and (bos := named("bos")) is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, metadata["tokenizer.ggml.bos_token_id"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=named("bos"),
        eos_token=named("eos"),
        unk_token=named("unknown"),
        pad_token=named("padding"),
        chat_template=metadata.get("tokenizer.chat_template"),
    )
