"""Asks a model questions through llama-server's chat endpoint, greedily, several at once."""

import http.client
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipress.errors import StageError
from pipress.evaluation.accuracy import Answer
from pipress.evaluation.questions import KINDS, Question
from pipress.evaluation.server import Server, serving

# Weights are read once for all of them, which is most of the work of a token.
PARALLEL = 8
# Tokens of one question and its answer, with room for a byte-level tokenizer.
CONTEXT = 640
# For one answer; with eight at once, an 8B in 16 bits needs minutes on two cores.
TIMEOUT_SECONDS = 3600


def ask(
    llama_cpp_bin: Path,
    model: Path,
    questions: Sequence[Question],
    on_answer: Callable[[int], None] = lambda done: None,
) -> list[Answer]:
    """The model's answers in the order of the questions. Greedy, but for ties that rounding decides: which questions
    share a batch depends on time. on_answer: called with how many there are.

    Raises StageError when llama-server does not load the model or does not answer.
    """
    answers: dict[int, str] = {}
    # The longest answers first: at the end, few are left to share a batch.
    order = sorted(range(len(questions)), key=lambda index: -KINDS[questions[index].kind].max_tokens)
    # The server ends before the pool waits for its requests: they end with it.
    with ThreadPoolExecutor(PARALLEL) as pool, serving(llama_cpp_bin, model, PARALLEL, CONTEXT) as server:
        asked = {pool.submit(_ask, server, questions[index]): index for index in order}
        try:
            for done, future in enumerate(as_completed(asked), 1):
                answers[asked[future]] = future.result()
                on_answer(done)
        finally:
            for future in asked:
                future.cancel()
    return [
        Answer(question.kind, question.difficulty, question.text, answers[index], question.is_right(answers[index]))
        for index, question in enumerate(questions)
    ]


def _ask(server: Server, question: Question) -> str:
    kind = KINDS[question.kind]
    body = {
        "messages": [{"role": "user", "content": question.text}],
        "temperature": 0,
        "max_tokens": kind.max_tokens,
        "stop": [*kind.stop],
    }
    status, document = _post(server, "/v1/chat/completions", body)
    if status != http.HTTPStatus.OK:
        reason = document.get("error", {}).get("message", document)
        raise StageError(f"llama-server refuses a question with status {status}: {reason}", "the log has its output")
    return document["choices"][0]["message"].get("content") or ""


def _post(server: Server, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
