"""What a base model must be like for every stage after `fetch`, and for llama.cpp: found out before hours are spent.

Transformers and the converter each leave out what they do not know, without a word and not the same things. So
whatever would be left out is refused here, by name.
"""

import json
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from pipress.errors import StageError
from pipress.pruning.shape import check_tensors, shape_of
from pipress.weights.files import read_config, rope_of
from pipress.weights.folder import load_tokenizer
from pipress.weights.layouts import QWEN3, architecture_of, check_needs, find_layout, text_config_of
from pipress.weights.shards import INDEX, ShardReader, rewrite

SINGLE = "model.safetensors"
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
# Follows from the config: older checkpoints carry it all the same.
COMPUTED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")
# RoPE scaling that the converter writes into a GGUF and llama.cpp computes.
ROPE_TYPES = ("default", "linear", "llama3", "yarn")
LOCAL_COPY = "mend it in a copy of the model and name that as a `local` source"
NAMED = 3
# Path in the recipe of the conversations that the base model makes.
CHATS = "chats"


def check_architecture(config: dict[str, Any], known: Collection[str], needed_for: Collection[str]) -> None:
    """Raises StageError for an architecture that the converter, or a part of the recipe, cannot work on.

    known: those that the converter knows. needed_for: paths of the recipe, see `Spec`.
    """
    architecture = architecture_of(config)
    if architecture not in known:
        near = get_close_matches(architecture, known, 1)
        raise StageError(
            f"llama.cpp's converter knows no architecture {architecture}, which config.json names",
            (f"did you mean {near[0]}? " if near else "")
            + f"choose a model of one of the {len(known)} that it knows, or a GGUF of it (pipress:model)",
        )
    check_needs(config, needed_for)
    if CHATS in needed_for and config.get("model_type") not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise StageError(
            f"{CHATS}: Transformers knows no model of the type {config.get('model_type')} that would answer questions",
            "set `chats: { share: 0 }` in the recipe",
        )


def check_config(config: dict[str, Any]) -> None:
    """Raises StageError, with every reason, for what config.json asks for and llama.cpp does not compute.

    Of layouts that are not known here llama.cpp's converter is left to judge.
    """
    problems = []
    layout = find_layout(config)
    if layout is None:
        if config.get("quantization_config"):
            raise StageError("the model's weights are quantized already", "choose the original model")
        return
    if layout == QWEN3 and config.get("attention_bias"):
        problems.append("its attention has biases, and llama.cpp's qwen3 has no place for all of them")
    if (activation := config.get("hidden_act", "silu")) != "silu":
        problems.append(f"its activation is {activation}, where llama.cpp computes silu")
    if quantization := config.get("quantization_config"):
        problems.append(f"its weights are quantized already ({quantization.get('quant_method', 'method unknown')})")
    rope = rope_of(config)
    if rope["rope_type"] not in ROPE_TYPES:
        problems.append(f"its RoPE scaling is {rope['rope_type']}, where llama.cpp knows {', '.join(ROPE_TYPES[1:])}")
    if (share := rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))) != 1.0:
        problems.append(f"it rotates only {share:.0%} of every head, where llama.cpp rotates all of it")
    if problems:
        raise StageError(
            f"llama.cpp would not compute what the model does: {'; '.join(problems)}", "choose another one"
        )


def check_tokenizer(folder: Path) -> None:
    """Raises StageError where the tokenizer knows tokens that the embedding has no row for."""
    rows = text_config_of(read_config(folder)).get("vocab_size")
    if rows is None:
        return  # by another name: the converter knows it
    vocabulary = load_tokenizer(folder).get_vocab()
    beyond = sorted((index, token) for token, index in vocabulary.items() if index >= rows)
    if beyond:
        named = ", ".join(f"{index} {token!r}" for index, token in beyond[:NAMED])
        more = f" and {len(beyond) - NAMED} more" if len(beyond) > NAMED else ""
        raise StageError(
            f"the tokenizer knows tokens that the embedding of {rows} rows has none for: {named}{more}",
            f"take a model whose embedding was resized with its tokenizer; or, where nothing uses them, {LOCAL_COPY}",
        )


