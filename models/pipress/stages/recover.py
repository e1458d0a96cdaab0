"""recover: low-rank adapters trained to bring the pruned model back to what the unpruned one says.

LoRA (Hu et al., arXiv:2106.09685) by PEFT; the loss is distillation from the
unpruned teacher. The text is packed; a part of it is held back for the loss curve. The evaluation text is not read.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.peft_model import PeftModel
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.recovery.checkpoints import load_checkpoint, save_checkpoint
from pipress.recovery.distillation import distillation_loss
from pipress.recovery.precision import training_dtype
from pipress.recovery.schedule import learning_rate
from pipress.spec import Metrics, Spec
from pipress.weights.folder import load_model, load_tokenizer, save_model, stored_dtype
from pipress.weights.packing import pack, spread

TOOLS = ("peft", "safetensors", "tokenizers", "torch", "transformers")

MAX_GRADIENT_NORM = 1.0
# How often the held-back text is looked at, start and end included.
VALIDATIONS = 5


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Trains, merges the adapters into full weights, and saves those with the loss curve (loss.json)."""
    p = spec.params
    torch.manual_seed(p["seed"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    spec.report(0.0, "reading the text")
    training, validation = _read_text(inputs["texts"], inputs["model"], p)
    tokens_per_step = p["batchSize"] * p["sequenceLength"]
    steps = max(1, p["tokens"] // tokens_per_step)

    spec.report(0.01, "loading teacher and student")
    dtype = training_dtype(device)
    teacher = load_model(inputs["teacher"], dtype).to(device).requires_grad_(False)
    student = _with_adapters(load_model(inputs["model"], dtype), p).to(device)
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    # The adapters are float32 whatever the weights are: the frozen many may be coarse, the trained few not.
    optimizer = torch.optim.AdamW(trained, lr=p["learningRate"], weight_decay=0.0, betas=(0.9, 0.99))

    curve: dict[str, list[dict[str, float]]] = {"training": [], "validation": []}
    first = 0
    if (checkpoint := load_checkpoint(spec.checkpoint)) is not None:
        set_peft_model_state_dict(student, checkpoint["adapters"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        first, curve = checkpoint["step"], json.loads(checkpoint["curve"])
        print(f"going on from the checkpoint after step {first}", flush=True)

    validate_at = {round(i * steps / (VALIDATIONS - 1)) for i in range(VALIDATIONS)}
    began, trained_seconds = time.monotonic(), 0.0

    def validate(step: int) -> None:
        if any(entry["step"] == step for entry in curve["validation"]):
            return  # a resumed training has this one
        kl, ce = _validate(student, teacher, validation, p)
        curve["validation"].append({"step": step, "kl": kl, "crossEntropy": ce})
        print(f"held-back text after step {step}: kl {kl:.4f} cross entropy {ce:.4f}", flush=True)

    for step in range(first, steps):
        if step in validate_at:
            spec.report(0.02 + 0.93 * step / steps, f"step {step}/{steps} · looking at held-back text")
            validate(step)
        step_began = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, p["learningRate"])
        batch = _batch(training, step, p).to(device)
        loss, kl, ce = _loss(student, teacher, batch, p)
        if not math.isfinite(loss.item()):
            raise StageError(
                f"the loss is no longer a number at step {step + 1}",
                f"lower learningRate (it is {p['learningRate']}) and run `up` again",
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        done = step + 1
        trained_seconds += time.monotonic() - step_began
        curve["training"].append({"step": done, "kl": round(kl, 5), "crossEntropy": round(ce, 5)})
        print(f"step {done}/{steps} kl {kl:.4f} cross entropy {ce:.4f}", flush=True)
        left = (time.monotonic() - began) / (done - first) * (steps - done)
        spec.report(0.02 + 0.93 * done / steps, f"step {done}/{steps} · loss {loss.item():.3f}", left)
        if done % p["checkpointEverySteps"] == 0 or done == steps:
            save_checkpoint(
                spec.checkpoint,
                {
                    "step": done,
                    "adapters": get_peft_model_state_dict(student),
                    "optimizer": optimizer.state_dict(),
                    "curve": json.dumps(curve),
                },
            )
    validate(steps)

    spec.report(0.96, "merging the adapters")
    merged = _merge(student, inputs["model"], p)
    parameters = save_model(merged.to(stored_dtype(inputs["model"])), inputs["model"], out)
    (out / "loss.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    start, end = curve["validation"][0], curve["validation"][-1]
    return {
        "parameters": parameters,
        "steps": steps,
        "tokens": steps * tokens_per_step,
        "klBefore": round(start["kl"], 4),
        "klAfter": round(end["kl"], 4),
        "crossEntropyBefore": round(start["crossEntropy"], 4),
        "crossEntropyAfter": round(end["crossEntropy"], 4),
        "trainTokensPerSecond": round((steps - first) * tokens_per_step / trained_seconds, 1) if trained_seconds else 0,
    }


def _read_text(texts: Path, model: Path, p: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Packed sequences to train on, in the order of the seed, and those held back: (n, length) each."""
    length = p["sequenceLength"]
    text = (texts / "calibration.txt").read_text(encoding="utf-8")
    sequences = pack(text, load_tokenizer(model), length)
    held_back = max(1, p["validationTokens"] // length)
    if len(sequences) < held_back + p["batchSize"]:
        raise StageError(
            f"the calibration text gives {len(sequences)} sequences of {length} tokens; {held_back} are held back, and "
            f"one step needs {p['batchSize']}",
            "take more text for texts.calibration, or shorter sequences",
        )
    # The end of the text is held back, and one sequence before it left out: no document is on both sides.
    training, validation = sequences[: -held_back - 1], sequences[-held_back:]
    needed = max(p["batchSize"], p["tokens"] // length)
    training = spread(training, needed)
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(p["seed"]))
    return training[order], validation


def _batch(training: torch.Tensor, step: int, p: dict[str, Any]) -> torch.Tensor:
    """The sequences of a step; a function of the step alone, so that a resumed training sees what it would have."""
    start = step * p["batchSize"]
    rows = torch.arange(start, start + p["batchSize"]) % len(training)
    return training[rows]


def _with_adapters(model: LlamaForCausalLM, p: dict[str, Any]) -> PeftModel:
    config = LoraConfig(r=p["rank"], lora_alpha=p["alpha"], target_modules=p["targets"], task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def _loss(
    student: PeftModel, teacher: LlamaForCausalLM, batch: torch.Tensor, p: dict[str, Any]
) -> tuple[torch.Tensor, float, float]:
    """Loss, KL and cross entropy of a batch of token ids (n, length)."""
    model: LlamaForCausalLM = student.get_base_model()
    with torch.no_grad():
        wanted = teacher.model(batch, use_cache=False).last_hidden_state[:, :-1]
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=teacher.dtype == torch.bfloat16):
        hidden = model.model(batch, use_cache=False).last_hidden_state[:, :-1]
    return distillation_loss(
        hidden.reshape(-1, hidden.shape[-1]).to(model.lm_head.weight.dtype),
        model.lm_head.weight,
        wanted.reshape(-1, wanted.shape[-1]),
        teacher.lm_head.weight,
        batch[:, 1:].reshape(-1),
        p["distillation"]["temperature"],
        p["distillation"]["klWeight"],
    )


@torch.no_grad()
def _validate(
    student: PeftModel, teacher: LlamaForCausalLM, validation: torch.Tensor, p: dict[str, Any]
) -> tuple[float, float]:
    """KL and cross entropy per token on the held-back text."""
    device = teacher.device
    parts = [_loss(student, teacher, batch.to(device), p)[1:] for batch in validation.split(p["batchSize"])]
    sizes = [len(batch) for batch in validation.split(p["batchSize"])]
    kl, ce = (sum(n * part[i] for n, part in zip(sizes, parts, strict=True)) / sum(sizes) for i in (0, 1))
    return kl, ce


def _merge(student: PeftModel, pruned: Path, p: dict[str, Any]) -> LlamaForCausalLM:
    """The trained adapters added to the pruned model's weights, in float32: bfloat16 would swallow small updates."""
    merged = _with_adapters(load_model(pruned, torch.float32), p)
    set_peft_model_state_dict(merged, get_peft_model_state_dict(student))
    return merged.merge_and_unload()
