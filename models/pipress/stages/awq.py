"""awq: weights scaled so that quantization hurts less, folded into a model that computes what it computed.

Layer by layer from the shards and into new ones: in memory are one decoder layer and the hidden states of the
calibration text, whatever the size of the model.
"""

import json
from pathlib import Path

import torch

from pipress.awq.blocks import BLOCKS
from pipress.awq.scaling import apply, layer_folds, search
from pipress.errors import StageError
from pipress.memory import keep_freed_memory, peak_bytes
from pipress.spec import Metrics, Spec
from pipress.weights.calibration import read_calibration
from pipress.weights.files import check_weights, read_config
from pipress.weights.folder import save_beside, stored_dtype
from pipress.weights.layouts import check_needs
from pipress.weights.shards import ShardWriter
from pipress.weights.streamed import StreamedLlama, batches

TOOLS = ("safetensors", "tokenizers", "torch", "transformers")


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Searches the scales of every layer, folds them in, and writes the layer before the next one is read."""
    p, block = spec.params, BLOCKS[spec.params["bits"]]
    keep_freed_memory()
    check_needs(read_config(inputs["model"]), ["steps.awq"])
    check_weights(inputs["model"])
    # bfloat16 would round a scaled weight as coarsely as the model was; float16 keeps three bits more in the same room.
    kept = torch.float16 if stored_dtype(inputs["model"]) == torch.bfloat16 else stored_dtype(inputs["model"])

    spec.report(0.05, "reading the text")
    sequences = read_calibration(inputs["datasets"], inputs["model"], p)

    model = StreamedLlama(inputs["model"])
    hidden = model.embed(sequences)
    n_layers = model.config.num_hidden_layers
    plain_error = scaled_error = 0.0
    with ShardWriter(out) as writer, torch.no_grad():
        for name in model.shards.shapes():
            if not name.startswith("model.layers."):
                writer.write(name, model.shards.load(name).to(kept))
        for index in range(n_layers):
            spec.report(0.1 + 0.85 * index / n_layers, f"layer {index + 1}/{n_layers}")
            layer = model.layer(index)
            following = model.forward(layer, hidden)
            parts = list(batches(hidden))
            turns = [model.positions(part) for part in parts]
            for build in layer_folds(layer, parts, turns):
                fold = build()
                scales, before, after = search(fold, block, p["gridPoints"])
                if not before < float("inf"):
                    raise StageError(
                        f"layer {index} computes values that are not finite", "the model is damaged: make it again"
                    )
                apply(fold, scales)
                plain_error, scaled_error = plain_error + before, scaled_error + after
                print(f"layer {index} {fold.name}: squared error {before:.3g} -> {after:.3g}", flush=True)
            for name, tensor in layer.state_dict().items():
                written = tensor.to(kept)
                if not torch.isfinite(written).all():
                    raise StageError(
                        f"layer {index}: {name} has values that {kept} cannot hold once scaled",
                        "leave the step `awq` out for this model",
                    )
                writer.write(f"model.layers.{index}.{name}", written)
            hidden = following

    spec.report(0.96, "checking it")
    _copy_beside_weights(inputs["model"], out, kept)
    check_weights(out)
    return {
        "bits": p["bits"],
        "blockSize": block.size,
        # Of the rounded blocks' outputs, summed over all groups: what the scales spare.
        "errorWithout": float(f"{plain_error:.4g}"),
        "errorWith": float(f"{scaled_error:.4g}"),
        "calibrationTokens": sequences.numel(),
        "peakMemoryBytes": peak_bytes(model.device),
    }


def _copy_beside_weights(folder: Path, out: Path, dtype: torch.dtype) -> None:
    """Tokenizer and license as they are, and the config; only the type of the weights may be another."""
    save_beside(folder, out)
    config = read_config(folder)
    config.pop("torch_dtype", None)
    config["dtype"] = str(dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
