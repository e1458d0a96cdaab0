"""evaluate: how good, how big and how fast a GGUF is."""

import json
import os
import re
import tempfile
import time
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipress.errors import StageError
from pipress.gguf_file import generate
from pipress.programs import run_program
from pipress.spec import Metrics, Spec
from pipress.weights.gguf_reader import GgufFile

TOOLS = ("llama.cpp",)

CHUNK_DONE = re.compile(r"\[(\d+)\]\d")
FINAL = re.compile(r"Final estimate: PPL = ([\d.]+|-?nan|inf) \+/- ([\d.]+|-?nan|inf)")
BENCH_REPETITIONS = 2
# More than any tokenizer takes for running text: cutting the file there spares tokenizing what is not used.
BYTES_PER_TOKEN = 12
ANSWER_CHARACTERS = 300


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Perplexity on the evaluation text, speed of generation on this machine, and the answer to the golden prompt."""
    model, p = inputs["model"] / "model.gguf", spec.params
    perplexity, error, chunks = _perplexity(spec, model, inputs["texts"] / "evaluation.txt")
    spec.report(0.8, f"perplexity {perplexity:.2f} · measuring speed")
    speed = _speed(spec, model)
    spec.report(0.9, f"perplexity {perplexity:.2f} · asking the golden prompt")
    metrics: Metrics = {
        "perplexity": perplexity,
        "perplexityError": error,
        "perplexityChunks": chunks,
        "fileBytes": model.stat().st_size,
        "tokensPerSecondBuilder": speed,
    }
    if golden := p.get("golden"):
        prompt = chat_prompt(model, golden["prompt"])
        answer = generate(spec.llama_cpp_bin, model, prompt, golden["maxTokens"])
        metrics["goldenAnswer"] = answer[:ANSWER_CHARACTERS]
        metrics["goldenMatches"] = re.search(golden["expect"], answer) is not None
    (out / "evaluation.json").write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return metrics


def _perplexity(spec: Spec, model: Path, text: Path) -> tuple[float, float, int]:
    """Perplexity, its standard error, and over how many chunks.

    llama-perplexity counts the second half of every chunk only, so that each token has at least that much context.
    """
    context, wanted = spec.params["context"], spec.params["chunks"]
    began, done = time.monotonic(), 0

    def on_line(line: str) -> None:
        nonlocal done
        for match in CHUNK_DONE.finditer(line):
            done = int(match[1])
            left = (time.monotonic() - began) / done * (wanted - done)
            spec.report(0.02 + 0.78 * done / wanted, f"perplexity, chunk {done}/{wanted}", left)

    spec.report(0.02, "loading the model")
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(text.read_bytes()[: wanted * context * BYTES_PER_TOKEN])
        file.flush()
        command = [spec.llama_cpp_bin / "llama-perplexity", "-m", model, "-f", file.name, "-ngl", "0"]
        sizes = ["-c", str(context), "--chunks", str(wanted), "-t", _threads()]
        lines = run_program([*command, *sizes], on_line)
    match = FINAL.search("\n".join(lines))
    if match is None:
        raise StageError("llama-perplexity gave no estimate", "give it more evaluation text; the log has its output")
    perplexity, error = float(match[1]), float(match[2])
    if not perplexity < float("inf"):
        raise StageError("the perplexity is not a number", "the model is damaged: look at the stages before this one")
    return perplexity, error, done


def _speed(spec: Spec, model: Path) -> float:
    """Tokens generated per second on this machine, with whatever else it is doing."""
    command = [spec.llama_cpp_bin / "llama-bench", "-m", model, "-p", "0", "-n", str(spec.params["benchTokens"])]
    with tempfile.TemporaryFile() as result:
        run_program([*command, "-r", str(BENCH_REPETITIONS), "-t", _threads(), "-o", "json"], stdout=result)
        result.seek(0)
        return round(json.load(result)[0]["avg_ts"], 2)


def _threads() -> str:
    return str(len(os.sched_getaffinity(0)))


def chat_prompt(model: Path, question: str) -> str:
    """The question as the model's own chat template puts it; as it is, where the model has none."""
    metadata = GgufFile(model).metadata
    template = metadata.get("tokenizer.chat_template")
    if template is None:
        return question
    tokens = metadata["tokenizer.ggml.tokens"]
    named = {
        f"{role}_token": tokens[metadata[f"tokenizer.ggml.{role}_token_id"]]
        for role in ("bos", "eos")
        if f"tokenizer.ggml.{role}_token_id" in metadata
    }
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(template).render(
            messages=[{"role": "user", "content": question}], add_generation_prompt=True, **named
        )
    except TemplateError as error:
        raise StageError(f"the model's chat template does not work: {error}", "take another golden prompt") from error
