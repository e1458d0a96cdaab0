"""The health check that a release passes on the host itself: it loads, asks for a key, answers sensibly and fast enough."""

from __future__ import annotations

import http.client
import json
import math
import re
import time
from typing import Any, Callable, NamedTuple, Protocol

from .report import available_bytes, throttled
from .service import ServiceState
from .sizes import size_text
from .throttling import flags_now

#: Seconds between two looks at a server that is still loading.
POLL_SECONDS = 0.5
#: Seconds that a server may take to answer at all, be it that it is loading.
SILENCE = 20
#: Restarts by the service manager after which a server counts as crashing.
CRASHES = 2
#: Memory that the rest of the host keeps while the server answers, in bytes.
MIN_AVAILABLE = 64 * 1024 * 1024


#: What the vector of a text has in common with the builder's, at least: a cosine. Kernels round differently, which leaves
#: 0.996 of it with random weights, and 0.9998 with a model's own (docs/decisions/0027-embedding-models.md).
MIN_LIKENESS = 0.95
#: Tokens of the text by which the speed of an embedding model is measured.
TIMED_TOKENS = 256


class HealthCheckFailed(Exception):
    """The release did not pass; the message says at which question and with what answer."""


class Service(Protocol):
    """What the health check needs to know of the service manager."""

    def state(self) -> ServiceState:
        """How the service is doing now."""

    def log_tail(self) -> str:
        """The last it logged."""


class SmokeTest(NamedTuple):
    """A question to a model that chats."""

    prompt: str
    #: Regular expression that the answer must match somewhere.
    expect: str
    max_tokens: int


class Embedding(NamedTuple):
    """A text for an embedding model."""

    prompt: str
    #: Of the text, as the builder's llama-server gave it.
    vector: list[float]
    #: Tokens that a text may have.
    context: int


class HealthCheck(NamedTuple):
    """What the health check asks for. Times in seconds."""

    port: int
    test: SmokeTest | Embedding
    min_tokens_per_second: float
    start_timeout: float
    answer_timeout: float
    #: How long requests that are at work may take to end before the server is switched; 0 where nothing is in front of it.
    drain_timeout: float = 0

    @classmethod
    def of(cls, release: dict[str, Any]) -> HealthCheck:
        """The health check of a release, from its release.json."""
        settings, limits = release["settings"], release["healthCheck"]
        return cls(
            port=settings["port"],
            test=_test_of(release),
            min_tokens_per_second=settings["minTokensPerSecond"],
            start_timeout=limits["startTimeoutSeconds"],
            answer_timeout=limits["answerTimeoutSeconds"],
            drain_timeout=limits.get("drainSeconds", 0),
        )


