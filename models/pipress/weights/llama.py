"""Transformers' Llama, with an FFN width of every layer where config.json says one."""

import copy

import transformers
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP

from pipress.weights.files import WIDTHS


def config_of_layer(config: LlamaConfig, index: int) -> LlamaConfig:
    """The config that layer `index` is built by."""
    widths = getattr(config, WIDTHS, None)
    if not widths:
        return config
    own = copy.copy(config)
    own.intermediate_size = widths[index]
    return own


class LlamaForCausalLM(transformers.LlamaForCausalLM):
    """By the name of its base class, because Transformers writes that into config.json."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        if getattr(config, WIDTHS, None):
            for index, layer in enumerate(self.model.layers):
                layer.mlp = LlamaMLP(config_of_layer(config, index))
