"""A Llama, or what is laid out like one, that is never in memory as a whole: one layer at a time, from the shards.

What is kept between layers are hidden states, (n_sequences, length, hidden). The layers are Transformers' own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig

from pipress.weights.layouts import layout_of
from pipress.weights.llama import CLASSES, DecoderLayer, config_of_layer
from pipress.weights.shards import ShardReader

# Tokens whose intermediate values are in memory at a time.
BATCH_TOKENS = 2048


class StreamedLlama:
    """Embeddings, layers and output of the model in `folder`, each loaded when asked for, in float32 on `device`."""

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        self.config = AutoConfig.from_pretrained(folder, local_files_only=True)
        self._classes = CLASSES[layout_of(self.config.to_dict())]
        self.config._attn_implementation = "sdpa"
        self.shards = ShardReader(folder)
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.rotary = self._classes.rotary(self.config).to(self.device)

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor in float32 on the device."""
        return self.shards.load(name).to(self.device, torch.float32)

    @torch.no_grad()
    def embed(self, sequences: torch.Tensor) -> torch.Tensor:
        """Hidden states before the first layer: (n, length) token ids -> (n, length, hidden)."""
        table = self.shards.load("model.embed_tokens.weight")
        return table[sequences].to(self.device, torch.float32)

    def layer(self, index: int) -> DecoderLayer:
        """One decoder layer with its weights."""
        with torch.device("meta"):
            layer = self._classes.layer(config_of_layer(self.config, index), index).requires_grad_(False)
        prefix = f"model.layers.{index}."
        layer.load_state_dict({name: self.tensor(prefix + name) for name in layer.state_dict()}, assign=True)
        return layer.eval()

    @torch.no_grad()
    def last_states(self, sequences: torch.Tensor) -> torch.Tensor:
        """Hidden states after the last layer: (n, length) token ids -> (n, length, hidden)."""
        hidden = self.embed(sequences)
        for index in range(self.config.num_hidden_layers):
            hidden = self.forward(self.layer(index), hidden)
        return hidden

    def positions(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotary cosine and sine for sequences of this length."""
        return self.rotary(hidden, torch.arange(hidden.shape[1], device=self.device)[None])

    def attention(self, layer: DecoderLayer, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's attention adds to the residual stream: (n, length, hidden), causal."""
        return layer.self_attn(layer.input_layernorm(hidden), self.positions(hidden), None)[0]

    def feed_forward(self, layer: DecoderLayer, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's FFN adds to the residual stream."""
        return layer.mlp(layer.post_attention_layernorm(hidden))

    def heads(self, layer: DecoderLayer, hidden: torch.Tensor) -> torch.Tensor:
        """What goes into the attention's output projection: (n, length, n_heads * head_dim)."""
        seen: list[torch.Tensor] = []
        hook = layer.self_attn.o_proj.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        try:
            self.attention(layer, hidden)
        finally:
            hook.remove()
        return seen[0]

    def channels(self, layer: DecoderLayer, hidden: torch.Tensor) -> torch.Tensor:
        """What goes into the FFN's down projection: (n, length, d_ff)."""
        x = layer.post_attention_layernorm(hidden)
        return layer.mlp.act_fn(layer.mlp.gate_proj(x)) * layer.mlp.up_proj(x)

    @torch.no_grad()
    def forward(self, layer: DecoderLayer, hidden: torch.Tensor) -> torch.Tensor:
        """The hidden states after a layer, batch by batch."""
        return torch.cat([layer(part, position_embeddings=self.positions(part)) for part in batches(hidden)])

    @torch.no_grad()
    def losses(self, hidden: torch.Tensor, sequences: torch.Tensor) -> torch.Tensor:
        """Cross entropy of every next token, in nats: (n, length - 1)."""
        logits_of = self._output()
        rows = []
        for states, ids in zip(hidden, sequences.to(self.device), strict=True):
            rows.append(torch.nn.functional.cross_entropy(logits_of(states[:-1]), ids[1:], reduction="none"))
        return torch.stack(rows)

    @torch.no_grad()
    def divergences(self, hidden: torch.Tensor, others: list[torch.Tensor]) -> torch.Tensor:
        """KL divergence of what each of `others` predicts from what `hidden` does, in nats: (len(others)).

        All are hidden states after the last layer, (n, length, hidden); the mean over tokens is taken.
        """
        logits_of = self._output()
        sums = torch.zeros(len(others), dtype=torch.float64)
        for row, states in enumerate(hidden):
            wanted = logits_of(states).log_softmax(dim=-1)
            for index, other in enumerate(others):
                found = logits_of(other[row]).log_softmax(dim=-1)
                sums[index] += (wanted.exp() * (wanted - found)).sum(dim=-1).mean().double().cpu()
        return sums / len(hidden)

    def _output(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Hidden states after the last layer, (..., hidden), to logits."""
        norm = self._classes.norm(self.config.hidden_size, self.config.rms_norm_eps)
        norm.weight = nn.Parameter(self.shards.load("model.norm.weight").float(), requires_grad=False)
        norm = norm.to(self.device)
        name = "lm_head.weight" if "lm_head.weight" in self.shards else "model.embed_tokens.weight"
        head = self.tensor(name)
        return lambda states: norm(states) @ head.T


def batches(hidden: torch.Tensor) -> Iterator[torch.Tensor]:
    """`hidden` in parts of whole sequences, about BATCH_TOKENS each."""
    yield from hidden.split(max(1, BATCH_TOKENS // hidden.shape[1]))


Report = Callable[[float], None]
