"""Transformers' Llama and what is laid out like it, with an FFN width of every layer where config.json says one."""

import copy
from dataclasses import dataclass
from typing import Any

import transformers
from torch import nn
from transformers import PretrainedConfig
from transformers.models.llama import modeling_llama as llama
from transformers.models.qwen2 import modeling_qwen2 as qwen2
from transformers.models.qwen3 import modeling_qwen3 as qwen3

from pipress.weights.files import WIDTHS
from pipress.weights.layouts import LLAMA, QWEN2, QWEN3, Layout


def config_of_layer(config: PretrainedConfig, index: int) -> PretrainedConfig:
    """The config that layer `index` is built by."""
    widths = getattr(config, WIDTHS, None)
    if not widths:
        return config
    own = copy.copy(config)
    own.intermediate_size = widths[index]
    return own


class WithWidths:
    """Makes each layer's FFN as wide as config.json says of it."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        if getattr(config, WIDTHS, None):
            for index, layer in enumerate(self.model.layers):  # type: ignore[attr-defined]
                layer.mlp = type(layer.mlp)(config_of_layer(config, index))


# By the names of their base classes, because Transformers writes those into config.json.
class LlamaForCausalLM(WithWidths, transformers.LlamaForCausalLM):
    """See `WithWidths`."""


class Qwen2ForCausalLM(WithWidths, transformers.Qwen2ForCausalLM):
    """See `WithWidths`."""


@dataclass(frozen=True)
class Classes:
    """What a model of a layout is built of."""

    model: type[transformers.PreTrainedModel]
    layer: type[nn.Module]
    norm: type[nn.Module]
    rotary: type[nn.Module]


CLASSES: dict[Layout, Classes] = {
    LLAMA: Classes(LlamaForCausalLM, llama.LlamaDecoderLayer, llama.LlamaRMSNorm, llama.LlamaRotaryEmbedding),
    QWEN2: Classes(Qwen2ForCausalLM, qwen2.Qwen2DecoderLayer, qwen2.Qwen2RMSNorm, qwen2.Qwen2RotaryEmbedding),
    QWEN3: Classes(
        transformers.Qwen3ForCausalLM, qwen3.Qwen3DecoderLayer, qwen3.Qwen3RMSNorm, qwen3.Qwen3RotaryEmbedding
    ),
}

# A decoder layer of any of them, its attention and its FFN: the parts have the same names, and do the same.
# Transformers has no class that they share.
DecoderLayer = Any
Attention = Any
FeedForward = Any
