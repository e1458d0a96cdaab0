"""Tokens a second of recovery training, beside the plain loop of Transformers and PEFT at the same settings.

    python -m pipress.bench.train_speed --teacher FOLDER --model FOLDER --texts FOLDER

The peer is the loop that the libraries' own examples write: PEFT's adapters, one document a row padded to the longest
of its batch, the teacher's forward pass in the loop, KL over whole logits. Counted are the tokens that are trained on,
not padding. Ours is what the stage `recover` runs, the teacher's pass over the text included. Both take turns, so that
whatever else the machine does hits both. Prints one line of JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from pipress.memory import keep_freed_memory
from pipress.recovery.adapters import trainable
from pipress.recovery.precision import faster_dtype
from pipress.recovery.teacher import teacher_states
from pipress.recovery.text import read_training_text
from pipress.recovery.training import new_optimizer, train_step
from pipress.recovery.vocabulary import VocabularyPart
from pipress.texts.records import read_records
from pipress.validation import check_params
from pipress.weights.folder import load_model, load_tokenizer

# A call of either trains on one batch and returns how many tokens that were.
Step = Callable[[int], int]


def ours(teacher: LlamaForCausalLM, model: Path, texts: Path, p: dict[str, Any], scratch: Path) -> tuple[Step, float]:
    """The stage's step, and the seconds a token of the teacher's pass took."""
    text = read_training_text(texts, model, p)
    rows = torch.cat([text.rows(step) for step in range(p["tokens"] // p["batchSize"] // p["sequenceLength"])])
    sequences = text.sequences[rows]
    began = time.monotonic()
    states = teacher_states(teacher, sequences, scratch, lambda share: None)
    teaching = (time.monotonic() - began) / sequences.numel()
    student = load_model(model, teacher.dtype).to(teacher.device)
    trained = trainable(student, p)
    optimizer = new_optimizer(trained.values())
    vocabulary = VocabularyPart(states, teacher.lm_head.weight, p["distillation"]["vocabularyShare"], p["seed"])

    def step(index: int) -> int:
        part = slice(index * p["batchSize"], (index + 1) * p["batchSize"])
        ids, wanted = sequences[part].to(teacher.device), states[part].to(teacher.device)
        head, choice = teacher.lm_head.weight, vocabulary.choose(index, ids)
        train_step(student, optimizer, ids, wanted, head, p["learningRate"], p["distillation"], choice)
        return ids.numel()

    return step, teaching


def plain(teacher: LlamaForCausalLM, model: Path, texts: Path, p: dict[str, Any], packed: bool) -> Step:
    """The peer. packed: give it the packed sequences too, which its usual form does not have."""
    tokenizer = load_tokenizer(model)
    config = LoraConfig(r=p["rank"], lora_alpha=p["alpha"], target_modules=p["targetModules"], task_type="CAUSAL_LM")
    student = get_peft_model(load_model(model, teacher.dtype), config).to(teacher.device).train()
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=p["learningRate"])
    text = read_training_text(texts, model, p)
    documents = [document.text for document in read_records(texts / "calibration.jsonl")]
    order = torch.randperm(len(documents), generator=torch.Generator().manual_seed(p["seed"])).tolist()

    def batch(index: int) -> dict[str, torch.Tensor]:
        if packed:
            ids = text.sequences[text.rows(index)]
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        chosen = [documents[i] for i in order[index * p["batchSize"] : (index + 1) * p["batchSize"]]]
        return padded(tokenizer, chosen, p["sequenceLength"])

    def step(index: int) -> int:
        inputs = {name: value.to(teacher.device) for name, value in batch(index).items()}
        counted = inputs["attention_mask"][:, 1:].bool()
        with torch.no_grad():
            wanted = teacher(**inputs, use_cache=False).logits[:, :-1][counted]
        logits = student(**inputs, use_cache=False).logits[:, :-1][counted]
        log_softmax = torch.nn.functional.log_softmax
        loss = torch.nn.functional.kl_div(
            log_softmax(logits.float(), -1), log_softmax(wanted.float(), -1), log_target=True, reduction="batchmean"
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(inputs["attention_mask"].sum())

    return step


def padded(tokenizer: PreTrainedTokenizerBase, documents: list[str], length: int) -> dict[str, torch.Tensor]:
    """Documents as rows, cut at `length` and filled up to the longest."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    encoded = tokenizer(documents, truncation=True, max_length=length, padding=True, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def measure(teacher_folder: Path, model: Path, texts: Path, p: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second of ours, the peer, and the peer on packed text; the ratios are ours over theirs."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = load_model(teacher_folder, faster_dtype(device)).to(device).requires_grad_(False)
    with tempfile.TemporaryDirectory() as scratch:
        own, teaching = ours(teacher, model, texts, p, Path(scratch))
        runners = {
            "ours": own,
            "peer": plain(teacher, model, texts, p, packed=False),
            "peerPacked": plain(teacher, model, texts, p, packed=True),
        }
        tokens, seconds = dict.fromkeys(runners, 0), dict.fromkeys(runners, 0.0)
        steps = p["tokens"] // p["batchSize"] // p["sequenceLength"]
        for index in range(steps):
            for name, run in runners.items():
                began = time.monotonic()
                count = run(index)
                if index > 0:  # the first step of each meets cold caches and memory not yet the process's
                    tokens[name] += count
                    seconds[name] += time.monotonic() - began
    seconds["ours"] += teaching / p["epochs"] * tokens["ours"]
    speed = {name: round(tokens[name] / seconds[name], 1) for name in runners}
    return {
        **speed,
        "ratio": round(speed["ours"] / speed["peer"], 2),
        "ratioPacked": round(speed["ours"] / speed["peerPacked"], 2),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "dtype": str(teacher.dtype).removeprefix("torch."),
        "settings": {
            name: p[name] for name in ("rank", "targetModules", "sequenceLength", "batchSize", "epochs", "tokens")
        },
    }


def main() -> None:
    """Entry of the command line."""
    parser = argparse.ArgumentParser(description="Tokens per second of recovery training against plain PEFT.")
    for name in ("teacher", "model", "datasets"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"folder of the {name}, as its stage left it")
    parser.add_argument("--steps", type=int, default=5, help="steps of each; the first is not counted")
    parser.add_argument("--recover", type=json.loads, default={}, help="settings as in a recipe, JSON")
    arguments = parser.parse_args()
    keep_freed_memory()
    settings = {"batchSize": 4, "sequenceLength": 256, **arguments.recover}
    tokens = arguments.steps * settings["batchSize"] * settings["sequenceLength"]
    p = check_params("recover", {**settings, "tokens": tokens})
    print(json.dumps(measure(arguments.teacher, arguments.model, arguments.datasets, p)))


if __name__ == "__main__":
    main()
