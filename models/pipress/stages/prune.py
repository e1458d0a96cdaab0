"""prune: structural pruning, calibrated on text."""

from pathlib import Path

import torch

from pipress.errors import StageError
from pipress.pruning import ffn_activation
from pipress.spec import Metrics, Spec
from pipress.weights.folder import load_model, load_tokenizer, save_model, stored_dtype
from pipress.weights.packing import pack, spread

TOOLS = ("safetensors", "tokenizers", "torch", "transformers")

METHODS = {"ffn-activation": ffn_activation}
BATCH_TOKENS = 2048


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Scores every channel, keeps the best, saves the smaller model in the type of the one it came from."""
    method, length = METHODS[spec.params["method"]], spec.params["sequenceLength"]
    dtype = stored_dtype(inputs["model"])

    spec.report(0.02, "loading the model")
    # Scores are means over thousands of tokens: bfloat16 would only blur the cut, and float32 is no slower here.
    model = load_model(inputs["model"], torch.float32)
    before = sum(parameter.numel() for parameter in model.parameters())
    # First of all: a plan that cannot be is refused before anything runs.
    width = method.plan_width(model.config, before, spec.params["parametersRemoved"])

    spec.report(0.1, "reading the text")
    text = (inputs["texts"] / "calibration.txt").read_text(encoding="utf-8")
    sequences = pack(text, load_tokenizer(inputs["model"]), length)
    if len(sequences) == 0:
        raise StageError(f"the calibration text has fewer than {length} tokens", "take more text for texts.calibration")
    sequences = spread(sequences, max(1, spec.params["calibrationTokens"] // length))

    batch = max(1, BATCH_TOKENS // length)
    scores = method.score(
        model, sequences, batch, lambda done: spec.report(0.15 + 0.65 * done, f"scoring FFN channels {done:.0%}")
    )
    if not torch.isfinite(scores).all():
        raise StageError("the importance scores are not finite", "the model's weights are damaged: fetch it again")

    spec.report(0.85, f"cutting the FFN to {width}")
    ffn_before = model.config.intermediate_size
    method.cut(model, method.plan(scores, width))
    after = save_model(model.to(dtype), inputs["model"], out)
    return {
        "parametersBefore": before,
        "parametersAfter": after,
        "parametersRemoved": round(1 - after / before, 4),
        "ffnBefore": ffn_before,
        "ffnAfter": width,
        "calibrationTokens": sequences.numel(),
    }
