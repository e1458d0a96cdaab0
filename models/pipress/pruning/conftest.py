"""A small Llama with random weights, as its folder, as a stream and as Transformers computes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.pruning.shape import Shape, shape_of
from pipress.weights.streamed import StreamedLlama


class Small(NamedTuple):
    folder: Path
    stream: StreamedLlama
    whole: LlamaForCausalLM

    @property
    def shape(self) -> Shape:
        return shape_of(self.stream.config.to_dict())


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Small]:
    """Builds one of 4 layers; `settings` are those of its config."""

    def build(seed: int = 0, **settings: Any) -> Small:
        torch.manual_seed(seed)
        sizes = {"num_hidden_layers": 4, "hidden_size": 24, "intermediate_size": 64, "vocab_size": 50}
        heads = {"num_attention_heads": 6, "num_key_value_heads": 3}
        settings = {**sizes, **heads, "initializer_range": 0.2, **settings}
        whole = LlamaForCausalLM(LlamaConfig(**settings)).eval()
        with torch.no_grad():
            for name, parameter in whole.named_parameters():
                if name.endswith("bias"):
                    parameter.normal_(0, 0.3)
        whole.save_pretrained(tmp_path)
        return Small(tmp_path, StreamedLlama(tmp_path, torch.device("cpu")), whole)

    return build