def _test_of(release: dict[str, Any]) -> SmokeTest | Embedding:
    embedding = release.get("embedding")
    if embedding is None:
        test = release["smokeTest"]
        return SmokeTest(test["prompt"], test["expect"], test["maxTokens"])
    settings = release["settings"]
    vector = [float(value) for value in embedding["vector"].split()]
    return Embedding(embedding["prompt"], vector, settings["contextLength"] // settings["parallel"])


def run_health_check(
    check: HealthCheck, api_key: str, service: Service, note: Callable[[str], None]
) -> dict[str, Any]:
    """Asks everything in order; returns `{answer, tokensPerSecond, loadSeconds}` or raises HealthCheckFailed.

    Of an embedding model, `dimensions` of its vectors take the place of `answer`, and its speed is that of reading.
    """
    note("waiting for /health")
    load_seconds = wait_until_healthy(check.port, check.start_timeout, service)
    note("asking without an API key")
    _require_key(check)
    if isinstance(check.test, Embedding):
        note("embedding a text")
        found, tokens_per_second = _embed(check, check.test, api_key)
    else:
        note("asking the prompt of the smoke test")
        found, tokens_per_second = _ask(check, check.test, api_key)
    if tokens_per_second < check.min_tokens_per_second:
        raise HealthCheckFailed(
            f"{tokens_per_second:.2f} tokens a second are fewer than the {check.min_tokens_per_second} asked for"
        )
    _require_strength()
    return {
        **found,
        "tokensPerSecond": round(tokens_per_second, 3),
        "loadSeconds": round(load_seconds, 1),
    }


def is_healthy(port: int, timeout: float = 30) -> bool:
    """Whether the server on `port` says that it is ready."""
    return health_of(port, timeout) == 200


def becomes_healthy(port: int, timeout: float, service: Service) -> bool:
    """Whether the server is ready, or gets ready within `timeout` seconds: one that loads its model is waited for.

    Not so one that says nothing, or that dies meanwhile.
    """
    started = answered = time.monotonic()
    restarts = service.state().restarts
    while (status := health_of(port, 30)) != 200:
        now = time.monotonic()
        answered = answered if status is None else now
        state = service.state()
        is_dying = state.active == "failed" or state.restarts != restarts
        if is_dying or now - started > timeout or now - answered > SILENCE:
            return False
        time.sleep(POLL_SECONDS)
    return True


def health_of(port: int, timeout: float) -> int | None:
    """Status of /health: 200 ready, 503 loading; None where there is no answer."""
    try:
        return request(port, "GET", "/health", None, {}, timeout)[0]
    except (OSError, http.client.HTTPException):
        return None


def requests_at_work(port: int, api_key: str) -> int | None:
    """Requests that the server works on or has waiting; None where it does not say."""
    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        status, body = request(port, "GET", "/metrics", None, headers, 30)
    except (OSError, http.client.HTTPException):
        return None
    counts = re.findall(rb"^llamacpp:requests_(?:processing|deferred) ([0-9.]+)", body, re.MULTILINE)
    return sum(int(float(count)) for count in counts) if status == 200 and counts else None


def wait_until_healthy(port: int, timeout: float, service: Service) -> float:
    """Waits until /health says 200; returns the seconds that took. A crashing server ends the wait at once."""
    started = time.monotonic()
    while not is_healthy(port):
        state = service.state()
        if state.active == "failed" or state.restarts >= CRASHES:
            raise HealthCheckFailed(
                f"llama-server does not stay up: {service.log_tail() or 'it logged nothing'}"
            )
        if time.monotonic() - started > timeout:
            raise HealthCheckFailed(
                f"llama-server was not ready after {timeout:.0f} seconds: {service.log_tail()}"
            )
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def _require_strength() -> None:
    """What the first answer has shown about the board: whether it stands the load."""
    flags = flags_now(throttled())
    if flags:
        raise HealthCheckFailed(
            f"the firmware throttles the board under load (get_throttled 0x{flags:x}): see to supply and cooling"
        )
    available = available_bytes()
    if available < MIN_AVAILABLE:
        raise HealthCheckFailed(
            f"{size_text(available)} of memory are left while it answers, fewer than {size_text(MIN_AVAILABLE)}"
        )


def _require_key(check: HealthCheck) -> None:
    status, _ = _post(check, _question(check.test), None)
    if status != 401:
        raise HealthCheckFailed(f"a request without an API key was answered with {status}, not 401")


def _ask(check: HealthCheck, test: SmokeTest, api_key: str) -> tuple[dict[str, Any], float]:
    """`{answer}`, which is a sensible one, and tokens a second."""
    answer, thoughts, tokens_per_second = _smoke_test(check, test, api_key)
    # What a model thinks before it answers shows as well whether it works: many a model thinks past the last token.
    if not any(re.search(test.expect, text) for text in (answer, thoughts)):
        raise HealthCheckFailed(
            f"the prompt of the smoke test was answered with {answer!r}{_after(thoughts, answer, test)}, "
            f"which does not match /{test.expect}/"
        )
    return {"answer": answer or thoughts}, tokens_per_second


def _after(thoughts: str, answer: str, test: SmokeTest) -> str:
    """What a message adds about a model that thinks before it answers."""
    if not thoughts:
        return ""
    more = "" if answer else f" (smokeTest.maxTokens, {test.max_tokens}, may be too few for both)"
    return f" after it thought {thoughts!r}{more}"


def _smoke_test(check: HealthCheck, test: SmokeTest, api_key: str) -> tuple[str, str, float]:
    """The answer, what the model thought before it, and tokens a second."""
    started = time.monotonic()
    status, body = _post(check, _question(test), api_key)
    seconds = time.monotonic() - started
    if status != 200:
        raise HealthCheckFailed(
            f"the prompt of the smoke test was answered with status {status}: {body[:200]!r}"
        )
    try:
        document = json.loads(body)
        message = document["choices"][0]["message"]
        answer, thoughts = message["content"] or "", message.get("reasoning_content") or ""
        tokens = document["usage"]["completion_tokens"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise HealthCheckFailed(
            f"the prompt of the smoke test was answered with no chat completion: {body[:200]!r}"
        ) from error
    # llama-server's own figure leaves the reading of the prompt out.
    measured = document.get("timings", {}).get("predicted_per_second")
    return answer.strip(), thoughts.strip(), float(measured or tokens / seconds)


def _embed(check: HealthCheck, test: Embedding, api_key: str) -> tuple[dict[str, Any], float]:
    """`{dimensions}` of a vector that is the builder's, and tokens a second that are read of a longer text."""
    vector, tokens, _ = _vector(check, test, api_key)
    likeness = _cosine(vector, test.vector)
    if not likeness >= MIN_LIKENESS:
        raise HealthCheckFailed(
            f"the vector of {test.prompt!r} is another than on the builder: their cosine is {likeness:.3f}, "
            f"less than {MIN_LIKENESS}"
        )
    times = max(1, min(TIMED_TOKENS, test.context // 2) // tokens)
    _, tokens, seconds = _vector(check, test._replace(prompt=" ".join([test.prompt] * times)), api_key)
    return {"dimensions": len(vector)}, tokens / seconds


def _vector(check: HealthCheck, test: Embedding, api_key: str) -> tuple[list[float], int, float]:
    """The vector of a text, how many tokens that has, and how many seconds it took."""
    started = time.monotonic()
    status, body = _post(check, _question(test), api_key)
    seconds = time.monotonic() - started
    if status != 200:
        raise HealthCheckFailed(f"the text to embed was answered with status {status}: {body[:200]!r}")
    try:
        document = json.loads(body)
        # What is not a number comes as null.
        vector = [math.nan if value is None else float(value) for value in document["data"][0]["embedding"]]
        return vector, int(document["usage"]["prompt_tokens"]), seconds
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise HealthCheckFailed(f"the text to embed was answered with no vector: {body[:200]!r}") from error


def _cosine(one: list[float], other: list[float]) -> float:
    """Of the angle between two vectors; not a number where they cannot be compared."""
    if len(one) != len(other):
        return math.nan
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other)) / lengths if lengths > 0 else math.nan


def _question(test: SmokeTest | Embedding) -> tuple[str, dict[str, Any]]:
    """Path and body of the request that puts a model to the test."""
    if isinstance(test, Embedding):
        return "/v1/embeddings", {"input": test.prompt, "encoding_format": "float"}
    question = {
        "messages": [{"role": "user", "content": test.prompt}],
        "max_tokens": test.max_tokens,
        "temperature": 0,
        "seed": 1,
    }
    return "/v1/chat/completions", question


def _post(check: HealthCheck, question: tuple[str, dict[str, Any]], api_key: str | None) -> tuple[int, bytes]:
    path, asked = question
    headers = {"Content-Type": "application/json"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    body = json.dumps(asked).encode()
    try:
        return request(check.port, "POST", path, body, headers, check.answer_timeout)
    except (OSError, http.client.HTTPException) as error:
        raise HealthCheckFailed(
            f"a request to {path} got no answer within {check.answer_timeout:.0f} seconds: {error}"
        ) from error


def request(
    port: int, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
) -> tuple[int, bytes]:
    """Status and body of what the server on this host answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
