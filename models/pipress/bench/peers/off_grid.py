"""The same function with weights on no quantizer's grid, and with rows of whole blocks of 256: an equal twin.

SmolLM2-135M's weights come from a Q4_1 file: 4-bit types find its levels again, and what they lose on it says nothing
of other models. And its rows of 576 take no K-quants. Here every input channel of every matrix of the blocks is scaled
by a random factor, which the norm or matrix before it undoes, and hidden size and heads are padded with zeros: the twin
computes the same logits. It is no peer, but runs as one does.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pipress.atomic import write_json
from pipress.errors import StageError
from pipress.spec import Metrics, Spec
from pipress.weights.files import read_config
from pipress.weights.folder import check_loads, load_model, save_beside

TOOLS = ("safetensors", "torch", "transformers")

BLOCK = 256
# Standard deviation of the factors' logarithms: neighbours in a block of 32 come to lie a step of 4 bits apart.
SPREAD = 0.2
# Logits in float16 weights of another scale; those of SmolLM2 go up to 36.
TOLERANCE = 0.2


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves the twin of the model in `model` as a model folder, compared with it on tokens drawn at random."""
    source = inputs["model"]
    config, weights = read_config(source), load_file(source / "model.safetensors")
    if not config.get("tie_word_embeddings") or config.get("attention_bias") or config.get("mlp_bias"):
        raise StageError("only models of tied embeddings and without biases get a twin", "take SmolLM2-135M")
    generator = torch.Generator().manual_seed(spec.params["seed"])
    twin, changed = twin_of({name: weight.float() for name, weight in weights.items()}, config, generator)
    save_file({name: weight.half() for name, weight in twin.items()}, out / "model.safetensors", {"format": "pt"})
    write_json(out / "config.json", {**config, **changed, "dtype": "float16"})
    save_beside(source, out)
    return {"parameters": check_loads(out), "largestLogitDifference": round(_compare(source, out, generator), 4)}


def twin_of(
    weights: dict[str, torch.Tensor], config: dict[str, Any], generator: torch.Generator
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The twin's weights, and the lines of its config that differ.

    Its root mean square is over more channels, the new ones zero: norms shrink by the root of the sizes' ratio, and so
    does the square of epsilon. Whole key-value groups of heads are added, whose values are zero.
    """
    hidden, heads, heads_kv = (config[key] for key in ("hidden_size", "num_attention_heads", "num_key_value_heads"))
    dim, group = config.get("head_dim") or hidden // heads, heads // heads_kv
    wide = -(-hidden // BLOCK) * BLOCK
    groups = -(-wide // (dim * group))
    sizes = {hidden: wide, heads * dim: groups * group * dim, heads_kv * dim: groups * dim}
    shrink = (hidden / wide) ** 0.5

    def factors(size: int) -> torch.Tensor:
        return torch.exp(SPREAD * torch.randn(size, generator=generator))

    def padded(weight: torch.Tensor) -> torch.Tensor:
        larger = torch.zeros([sizes.get(size, size) for size in weight.shape])
        larger[tuple(slice(size) for size in weight.shape)] = weight
        return larger

    scaled = dict(weights)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."

        def scale(part: str, factor: torch.Tensor, name: str = name) -> None:
            scaled[f"{name}{part}.weight"] = scaled[f"{name}{part}.weight"] * factor

        for norm, readers in (
            ("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
            ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
        ):
            factor = factors(hidden)
            scale(norm, factor)
            for reader in readers:
                scale(reader, 1 / factor)
        factor = factors(heads_kv * dim)
        scale("self_attn.v_proj", factor[:, None])
        # Each value head is read by every head of its group.
        scale("self_attn.o_proj", 1 / factor.view(heads_kv, 1, dim).expand(-1, group, -1).reshape(-1))
        factor = factors(config["intermediate_size"])
        scale("mlp.up_proj", factor[:, None])
        scale("mlp.down_proj", 1 / factor)
    twin = {name: padded(weight * shrink if weight.dim() == 1 else weight) for name, weight in scaled.items()}
    return twin, {
        "hidden_size": wide,
        "head_dim": dim,
        "num_attention_heads": groups * group,
        "num_key_value_heads": groups,
        "rms_norm_eps": config["rms_norm_eps"] * hidden / wide,
    }


@torch.no_grad()
def _compare(one: Path, other: Path, generator: torch.Generator) -> float:
    models = [load_model(folder, torch.float32) for folder in (one, other)]
    ids = torch.randint(0, models[0].config.vocab_size, (2, 64), generator=generator)
    first, second = (model(ids, use_cache=False).logits for model in models)
    difference = float((first - second).abs().max())
    if difference > TOLERANCE:
        raise StageError(f"the twin's logits are {difference:.3g} off", "this is a bug")
    return difference
