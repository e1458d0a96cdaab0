"""A model's shape from its config.json, and which shapes llama.cpp loads. No weights, no torch.

llama.cpp's architectures `llama` and `qwen3` take layer 0's head counts and FFN size for every layer
(src/models/llama.cpp); its `deci` reads an FFN size of every layer, and computes what `llama` does
(src/models/deci.cpp). So a shape has one number of heads and whole blocks, and either one FFN width or one of every
layer. What `qwen2` does not load of a pruned Qwen2 those two do: see `conversion.py`.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from pipress.errors import StageError
from pipress.weights.files import AGAIN, WIDTHS
from pipress.weights.layouts import LLAMA, Layout, layout_of

# Rows of a multiple of 256 take k-quants; 32 is the block of every other type of llama.cpp.
K_QUANT_ROW = 256
BLOCK_ROW = 32
# Fewer blocks than this are no transformer any more: the first reads tokens, the last writes them.
FEWEST_LAYERS = 2
# Of many tensors that are wrong, so many are named.
NAMED = 3


@dataclass(frozen=True)
class Shape:
    """The sizes that pruning may change, and those that parameters are counted by.

    ffn_widths: the FFN width of every layer where they differ, `ffn` being their mean; else empty. attention_bias: q,
    k, v and o of a Llama have biases.
    """

    layers: int
    ffn: int
    heads: int
    kv_heads: int
    hidden: int
    head_dim: int
    vocabulary: int
    tied: bool
    attention_bias: bool = False
    mlp_bias: bool = False
    ffn_widths: tuple[int, ...] = ()
    layout: Layout = LLAMA

    @property
    def qkv_bias(self) -> bool:
        """Whether q, k and v have biases."""
        return self.attention_bias or self.layout.qkv_bias

    @property
    def widths(self) -> tuple[int, ...]:
        """FFN width of every layer."""
        return self.ffn_widths or (self.ffn,) * self.layers

    @property
    def group(self) -> int:
        """Query heads that share one key-value head."""
        return self.heads // self.kv_heads

    @property
    def channel_parameters(self) -> int:
        """Parameters of one FFN channel of one layer: a row of gate, a row of up, a column of down."""
        return 3 * self.hidden + 2 * self.mlp_bias

    @property
    def kv_group_parameters(self) -> int:
        """Parameters of one key-value head of one layer with its query heads: rows of q, k, v, columns of o."""
        width = self.head_dim * (self.group + 2)
        return width * self.hidden + self.head_dim * self.group * self.hidden + self.qkv_bias * width

    @property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer, its norms included: of the mean layer, where FFN widths differ."""
        biases = self.hidden * (self.attention_bias + self.mlp_bias)
        norms = 2 * self.hidden + 2 * self.head_dim * self.layout.qk_norm
        return self.ffn * self.channel_parameters + self.kv_heads * self.kv_group_parameters + norms + biases

    @property
    def parameters(self) -> int:
        """All parameters; tied embeddings count once."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + self.layers * self.layer_parameters + self.hidden

    def smaller(self, **sizes: Any) -> "Shape":
        """The same with other sizes; `kv_heads` takes its query heads along."""
        if "kv_heads" in sizes:
            sizes["heads"] = sizes["kv_heads"] * self.group
        return replace(self, **sizes)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that a checkpoint of this shape holds, by Transformers' name."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for layer, ffn in enumerate(self.widths):
            linears = {
                "self_attn.q_proj": (q, self.hidden),
                "self_attn.k_proj": (kv, self.hidden),
                "self_attn.v_proj": (kv, self.hidden),
                "self_attn.o_proj": (self.hidden, q),
                "mlp.gate_proj": (ffn, self.hidden),
                "mlp.up_proj": (ffn, self.hidden),
                "mlp.down_proj": (self.hidden, ffn),
            }
            for name, size in linears.items():
                named[f"model.layers.{layer}.{name}.weight"] = size
                if self._has_bias(name):
                    named[f"model.layers.{layer}.{name}.bias"] = size[:1]
            for norm in ("self_attn.q_norm", "self_attn.k_norm") if self.layout.qk_norm else ():
                named[f"model.layers.{layer}.{norm}.weight"] = (self.head_dim,)
            for norm in ("input_layernorm", "post_attention_layernorm"):
                named[f"model.layers.{layer}.{norm}.weight"] = (self.hidden,)
        named["model.norm.weight"] = (self.hidden,)
        if not self.tied:
            named["lm_head.weight"] = (self.vocabulary, self.hidden)
        return named

    def _has_bias(self, linear: str) -> bool:
        if linear.startswith("mlp"):
            return self.mlp_bias
        return self.attention_bias if linear == "self_attn.o_proj" else self.qkv_bias


def shape_of(config: dict[str, Any]) -> Shape:
    """The shape that a config.json says. Raises StageError where it does not say it, or of another layout."""
    layout = layout_of(config)
    # Of the others what these say has no effect, or is refused at `fetch`.
    says_bias = layout == LLAMA
    try:
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        return Shape(
            layers=config["num_hidden_layers"],
            ffn=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            hidden=hidden,
            head_dim=config.get("head_dim") or hidden // heads,
            vocabulary=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", False)),
            attention_bias=says_bias and bool(config.get("attention_bias", False)),
            mlp_bias=says_bias and bool(config.get("mlp_bias", False)),
            ffn_widths=tuple(config.get(WIDTHS) or ()),
            layout=layout,
        )
    except KeyError as missing:
        raise StageError(f"config.json says nothing of {missing}", "fetch the model again") from None


def problems_of(shape: Shape) -> list[str]:
    """Why llama.cpp or Transformers would not load this shape; empty where they do."""
    problems = []
    if shape.layers < FEWEST_LAYERS:
        problems.append(f"{shape.layers} blocks are left: at least {FEWEST_LAYERS} are needed")
    odd = sorted({width for width in shape.widths if width < BLOCK_ROW or width % BLOCK_ROW})
    if odd:
        named = ", ".join(map(str, odd))
        problems.append(f"the FFN width {named} is no multiple of {BLOCK_ROW}, the block of llama.cpp's types")
    if shape.ffn_widths and (len(shape.ffn_widths), sum(shape.ffn_widths)) != (shape.layers, shape.layers * shape.ffn):
        problems.append(f"the FFN widths of {shape.layers} layers do not come to {shape.ffn} in the mean")
    if shape.kv_heads < 1:
        problems.append("no key-value head is left")
    elif shape.heads % shape.kv_heads:
        problems.append(f"{shape.heads} heads cannot share {shape.kv_heads} key-value heads evenly")
    if shape.layout == LLAMA and shape.heads and shape.hidden % shape.heads:
        problems.append(
            f"the hidden size {shape.hidden} is no multiple of {shape.heads} heads: Transformers refuses such a config"
        )
    return problems


def check_shape(shape: Shape) -> Shape:
    """The shape itself. Raises StageError with every reason why it would not load."""
    if problems := problems_of(shape):
        sizes = {name: value for name, value in asdict(shape).items() if name in ("layers", "ffn", "heads", "kv_heads")}
        where = ", ".join(f"{name} {value}" for name, value in sizes.items())
        raise StageError(
            f"the pruned model ({where}) would not load: {'; '.join(problems)}",
            "choose another pruningRatio or another method",
        )
    return shape


def check_tensors(sizes: dict[str, tuple[int, ...]], shape: Shape) -> None:
    """Raises StageError where a checkpoint lacks a tensor of this shape, or has one of another size."""
    wanted = shape.tensors()
    problems = [f"{name} is missing" for name in wanted if name not in sizes]
    problems += [
        f"{name} is {_times(sizes[name])}, not {_times(size)}"
        for name, size in wanted.items()
        if name in sizes and sizes[name] != size
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise StageError(f"the weights do not fit config.json: {'; '.join(problems[:NAMED])}{more}", AGAIN)


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