def weight_files(folder: Path) -> list[str]:
    """Names of model.safetensors, or of the index and the shards that it lists; other weights are not the model's.

    Raises StageError where it is not clear which those are, or not all of them are there.
    """
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file() and index.is_file():
        raise StageError(f"the model holds both {SINGLE} and {INDEX}", f"which one counts is not said: {LOCAL_COPY}")
    if single.is_file():
        return [SINGLE]
    if not index.is_file():
        others = sorted(file.name for file in folder.glob("*.safetensors")) or ["no *.safetensors"]
        raise StageError(
            f"the model holds {', '.join(others[:NAMED])}, neither {SINGLE} nor shards and their {INDEX}",
            "only whole weights in safetensors are loaded, in the layout of Transformers",
        )
    shards = sorted({*_weight_map(index).values()})
    if missing := [name for name in shards if not (folder / name).is_file()]:
        raise StageError(
            f"{len(missing)} of the model's {len(shards)} shards are missing: {', '.join(missing[:NAMED])}",
            f"add the files that {INDEX} lists",
        )
    return [INDEX, *shards]


def _weight_map(index: Path) -> dict[str, str]:
    try:
        document = json.loads(index.read_text(encoding="utf-8"))
        document["metadata"]  # nothing here needs it, but Transformers does
        return document["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{index.name} says nothing of shards: {error!r}", "fetch it again") from error


def check_weights_fit(folder: Path) -> None:
    """Raises StageError unless the tensors are those that config.json speaks of, no fewer and no more."""
    reader = ShardReader(folder)
    if (folder / INDEX).is_file() and {*_weight_map(folder / INDEX)} != {*reader.shapes()}:
        raise StageError(f"the shards do not hold the tensors that {INDEX} lists", "fetch the model again")
    config = read_config(folder)
    if find_layout(config) is None:
        return
    shape = shape_of(config)
    check_tensors(reader.shapes(), shape)
    more = sorted(name for name in reader.shapes() if name not in shape.tensors() and not COMPUTED.fullmatch(name))
    if more:
        rest = f" and {len(more) - NAMED} more" if len(more) > NAMED else ""
        raise StageError(
            f"the weights hold tensors that config.json does not speak of: {', '.join(more[:NAMED])}{rest}",
            "they would be left out of the result: choose a model whose config.json is whole",
        )


def settle_output_layer(folder: Path) -> None:
    """Decides what counts where config.json ties the output layer to the embedding, and the weights hold one as well.

    The same values are dropped. Other values are refused: Transformers would leave them out, llama.cpp's converter
    would take them, and which of the two the model was trained with nothing says.
    """
    reader, config = ShardReader(folder), read_config(folder)
    if find_layout(config) is None:
        return  # the converter decides
    if not config.get("tie_word_embeddings", False) or HEAD not in reader or EMBEDDING not in reader:
        return
    if not torch.equal(reader.load(HEAD), reader.load(EMBEDDING)):
        raise StageError(
            f"config.json ties the output layer to the embedding (tie_word_embeddings), but {HEAD} has other values",
            "which one the model was trained with is not said: in a copy of the model, named as a `local` source, set "
            f"tie_word_embeddings to false, and {HEAD} counts, or remove that tensor, and the embedding does",
        )
    print(f"{HEAD} is the embedding once more: dropped", flush=True)
    rewrite(folder, lambda name, tensor: None if name == HEAD else tensor)


def check_answers_end(folder: Path, ends: list[int]) -> None:
    """Raises StageError where the model ends its answers with a token that llama.cpp does not take for an end."""
    path = folder / "generation_config.json"
    said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = said.get("eos_token_id", read_config(folder).get("eos_token_id"))
    wanted = wanted if isinstance(wanted, list) else [] if wanted is None else [wanted]
    if missing := [index for index in wanted if index not in ends]:
        tokens = load_tokenizer(folder).convert_ids_to_tokens(missing)
        raise StageError(
            f"the model ends its answers with {', '.join(map(repr, tokens))}, which llama.cpp takes for no end, "
            "so that an answer would run on to its limit",
            f"make it the tokenizer's eos_token: {LOCAL_COPY}",
        )
