"""Architectures whose layers are a Llama's but for biases and norms: those that can be pruned, recovered and scaled.

Everything else that llama.cpp's converter knows is converted, quantized and measured as it comes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipress.errors import StageError


@dataclass(frozen=True)
class Layout:
    """What an architecture has that a Llama has not.

    qkv_bias: q, k and v have biases, o has none. qk_norm: queries and keys are normed, each head by itself, with
    weights that all heads of a layer share.
    """

    architecture: str
    model_type: str
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def is_llama(self) -> bool:
        """Whether llama.cpp's `llama` and `deci` compute it: they know biases, and no norms of heads."""
        return not self.qk_norm


LLAMA = Layout("LlamaForCausalLM", "llama")
QWEN2 = Layout("Qwen2ForCausalLM", "qwen2", qkv_bias=True)
QWEN3 = Layout("Qwen3ForCausalLM", "qwen3", qk_norm=True)
LAYOUTS = (LLAMA, QWEN2, QWEN3)
# A Mistral is a Llama once its config.json has been read: see `files.py`.
NAMES = "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM"

# Parts of a recipe that look into the layers, by their path there.
INSIDE = ("steps.prune", "steps.recover", "steps.awq")
PER_LAYER = "steps.prune.ffnWidths"


def architecture_of(config: dict[str, Any]) -> str:
    """As llama.cpp's converter reads it: of a model with several parts, the one that writes text."""
    text = config.get("text_config") or {}
    named = text.get("architectures") or config.get("architectures") or [config.get("model_type", "unknown")]
    return str(named[0])


def text_config_of(config: dict[str, Any]) -> dict[str, Any]:
    """The part of config.json that describes the text model: all of it, but for models with several parts."""
    return {**config, **(config.get("text_config") or {})}


def find_layout(config: dict[str, Any]) -> Layout | None:
    """The layout that a config.json describes; None where its layers are not a Llama's."""
    architecture, model_type = architecture_of(config), config.get("model_type")
    return next((each for each in LAYOUTS if (each.architecture, each.model_type) == (architecture, model_type)), None)


def layout_of(config: dict[str, Any], needed_for: Iterable[str] = ()) -> Layout:
    """The same. Raises StageError where there is none; `needed_for` are the recipe's paths that need it."""
    layout = find_layout(config)
    if layout is None:
        paths = [path for path in needed_for if path in INSIDE]
        wanting = f"{', '.join(paths)}: " if paths else ""
        raise StageError(
            f"{wanting}the model is of the architecture {architecture_of(config)}, whose layers are not a Llama's",
            f"leave {' and '.join(paths) or 'prune, recover and awq'} out of the recipe, or take a {NAMES}",
        )
    return layout


def check_needs(config: dict[str, Any], needed_for: Iterable[str]) -> None:
    """Raises StageError where a part of the recipe, named by its path, cannot work on a model of this config."""
    paths = set(needed_for)
    if paths.isdisjoint((*INSIDE, PER_LAYER)):
        return
    layout = layout_of(config, sorted(paths))
    if PER_LAYER in paths and not layout.is_llama:
        raise StageError(
            f"{PER_LAYER}: llama.cpp's {layout.model_type} takes one FFN width for all layers",
            "leave ffnWidths out of the recipe",
        )
