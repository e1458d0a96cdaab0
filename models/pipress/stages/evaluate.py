"""evaluate: how good, how big and how fast a GGUF is."""

import json
import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from pipress.atomic import write_json
from pipress.errors import StageError
from pipress.evaluation.accuracy import ANSWERS, accuracy, save_answers
from pipress.evaluation.asking import PARALLEL, ask
from pipress.evaluation.generation import measure_loading, repetition
from pipress.evaluation.questions import KINDS, chosen
from pipress.evaluation.scores import SCORES, mean_of_rows, score_against, score_reference
from pipress.gguf_file import generate
from pipress.programs import run_program
from pipress.spec import Metrics, Spec
from pipress.texts.rows import read_rows
from pipress.tokenization import llama_encoder, read_vocabulary

TOOLS = ("llama.cpp", "jsonschema")

BENCH_REPETITIONS = 2
ANSWER_CHARACTERS = 300
# Of a reference: the token ids that it was measured on, and what it thinks of every word at every counted token.
ROWS, LOGITS = "rows.npy", "logits.bin"


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Quality on the evaluation text, questions answered, and what it costs to load and run on this machine.

    Without the input `reference` this model becomes the reference: logits.bin keeps its log-probabilities (2 bytes for
    every word of the vocabulary and every counted token), rows.npy the tokens. With it, the model is compared with the
    reference on the very same tokens. scores.npy has the figures of every token, answers.json the questions and the
    answers, evaluation.json the metrics and the continuations in full.
    """
    model, p = inputs["model"] / "model.gguf", spec.params
    metrics = _quality(spec, model, inputs, out)
    quality = f"perplexity {metrics['perplexity']:.2f}"
    if p["questions"] > 0:
        metrics |= _answers(spec, model, quality, out)
    spec.report(0.88, f"{quality} · measuring speed")
    metrics["fileBytes"] = model.stat().st_size
    metrics["tokensPerSecondBuilder"] = _speed(spec, model)
    loading = measure_loading(spec.llama_cpp_bin, model)
    metrics["loadSeconds"], metrics["peakRssBytes"] = loading.seconds, loading.peak_bytes
    if smoke_test := p.get("smokeTest"):
        spec.report(0.92, f"{quality} · running the smoke test")
        prompt = chat_prompt(spec.llama_cpp_bin, model, smoke_test["prompt"])
        answer = generate(spec.llama_cpp_bin, model, prompt, smoke_test["maxTokens"])
        metrics["smokeTestAnswer"] = answer[:ANSWER_CHARACTERS]
        metrics["smokeTestMatches"] = re.search(smoke_test["expect"], answer) is not None
    continuations = {}
    for index, prompt in enumerate(p["prompts"]):
        spec.report(0.95 + 0.05 * index / len(p["prompts"]), f"{quality} · continuing prompt {index + 1}")
        continuations[prompt] = generate(spec.llama_cpp_bin, model, prompt, p["promptTokens"])
    if continuations:
        metrics["repetition"] = round(repetition(list(continuations.values())), 4)
    write_json(out / "evaluation.json", {**metrics, "continuations": continuations})
    return metrics


def _quality(spec: Spec, model: Path, inputs: dict[str, Path], out: Path) -> Metrics:
    """Perplexity; with a reference also KL divergence from it, and how often both think the same token likeliest."""
    context, wanted = spec.params["contextLength"], spec.params["chunks"]
    spec.report(0.01, "reading the text")
    if "reference" in inputs:
        score, logits = score_against, inputs["reference"] / LOGITS
        rows = np.load(inputs["reference"] / ROWS)
    else:
        score, logits = score_reference, out / LOGITS
        encoder = llama_encoder(spec.llama_cpp_bin, model)
        rows = read_rows(inputs["datasets"] / "evaluation.jsonl", encoder, context, wanted)
        np.save(out / ROWS, rows)
    began = time.monotonic()

    def on_row(done: int) -> None:
        left = (time.monotonic() - began) / done * (len(rows) - done)
        spec.report(0.02 + 0.58 * done / len(rows), f"perplexity, row {done}/{len(rows)}", left)

    spec.report(0.02, "loading the model")
    scores = score(spec.llama_cpp_bin, model, rows, logits, on_row)
    scores.save(out / SCORES)
    perplexity = scores.perplexity
    metrics: Metrics = {
        "perplexity": round(perplexity.value, 4),
        "perplexityError": round(perplexity.error, 5),
        "perplexityRows": len(rows),
    }
    if scores.kld is None or scores.same is None:
        return {**metrics, "logitsBytes": logits.stat().st_size}
    kld, same = mean_of_rows(scores.kld), mean_of_rows(scores.same)
    metrics["kld"], metrics["kldError"] = round(kld.value, 6), round(kld.error, 6)
    metrics["topAgreement"], metrics["topAgreementError"] = round(same.value, 6), round(same.error, 6)
    return metrics


def _answers(spec: Spec, model: Path, quality: str, out: Path) -> Metrics:
    """Share of the questions answered right, of all and of every kind."""
    questions = chosen(spec.params["questions"])
    spec.report(0.6, f"{quality} · questions, loading the model")
    began = time.monotonic()

    def on_answer(done: int) -> None:
        # The first ones are answered side by side, and the model was loaded in their time.
        left = (time.monotonic() - began) / done * (len(questions) - done) if done > PARALLEL else None
        spec.report(0.6 + 0.28 * done / len(questions), f"{quality} · question {done}/{len(questions)}", left)

    answers = ask(spec.llama_cpp_bin, model, questions, on_answer)
    save_answers(answers, out / ANSWERS)
    metrics: Metrics = {"questions": len(answers)}
    for kind in ("", *KINDS):
        share = accuracy([answer for answer in answers if kind in ("", answer.kind)])
        name = f"accuracy{kind.capitalize()}"
        metrics[name], metrics[f"{name}Error"] = round(share.value, 4), round(share.error, 4)
    return metrics


def _speed(spec: Spec, model: Path) -> float:
    """Tokens generated per second on this machine, with whatever else it is doing."""
    command = [spec.llama_cpp_bin / "llama-bench", "-m", model, "-p", "0", "-n", str(spec.params["benchTokens"])]
    with tempfile.TemporaryFile() as result:
        run_program([*command, "-r", str(BENCH_REPETITIONS), "-t", _threads(), "-o", "json"], stdout=result)
        result.seek(0)
        return round(json.load(result)[0]["avg_ts"], 2)


def _threads() -> str:
    return str(len(os.sched_getaffinity(0)))


def chat_prompt(llama_cpp_bin: Path, model: Path, question: str) -> str:
    """The question as llama-server puts it to the model on a host."""
    vocabulary = read_vocabulary(llama_cpp_bin, model, question=question)
    if vocabulary.problem:
        raise StageError(
            f"llama-server would not start with the model's chat template: {vocabulary.problem}",
            "mend the template in a copy of the base model and name that as a `local` source",
        )
    return vocabulary.prompt
