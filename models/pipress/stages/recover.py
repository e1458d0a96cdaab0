"""recover: training that brings the pruned model back to what the unpruned one says.

Low-rank adapters (Hu et al., arXiv:2106.09685), and where the recipe says so the last layers and the output layer in
full; the loss is distillation from the unpruned teacher. The text is packed; a part of it is held back, and the weights
kept are those with the lowest loss on that part. The evaluation text is not read.

Where the plan says how the release will be quantized (`quantize`), the student computes with the weights that it will
have then, in training and on held-back text: `recovery/quantized.py`. Saved are full-precision weights all the same.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.memory import keep_freed_memory, peak_bytes
from pipress.quantization.overrides import tensor_overrides
from pipress.quantization.source_model import SourceModel
from pipress.recovery.adapters import scale_of, trainable
from pipress.recovery.checkpoints import BEST, LATEST, load_checkpoint, save_checkpoint
from pipress.recovery.merging import save_merged
from pipress.recovery.precision import training_dtype
from pipress.recovery.quantized import QuantizedStudent, ReleaseTypes
from pipress.recovery.schedule import learning_rate
from pipress.recovery.teacher import KeptTeacher, Teacher, fits_file, kept_teacher, resident_teacher
from pipress.recovery.text import read_training_text
from pipress.recovery.together import ALONE, Ranks, process_count, run_rank, run_together
from pipress.recovery.training import held_out_losses, new_optimizer, train_step, use_checkpointing
from pipress.recovery.vocabulary import SAMPLE_TOKENS, VocabularyPart
from pipress.spec import Metrics, Spec
from pipress.weights.files import read_config
from pipress.weights.folder import load_model
from pipress.weights.layouts import check_needs

TOOLS = ("safetensors", "tokenizers", "torch", "transformers")

# Shares of the progress: where the teacher has been loaded, its pass over the text has ended, and the training.
LOADED, TAUGHT, TRAINED = 0.01, 0.2, 0.95

# Every step, and every look at held-back text with the loss of each of its rows: what loss.json holds.
Curve = dict[str, list[dict[str, Any]]]


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Trains, merges what was trained into full weights, and saves those with the loss curve (loss.json).

    Where the machine has several GPUs, a process on each trains on its rows of every step.
    """
    count = process_count(spec.params["batchSize"])
    if count > 1:
        spec.report(0.0, f"starting {count} processes")
        return run_together("pipress.stages.recover", count, spec, inputs, out)
    return train(spec, inputs, out, ALONE)


def train(spec: Spec, inputs: dict[str, Path], out: Path, ranks: Ranks) -> Metrics:
    """`run` in one of the processes that train together; only the first saves, and returns figures."""
    try:
        return _train(spec, inputs, out, ranks)
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"the GPU ran out of memory: {' '.join(str(error).split())[:200]}",
            "take one with more, or set recover.gradientCheckpointing or a smaller recover.batchSize",
        ) from error


