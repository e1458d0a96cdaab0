"""The health check against a server that answers as each test says; what the board shows is said, too."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time

import pytest

from pipress_host import health_check
from pipress_host.health_check import (
    MIN_AVAILABLE,
    Embedding,
    HealthCheck,
    HealthCheckFailed,
    SmokeTest,
    becomes_healthy,
    health_of,
    is_healthy,
    requests_at_work,
    run_health_check,
    wait_until_healthy,
)
from pipress_host.service import ServiceState


class Server(http.server.ThreadingHTTPServer):
    """In the place of llama-server."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.port = self.server_address[1]
        #: Answers of /health, one after the other; the last stays.
        self.health = [200]
        self.metrics = (200, "")
        #: What a chat completion with a key is answered with, after how many seconds.
        self.chat = (200, completion())
        #: What a text to embed is.
        self.vectors = (200, vectors())
        self.seconds = 0.0
        self.asked = []


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            health = self.server.health
            return self.reply(health.pop(0) if len(health) > 1 else health[0], "")
        assert self.path == "/metrics" and self.headers["Authorization"] == "Bearer key"
        return self.reply(*self.server.metrics)

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Authorization"]
        self.server.asked.append((self.path, key, question))
        if key is None:
            return self.reply(401, "")
        time.sleep(self.server.seconds)
        return self.reply(*(self.server.vectors if self.path == "/v1/embeddings" else self.server.chat))

    def reply(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


def completion(content="Paris", tokens=10, **more):
    return json.dumps(
        {"choices": [{"message": {"content": content}}], "usage": {"completion_tokens": tokens}, **more}
    )


def vectors(vector=(0.6, 0.8), tokens=10):
    data = [{"embedding": list(vector)}]
    return json.dumps({"data": data, "usage": {"prompt_tokens": tokens}})


class Service:
    """In the place of the service manager; `states` one after the other, the last stays."""

    def __init__(self, *states):
        self.states = list(states) or [ServiceState("active", 0)]

    def state(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def log_tail(self):
        return "out of memory"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(health_check, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(health_check, "throttled", lambda: 0x50000)
    monkeypatch.setattr(health_check, "available_bytes", lambda: MIN_AVAILABLE)
    made = Server()
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def nobody():
    """A port on which nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def check_of(port, **changes):
    check = HealthCheck(
        port=port,
        test=SmokeTest(prompt="Capital of France?", expect="Paris", max_tokens=8),
        min_tokens_per_second=1.0,
        start_timeout=5.0,
        answer_timeout=5.0,
    )
    return check._replace(**changes)


def ask(server, service=None, **changes):
    steps = []
    outcome = run_health_check(check_of(server.port, **changes), "key", service or Service(), steps.append)
    assert len(steps) == 3
    return outcome


def failure(server, **changes):
    with pytest.raises(HealthCheckFailed) as failed:
        ask(server, **changes)
    return str(failed.value)


def test_a_release_is_asked_the_same_question_without_a_key_and_with_it(server):
    server.chat = (200, completion(" Paris.\n", timings={"predicted_per_second": 2.34567}))
    outcome = ask(server)
    assert (outcome["answer"], outcome["tokensPerSecond"]) == ("Paris.", 2.346)
    assert outcome["loadSeconds"] == pytest.approx(0, abs=1)
    question = {
        "messages": [{"role": "user", "content": "Capital of France?"}],
        "max_tokens": 8,
        "temperature": 0,
        "seed": 1,
    }
    path = "/v1/chat/completions"
    assert server.asked == [(path, None, question), (path, "Bearer key", question)]


def test_the_time_that_loading_takes_is_told_to_a_tenth_of_a_second(server):
    server.health = [503] * 12 + [200]
    seconds = ask(server)["loadSeconds"]
    assert seconds == round(seconds, 1) and 0.1 <= seconds < 3


def test_without_the_servers_own_figure_the_speed_is_tokens_by_the_seconds_they_took(server):
    server.seconds = 0.2
    assert 20 < ask(server)["tokensPerSecond"] <= 50


@pytest.mark.parametrize(("speed", "passes"), [(1.0, True), (0.99, False)])
def test_as_fast_as_was_asked_for_is_fast_enough(server, speed, passes):
    server.chat = (200, completion(timings={"predicted_per_second": speed}))
    if passes:
        assert ask(server)["tokensPerSecond"] == speed
    else:
        assert "0.99 tokens a second are fewer than the 1.0" in failure(server)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("<html>", "no chat completion: b'<html>'"),
        ("{}", "no chat completion"),
        ('{"choices": []}', "no chat completion"),
        ('{"choices": [null]}', "no chat completion"),
        ("x" * 999, "'" + "x" * 200 + "'"),
    ],
)
def test_what_is_no_chat_completion_is_shown_from_its_beginning(server, body, part):
    server.chat = (200, body)
    assert part in failure(server)


def test_an_error_is_shown_with_its_status(server):
    server.chat = (500, "out of " + "x" * 999)
    assert f"answered with status 500: b'out of {'x' * 193}'" in failure(server)


def test_an_answer_that_takes_too_long_is_none(server):
    server.seconds = 1.0
    assert "got no answer within 0 seconds" in failure(server, answer_timeout=0.2)


@pytest.mark.parametrize("flags", [0x1, 0x8])
def test_a_board_that_is_throttled_while_it_answers_fails(server, monkeypatch, flags):
    monkeypatch.setattr(health_check, "throttled", lambda: flags)
    assert f"get_throttled 0x{flags:x}" in failure(server)


def test_a_board_whose_memory_runs_out_while_it_answers_fails(server, monkeypatch):
    monkeypatch.setattr(health_check, "available_bytes", lambda: MIN_AVAILABLE - 1)
    assert "of memory are left" in failure(server)
    assert MIN_AVAILABLE == 64 * 2**20


@pytest.mark.parametrize(
    ("status", "is_ready"), [(200, True), (503, False), (500, False), (404, False), (201, False)]
)
def test_ready_is_what_says_so(server, status, is_ready):
    server.health = [status]
    assert (health_of(server.port, 5), is_healthy(server.port)) == (status, is_ready)


def test_nothing_is_no_answer(nobody):
    assert health_of(nobody, 1) is None and requests_at_work(nobody, "key") is None


@pytest.mark.parametrize(
    ("status", "text", "count"),
    [
        (200, "llamacpp:requests_processing 2\nllamacpp:requests_deferred 3\n", 5),
        (200, "# HELP llamacpp:requests_processing 9\nllamacpp:requests_processing 1.0\n", 1),
        (200, "llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n", 0),
        (200, "llamacpp:prompt_tokens_total 7\n", None),
        (401, "llamacpp:requests_processing 2\n", None),
    ],
)
def test_requests_at_work_are_those_answered_and_those_that_wait(server, status, text, count):
    server.metrics = (status, text)
    assert requests_at_work(server.port, "key") == count


def test_waiting_ends_when_the_server_is_ready(server):
    server.health = [503, 503, 200]
    assert 0 < wait_until_healthy(server.port, 5, Service()) < 3


@pytest.mark.parametrize("state", [ServiceState("failed", 0), ServiceState("activating", 2)])
def test_waiting_ends_at_once_when_the_server_keeps_crashing(nobody, state):
    started = time.monotonic()
    with pytest.raises(HealthCheckFailed, match="does not stay up: out of memory"):
        wait_until_healthy(nobody, 60, Service(state))
    assert time.monotonic() - started < 5


def test_one_restart_is_no_reason_to_give_up_yet(server):
    server.health = [503, 200]
    wait_until_healthy(server.port, 5, Service(ServiceState("active", 1)))


def test_waiting_ends_after_the_time_that_was_given(server):
    server.health = [503]
    started = time.monotonic()
    with pytest.raises(HealthCheckFailed, match="not ready after 0 seconds: out of memory"):
        wait_until_healthy(server.port, 0.2, Service())
    assert 0.2 <= time.monotonic() - started < 3


def test_a_server_that_loads_is_waited_for(server):
    server.health = [503, 503, 200]
    assert becomes_healthy(server.port, 5, Service(ServiceState("active", 4)))


def test_but_no_longer_than_was_given(server):
    server.health = [503]
    started = time.monotonic()
    assert not becomes_healthy(server.port, 0.2, Service())
    assert 0.2 <= time.monotonic() - started < 3


@pytest.mark.parametrize(
    "states",
    [
        [ServiceState("active", 0), ServiceState("failed", 0)],
        [ServiceState("active", 0), ServiceState("active", 1)],
        [ServiceState("active", 1), ServiceState("active", 0)],
    ],
)
def test_a_server_that_dies_meanwhile_is_not_waited_for(server, states):
    server.health = [503] * 20 + [200]
    started = time.monotonic()
    assert not becomes_healthy(server.port, 60, Service(*states))
    assert time.monotonic() - started < 5


def test_a_server_that_says_nothing_is_given_up_sooner_than_one_that_loads(server, nobody, monkeypatch):
    monkeypatch.setattr(health_check, "SILENCE", 0.1)
    started = time.monotonic()
    assert not becomes_healthy(nobody, 60, Service())
    assert 0.1 <= time.monotonic() - started < 5
    server.health = [503] * 30 + [200]
    assert becomes_healthy(server.port, 60, Service())


def test_limits_come_from_the_release():
    release = {
        "settings": {"port": 8080, "minTokensPerSecond": 1.5},
        "smokeTest": {"prompt": "?", "expect": "!", "maxTokens": 8},
        "healthCheck": {"startTimeoutSeconds": 300, "answerTimeoutSeconds": 60, "drainSeconds": 30},
    }
    assert HealthCheck.of(release) == HealthCheck(8080, SmokeTest("?", "!", 8), 1.5, 300, 60, 30)
    del release["healthCheck"]["drainSeconds"]
    assert HealthCheck.of(release).drain_timeout == 0


EMBEDS = Embedding("Capital?", [0.6, 0.8], context=128)


def test_an_embedding_model_is_asked_for_the_builder_s_vector_and_timed_on_a_longer_text(server):
    outcome = ask(server, test=EMBEDS)
    assert outcome["dimensions"] == 2 and "answer" not in outcome
    path, asked = "/v1/embeddings", {"input": "Capital?", "encoding_format": "float"}
    # Half of the context at ten tokens a time.
    longer = {**asked, "input": " ".join(["Capital?"] * 6)}
    assert server.asked == [
        (path, None, asked),
        (path, "Bearer key", asked),
        (path, "Bearer key", longer),
    ]


def test_an_embedding_model_is_as_fast_as_it_reads(server):
    server.seconds = 0.2
    assert 20 < ask(server, test=EMBEDS)["tokensPerSecond"] <= 50
    assert "tokens a second are fewer than the 60 asked for" in failure(
        server, test=EMBEDS, min_tokens_per_second=60
    )


@pytest.mark.parametrize(
    ("vector", "cosine"),
    [((1, 0.2), "0.745"), ((0, 0), "nan"), ((None, 0.8), "nan"), ((0.6, 0.8, 0), "nan")],
)
def test_another_vector_than_the_builder_s_fails(server, vector, cosine):
    server.vectors = (200, vectors(vector))
    assert f"their cosine is {cosine}, less than 0.95" in failure(server, test=EMBEDS)


def test_kernels_may_round_differently(server):
    server.vectors = (200, vectors((0.61, 0.79)))
    assert ask(server, test=EMBEDS)["dimensions"] == 2


@pytest.mark.parametrize(
    ("answer", "part"),
    [((500, "out of memory"), "with status 500: b'out of memory'"), ((200, "{}"), "with no vector: b'{}'")],
)
def test_what_is_no_vector_is_shown(server, answer, part):
    server.vectors = answer
    assert part in failure(server, test=EMBEDS)


def test_what_an_embedding_model_is_asked_comes_from_the_release():
    release = {
        "settings": {"port": 8080, "minTokensPerSecond": 1.5, "contextLength": 1024, "parallel": 2},
        "embedding": {"pooling": "mean", "prompt": "?", "vector": "0.6 -0.8"},
        "healthCheck": {"startTimeoutSeconds": 300, "answerTimeoutSeconds": 60},
    }
    assert HealthCheck.of(release).test == Embedding("?", [0.6, -0.8], 512)
