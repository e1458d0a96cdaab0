"""Torch-Pruning (Fang et al., "DepGraph", arXiv:2301.12900; PyPI torch-pruning).

`magnitude` is its example for language models (examples/LLMs/prune_llm.py): hidden size, heads and FFN width by group
magnitude. `taylor` is the strongest that it offers for a shape that can be distilled from the unpruned model: FFN width
alone, by first-order Taylor importance, from gradients on the calibration text.
"""

from math import ceil, lcm
from pathlib import Path
from unittest.mock import patch

import torch
import torch_pruning
from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

from pipress.errors import StageError
from pipress.pruning.shape import BLOCK_ROW, shape_of
from pipress.spec import Metrics, Spec
from pipress.weights.calibration import read_calibration
from pipress.weights.files import read_config
from pipress.weights.folder import load_model, save_model, stored_dtype

TOOLS = ("safetensors", "tokenizers", "torch", "torch-pruning", "transformers")

# It is told a share of every dimension; which one removes the wanted share of the parameters is found by trying.
TRIES, NEAR_ENOUGH = 5, 0.02
# The example's own rounding.
ROUND_TO = 4


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves the pruned model as a folder. Raises StageError where what comes out is no Llama."""
    p, source = spec.params, inputs["model"]
    shape = shape_of(read_config(source))
    sequences = read_calibration(inputs["datasets"], source, p)
    wanted, ratio = p["pruningRatio"], p["pruningRatio"]
    # The same for every share that is tried, and what takes the time.
    gradients = gradients_of(load_model(source, torch.float32), sequences) if p["importance"] == "taylor" else {}
    best: tuple[float, LlamaForCausalLM] | None = None
    for attempt in range(TRIES):
        spec.report(0.9 * attempt / TRIES, f"{p['importance']}, {ratio:.1%} of every dimension")
        model = load_model(source, torch.float32)
        # What it traces has to spread key-value heads by operations that it knows.
        model.set_attn_implementation("eager")
        for name, parameter in model.named_parameters():
            parameter.grad = gradients.get(name)
        PRUNERS[p["importance"]](model, ratio, sequences)
        model = as_llama(model)
        removed = 1 - sum(parameter.numel() for parameter in model.parameters()) / shape.parameters
        if best is None or abs(removed - wanted) < abs(best[0] - wanted):
            best = removed, model
        if abs(removed / wanted - 1) < NEAR_ENOUGH:
            break
        ratio = min(0.9, ratio * wanted / max(removed, wanted / 10))
    assert best is not None
    pruned = shape_of(best[1].config.to_dict())
    parameters = save_model(best[1].to(stored_dtype(source)), source, out)
    return {
        "parametersBefore": shape.parameters,
        "parametersAfter": parameters,
        "pruningRatio": round(1 - parameters / shape.parameters, 4),
        "hiddenAfter": pruned.hidden,
        "headsAfter": pruned.heads,
        "ffnAfter": pruned.ffn,
    }


def prune_all(model: LlamaForCausalLM, ratio: float, sequences: torch.Tensor) -> None:
    """The example: the same share of hidden size, heads and FFN width, by magnitude."""
    heads = {}
    for layer in model.model.layers:
        heads[layer.self_attn.q_proj] = model.config.num_attention_heads
        heads[layer.self_attn.k_proj] = heads[layer.self_attn.v_proj] = model.config.num_key_value_heads
    pruner = torch_pruning.pruner.BasePruner(
        model,
        example_inputs=sequences[:1, :8],
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2, group_reduction="mean"),
        pruning_ratio=ratio,
        ignored_layers=[model.lm_head],
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=ratio,
        # Transformers takes no hidden size that the heads do not divide.
        round_to=lcm(ROUND_TO, heads_left(model.config, ratio)),
        forward_fn=traced,
    )
    pruner.step()


def prune_ffn(model: LlamaForCausalLM, ratio: float, sequences: torch.Tensor) -> None:
    """The same share of every layer's FFN channels, by first-order Taylor importance."""
    gates = [layer.mlp.gate_proj for layer in model.model.layers]
    pruner = torch_pruning.pruner.BasePruner(
        model,
        example_inputs=sequences[:1, :8],
        importance=torch_pruning.importance.GroupTaylorImportance(),
        pruning_ratio=0.0,
        pruning_ratio_dict=dict.fromkeys(gates, ratio),
        round_to=BLOCK_ROW,
        forward_fn=traced,
    )
    pruner.step()


def traced(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """The forward pass that the library reads its dependencies from: without rotary embedding, without a cache.

    Neither ties channels that attention does not tie anyway, but both concatenate along an axis that the library can
    take for that of the channels. Its walk then moves a head's indices up at every turn, and never ends.
    """
    with patch.object(modeling_llama, "apply_rotary_pos_emb", lambda q, k, *_args, **_kwargs: (q, k)):
        return model(tokens, use_cache=False).logits


def heads_left(config: LlamaConfig, ratio: float) -> int:
    """Query heads that the library leaves: as many of every key-value head, rounded down; all where that is none."""
    groups = config.num_key_value_heads if config.num_key_value_heads < config.num_attention_heads else 1
    removed = groups * ceil(ceil(ratio * config.num_attention_heads) / groups)
    return config.num_attention_heads - removed or config.num_attention_heads


def gradients_of(model: LlamaForCausalLM, sequences: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of the summed loss of all sequences, (n, length) token ids, by parameter."""
    for row in sequences:
        model(row[None], labels=row[None]).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


PRUNERS = {"magnitude": prune_all, "taylor": prune_ffn}


@torch.no_grad()
def as_llama(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """The pruned modules as a Llama of their sizes: the library changes tensors, not the config.

    It also unties embeddings that it cuts alike; where they still say the same, they are tied again.
    """
    layer, head_dim = model.model.layers[0], model.model.layers[0].self_attn.head_dim
    tied = torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
    try:
        config = LlamaConfig.from_dict(
            {
                **model.config.to_dict(),
                "hidden_size": model.lm_head.in_features,
                "intermediate_size": layer.mlp.gate_proj.out_features,
                "num_attention_heads": layer.self_attn.q_proj.out_features // head_dim,
                "num_key_value_heads": layer.self_attn.k_proj.out_features // head_dim,
                "head_dim": head_dim,
                "tie_word_embeddings": tied,
            }
        )
        whole = LlamaForCausalLM(config)
        whole.load_state_dict(model.state_dict())
    except (StrictDataclassError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StageError(f"what Torch-Pruning made is no Llama: {reason}", "take another share") from error
    return whole.eval()