def _train(spec: Spec, inputs: dict[str, Path], out: Path, ranks: Ranks) -> Metrics:
    p = spec.params
    keep_freed_memory()
    check_needs(read_config(inputs["model"]), ["steps.recover"])
    device = ranks.device
    dtype = ranks.first(lambda: training_dtype(device, spec.checkpoint))

    spec.report(0.0, "reading the text")
    text = read_training_text(inputs["datasets"], inputs["model"], p)
    tokens_per_step = p["batchSize"] * p["sequenceLength"]
    steps = max(1, p["tokens"] // tokens_per_step)

    spec.report(LOADED, "loading the teacher")
    teacher = ranks.first(lambda: _teacher(spec, inputs, text.sequences, dtype, device))
    taught = TAUGHT if isinstance(teacher, KeptTeacher) else LOADED

    spec.report(taught, "loading the student")
    student = load_model(inputs["model"], dtype).to(device)
    vocabulary_size, hidden = teacher.head.shape
    if student.config.hidden_size != hidden or student.config.vocab_size != vocabulary_size:
        raise StageError(
            f"the model (hidden {student.config.hidden_size}, vocabulary {student.config.vocab_size}) was not made "
            f"from its teacher (hidden {hidden}, vocabulary {vocabulary_size})",
            "prune the model that the recipe names as its base",
        )
    trained = trainable(student, p)
    share = p["distillation"]["vocabularyShare"]
    vocabulary = VocabularyPart(teacher.sample(SAMPLE_TOKENS), teacher.head, share, p["seed"])
    if p["gradientCheckpointing"]:
        use_checkpointing(student)
    optimizer = new_optimizer(trained.values())
    quantized = None
    if "quantize" in p:
        spec.report(taught, "quantizing what is not trained")
        quantized = _quantized(spec, inputs, student, ranks)

    curve: Curve = {"training": [], "validation": []}
    first = 0
    if (checkpoint := load_checkpoint(spec.checkpoint, LATEST, trained)) is not None:
        _copy(checkpoint["trained"], trained)
        optimizer.load_state_dict(checkpoint["optimizer"])
        first, curve = checkpoint["step"], json.loads(checkpoint["curve"])
        print(f"going on from the checkpoint after step {first}", flush=True)
        if quantized is not None:
            quantized.refresh(checkpoint["refreshedWith"])

    def report(step: int, message: str, left: float | None = None) -> None:
        spec.report(taught + (TRAINED - taught) * step / steps, f"step {step}/{steps} · {message}", left)

    held_back = torch.arange(text.n_training, len(text.sequences))
    own = ranks.share(held_back)
    own_states = teacher.states(own).cpu() if len(own) > 0 else None

    def validate(step: int) -> None:
        if any(entry["step"] == step for entry in curve["validation"]):
            return  # a resumed training has this one
        report(step, "looking at held-back text")
        losses = torch.zeros(len(held_back), 2, dtype=torch.float64)
        if own_states is not None:
            losses[own - text.n_training] = held_out_losses(
                student, text.sequences[own], own_states, teacher.head, p["batchSize"], p["distillation"]
            )
        ranks.add([losses])
        kl, ce = losses.mean(dim=0).tolist()
        rows = [round(_mixed(*row, p), 6) for row in losses.tolist()]
        figures = {"kl": kl, "crossEntropy": ce, "loss": _mixed(kl, ce, p), "rows": rows}
        entry = {"step": step, "tokens": step * tokens_per_step, **figures}
        curve["validation"].append(entry)
        print(f"held-back text after step {step}: kl {kl:.4f} cross entropy {ce:.4f}", flush=True)
        if _best(curve) is entry and ranks.rank == 0:
            save_checkpoint(spec.checkpoint, BEST, {"trained": _values(trained)})

    validate_at = {round(i * steps / (p["validations"] - 1)) for i in range(p["validations"])}
    refresh_at = validate_at | {round(i * steps / p["refreshes"]) for i in range(p["refreshes"])}

    def refresh(step: int) -> None:
        if quantized is not None and step in refresh_at:
            report(step, "quantizing the weights")
            quantized.refresh(trained)

    began, trained_seconds, done = time.monotonic(), 0.0, first
    for step in range(first, steps):
        refresh(step)
        if step in validate_at:
            validate(step)
            if _rises(curve, patience := p["earlyStoppingPatience"]):
                print(f"the held-back loss has not fallen {patience} times in a row: stopping", flush=True)
                break
        step_began = time.monotonic()
        rows = text.rows(step)
        part = vocabulary.choose(step, text.sequences[rows])
        own_rows = ranks.share(rows)
        ids, wanted = text.sequences[own_rows].to(device), teacher.states(own_rows)
        rate = learning_rate(step, steps, p["learningRate"], p["schedule"])
        settings = (rate, p["distillation"], part, ranks, len(rows))
        loss, kl, ce = train_step(student, optimizer, ids, wanted, teacher.head, *settings)

        done = step + 1
        trained_seconds += time.monotonic() - step_began
        curve["training"].append({"step": done, "kl": round(kl, 5), "crossEntropy": round(ce, 5)})
        print(f"step {done}/{steps} kl {kl:.4f} cross entropy {ce:.4f}", flush=True)
        left = (time.monotonic() - began) / (done - first) * (steps - done)
        report(done, f"loss {loss:.3f}", left)
        if ranks.rank == 0 and (done % p["checkpointEverySteps"] == 0 or done == steps):
            state = {"step": done, "trained": _values(trained), "optimizer": optimizer.state_dict()}
            if quantized is not None:
                state["refreshedWith"] = quantized.refreshed_with
            save_checkpoint(spec.checkpoint, LATEST, {**state, "curve": json.dumps(curve)})
    else:
        refresh(steps)
        validate(steps)

    if ranks.rank > 0:
        return {}
    spec.report(TRAINED, "merging")
    start, best = curve["validation"][0], _best(curve)
    kept = load_checkpoint(spec.checkpoint, BEST, trained)
    if kept is None:
        raise StageError(
            f"{spec.checkpoint / BEST} cannot be read", f"`rm -r {spec.checkpoint}` and run `./pipress up` again"
        )
    scale = scale_of(p["rank"], p["alpha"])
    parameters = save_merged(inputs["model"], kept["trained"], scale, out)
    (out / "loss.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    return {
        "parameters": parameters,
        "trainedParameters": sum(parameter.numel() for parameter in trained.values()),
        "steps": done,
        "tokens": done * tokens_per_step,
        "bestStep": int(best["step"]),
        "stoppedEarly": done < steps,
        "klBefore": round(start["kl"], 4),
        "klAfter": round(best["kl"], 4),
        "crossEntropyBefore": round(start["crossEntropy"], 4),
        "crossEntropyAfter": round(best["crossEntropy"], 4),
        "trainTokensPerSecond": round((done - first) * tokens_per_step / trained_seconds, 1) if trained_seconds else 0,
        "peakMemoryBytes": peak_bytes(device),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dtype": str(dtype).removeprefix("torch."),
    }


def _teacher(
    spec: Spec, inputs: dict[str, Path], sequences: torch.Tensor, dtype: torch.dtype, device: torch.device
) -> Teacher:
    """The teacher of all sequences, by what they take: asked now and put away, or kept beside the student."""
    if not fits_file(inputs["teacher"], sequences, dtype):
        print("the teacher stays in memory: what it says of all the text would take too much room", flush=True)
        return resident_teacher(inputs["teacher"], inputs["model"], sequences, dtype, device)

    def report(share: float) -> None:
        spec.report(LOADED + (TAUGHT - LOADED) * share, f"asking the teacher {share:.0%}")

    return kept_teacher(inputs["teacher"], sequences, dtype, device, spec.checkpoint, report)


def _quantized(spec: Spec, inputs: dict[str, Path], student: LlamaForCausalLM, ranks: Ranks) -> QuantizedStudent:
    """The student with the weights that quantize will make of it, by the plan's parameters of that stage.

    `converted` holds the student as it is before training, as a GGUF; `imatrix` the importance that quantize goes by.
    """
    if spec.params["fullLayers"] or spec.params["lmHead"]:
        raise StageError(
            "quantization-aware recovery trains adapters only", "take fullLayers and lmHead out of steps.recover"
        )
    imatrix = inputs["imatrix"] / "imatrix.gguf" if "imatrix" in inputs else None
    source, quantize = SourceModel(inputs["converted"] / "model.gguf", imatrix), spec.params["quantize"]
    overrides = tensor_overrides(quantize, source, imatrix)
    types = ReleaseTypes(spec.llama_cpp_bin, source, imatrix, quantize["type"], overrides)
    return QuantizedStudent(student, inputs["model"], types, ranks)


def _mixed(kl: float, ce: float, p: dict[str, Any]) -> float:
    weight = p["distillation"]["klWeight"]
    return weight * kl + (1 - weight) * ce


def _best(curve: Curve) -> dict[str, Any]:
    """The look at held-back text with the lowest loss, the first of equals."""
    return min(curve["validation"], key=lambda entry: entry["loss"])


def _rises(curve: Curve, patience: int) -> bool:
    """Whether the last `patience` looks at held-back text were all no better than the best before them."""
    looks = curve["validation"]
    return len(looks) - 1 - looks.index(_best(curve)) >= patience


def _values(trained: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in trained.items()}


def _copy(saved: dict[str, torch.Tensor], trained: dict[str, torch.nn.Parameter]) -> None:
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved[name])


if __name__ == "__main__":
    run_rank(train)
