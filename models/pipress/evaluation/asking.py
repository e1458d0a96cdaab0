"""Asks a model questions through llama-server, greedily, several at once."""

import http.client
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipress.evaluation.accuracy import Answer
from pipress.evaluation.questions import KINDS, Question
from pipress.evaluation.server import Server, post, refusal, serving

# Weights are read once for all of them, which is most of the work of a token.
PARALLEL = 8
# Tokens of one question and its answer, with room for a byte-level tokenizer.
CONTEXT = 640
# Between two tokens; an 8B in 16 bits needs half a minute for eight questions on two slow cores.
TIMEOUT_SECONDS = 3600


def ask(
    llama_cpp_bin: Path,
    model: Path,
    questions: Sequence[Question],
    on_answer: Callable[[int], None] = lambda done: None,
) -> list[Answer]:
    """The model's answers in the order of the questions. on_answer: called with how many there are.

    All questions of a kind are one request, through the chat template: what shares a batch then depends on the
    questions alone. As requests of their own they come in whatever order time makes, and every batch rounds another
    way: two runs of a 135M model then differed in 26 of 90 answers.
    Raises StageError when llama-server does not load the model or does not answer.
    """
    answers = [""] * len(questions)
    done = 0
    with serving(llama_cpp_bin, model, PARALLEL, CONTEXT) as server:
        for kind in KINDS:
            asked = [index for index, question in enumerate(questions) if question.kind == kind]
            prompts = [_prompt(server, questions[index]) for index in asked]
            for piece in _completions(server, kind, prompts) if prompts else ():
                answers[asked[piece["index"]]] += piece["content"]
                if piece["stop"]:
                    done += 1
                    on_answer(done)
    return [
        Answer(question.kind, question.difficulty, question.text, answer, question.is_right(answer))
        for question, answer in zip(questions, answers, strict=True)
    ]


def _prompt(server: Server, question: Question) -> str:
    """The question as the chat endpoint puts it to the model."""
    with _post(server, "/apply-template", {"messages": [{"role": "user", "content": question.text}]}) as response:
        return json.load(response)["prompt"]


def _completions(server: Server, kind: str, prompts: list[str]) -> Iterator[dict[str, Any]]:
    """Pieces of the answers as they are written: index of the prompt, content, and whether that was its last."""
    body = {"prompt": prompts, "temperature": 0, "n_predict": KINDS[kind].max_tokens, "stop": [*KINDS[kind].stop]}
    with _post(server, "/completion", {**body, "stream": True}) as response:
        for line in response:
            # The first is `null`: it only brings the headers.
            if line.startswith((b"data: ", b"error: ")) and (piece := json.loads(line.partition(b": ")[2])) is not None:
                yield _checked(piece)


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    if "content" not in document:
        raise refusal("a question", document)
    return document


def _post(server: Server, path: str, body: dict[str, Any]) -> http.client.HTTPResponse:
    response = post(server, path, body, TIMEOUT_SECONDS)
    if response.status != http.HTTPStatus.OK:
        with response:
            _checked(json.load(response))
    return response
