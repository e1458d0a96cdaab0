"""prune: structural pruning, calibrated on text, one decoder layer in memory at a time."""

import dataclasses
import json
import resource
from pathlib import Path

import torch

from pipress.errors import StageError
from pipress.memory import keep_freed_memory
from pipress.pruning import (
    angular_distance,
    attention_groups,
    block_influence,
    ffn_activation,
    ffn_second_order,
    magnitude,
    mixed,
    random_choice,
)
from pipress.pruning.cut import cut
from pipress.pruning.shape import Shape, check_shape, check_tensors, shape_of
from pipress.pruning.widths import widths_of_layers
from pipress.spec import Metrics, Spec
from pipress.weights.calibration import read_calibration
from pipress.weights.files import WIDTHS, check_weights, read_config
from pipress.weights.folder import load_tokenizer, save_beside, stored_dtype
from pipress.weights.layouts import PER_LAYER as PER_LAYER_PATH
from pipress.weights.layouts import check_needs
from pipress.weights.shards import ShardReader, ShardWriter
from pipress.weights.streamed import StreamedLlama

TOOLS = ("safetensors", "tokenizers", "torch", "transformers")

METHODS = {
    "ffn-activation": ffn_activation,
    "ffn-second-order": ffn_second_order,
    "block-influence": block_influence,
    "angular-distance": angular_distance,
    "attention-groups": attention_groups,
    "mixed": mixed,
    "random": random_choice,
    "magnitude": magnitude,
}
# The one whose costs say how wide each layer should be.
PER_LAYER = "ffn-second-order"


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Plans, then cuts layer by layer into shards in the type of those it came from."""
    source, p = inputs["model"], spec.params
    keep_freed_memory()
    config, method = read_config(source), METHODS[p["method"]]
    per_layer = p["ffnWidths"] == "per-layer"
    check_needs(config, ["steps.prune", PER_LAYER_PATH] if per_layer else ["steps.prune"])
    shape = shape_of(config)
    if shape.ffn_widths:
        raise StageError("the model's FFNs are of a width each: it is pruned already", "prune the model it came from")
    if per_layer and p["method"] != PER_LAYER:
        raise StageError(
            f"{p['method']} does not say how wide each layer should be",
            f"take the method {PER_LAYER}, or leave ffnWidths out",
        )
    # First of all: a plan that would not load is refused before anything runs.
    targets = method.targets(shape, p["pruningRatio"])

    spec.report(0.01, "checking the weights")
    check_weights(source)
    check_tensors(ShardReader(source).shapes(), shape)

    spec.report(0.05, "reading the text")
    sequences = read_calibration(inputs["datasets"], source, p)
    model = StreamedLlama(source)

    def looking(done: float) -> None:
        spec.report(0.1 + 0.4 * done, f"looking for what can go {done:.0%}")

    looking(0)
    plan = method.plan(model, sequences, targets, looking)
    if per_layer:
        widths = widths_of_layers(model, sequences, plan.shape, looking)
        plan = dataclasses.replace(plan, shape=check_shape(plan.shape.smaller(ffn_widths=widths)))

    target, dtype = plan.shape, stored_dtype(source)
    with ShardWriter(out) as writer:

        def write(name: str, tensor: torch.Tensor) -> None:
            writer.write(name, tensor.to(dtype))

        write("model.embed_tokens.weight", model.shards.load("model.embed_tokens.weight"))
        cut(
            model,
            plan,
            sequences,
            p["reconstruct"],
            write,
            lambda done: spec.report(0.5 + 0.4 * done, f"cutting, layer {round(done * shape.layers)}/{shape.layers}"),
        )
        for name in ("model.norm.weight", *(() if shape.tied else ("lm_head.weight",))):
            write(name, model.shards.load(name))

    spec.report(0.92, "loading the result")
    save_config(config, target, out)
    save_beside(source, out)
    check_result(out, target)
    return {
        "parametersBefore": shape.parameters,
        "parametersAfter": target.parameters,
        "pruningRatio": round(1 - target.parameters / shape.parameters, 4),
        "layersBefore": shape.layers,
        "layersAfter": target.layers,
        "blocksRemoved": ", ".join(str(i) for i in range(shape.layers) if i not in plan.blocks),
        "ffnBefore": shape.ffn,
        "ffnAfter": target.ffn,
        **({"ffnWidths": ", ".join(map(str, target.ffn_widths))} if target.ffn_widths else {}),
        "kvHeadsBefore": shape.kv_heads,
        "kvHeadsAfter": target.kv_heads,
        "calibrationTokens": sequences.numel(),
        "peakMemoryBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def save_config(config: dict[str, object], shape: Shape, out: Path) -> None:
    """config.json of the pruned model: the sizes are new, the rest is as it was."""
    changed = {
        **config,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.ffn,
        **({WIDTHS: shape.ffn_widths} if shape.ffn_widths else {}),
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        # Written out: with fewer heads it is no longer hidden size over heads.
        "head_dim": shape.head_dim,
    }
    (out / "config.json").write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")


def check_result(folder: Path, shape: Shape) -> None:
    """Runs a few tokens through what was written, layer by layer. Raises StageError where it does not compute."""
    check_tensors(ShardReader(folder).shapes(), shape)
    ids = torch.tensor([load_tokenizer(folder)("The capital of France is").input_ids])
    if ids.max() >= shape.vocabulary:
        raise StageError("the tokenizer knows more tokens than the model", "they do not belong together")
    model = StreamedLlama(folder)
    if not torch.isfinite(model.losses(model.last_states(ids), ids)).all():
        raise StageError("the pruned model computes values that are not finite", "the model's weights are damaged")
