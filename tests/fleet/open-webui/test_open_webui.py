"""Open WebUI itself on the fleet's endpoint: the role's own HAProxy, and a real llama-server for each model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pipress.conftest import llama_cpp_bin, write_qwen  # noqa: F401
from test_clients import CONTEXT, EMBEDDING, KEY, MODEL, embedding_server, llama_server
from test_load_balancer import HAPROXY, Balancer, free_port, server

PROGRAM = os.environ.get("PIPRESS_OPEN_WEBUI", "")
pytestmark = [
    pytest.mark.skipif(PROGRAM == "", reason="takes a while: `npm run test:fleet` installs Open WebUI for it"),
    pytest.mark.skipif(HAPROXY is None, reason="no haproxy here; install the package haproxy"),
]

OTHER = "other"
# Its database is made step by step, which on two busy cores takes most of a minute.
START_SECONDS = 300
ANSWER_SECONDS = 120


class WebUi:
    """A running Open WebUI, asked as its own page asks it. ports: of the llama-servers by model."""

    def __init__(self, url: str, ports: dict[str, int]):
        self.url = url
        self.ports = ports
        signed_in = requests.post(
            f"{url}/api/v1/auths/signin", json={"email": "", "password": ""}, timeout=ANSWER_SECONDS
        )
        self.headers = {"Authorization": f"Bearer {signed_in.json()['token']}"}

    def get(self, path: str) -> dict:
        answer = requests.get(self.url + path, headers=self.headers, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict) -> str:
        answer = requests.post(self.url + path, json=body, headers=self.headers, timeout=ANSWER_SECONDS)
        assert answer.ok, answer.text
        return answer.text

    def figure(self, model: str, name: str) -> float:
        """What the llama-server of a model has counted."""
        headers = {"Authorization": f"Bearer {KEY}"}
        said = requests.get(f"http://127.0.0.1:{self.ports[model]}/metrics", headers=headers, timeout=ANSWER_SECONDS)
        return float(re.search(rf"^llamacpp:{name} (\S+)", said.text, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def web_ui(llama_cpp_bin, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("open-webui")
    model = write_qwen(folder / "model.gguf", "qwen2")
    context = ["--ctx-size", str(CONTEXT)]
    balancer = Balancer(tmp_path_factory.mktemp("balancer"))
    with (
        llama_server(llama_cpp_bin, model, MODEL, context) as tiny,
        llama_server(llama_cpp_bin, model, OTHER, context) as other,
        embedding_server(llama_cpp_bin, tmp_path_factory.mktemp("embeds")) as embeds,
    ):
        ports = {MODEL: tiny, OTHER: other, EMBEDDING: embeds}
        balancer.start([server(port, f"pi-{name}", model=name) for name, port in ports.items()])
        try:
            yield from run(folder, f"http://127.0.0.1:{balancer.port}/v1", ports)
        finally:
            balancer.stop()


def run(folder: Path, base_url: str, ports: dict[str, int]) -> Iterator[WebUi]:
    """Open WebUI with the settings of docs/clients.md, and what keeps it from the internet."""
    documented = {
        "ENABLE_OLLAMA_API": "False",
        "OPENAI_API_BASE_URL": base_url,
        "OPENAI_API_KEY": KEY,
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": EMBEDDING,
        "RAG_OPENAI_API_BASE_URL": base_url,
        "RAG_OPENAI_API_KEY": KEY,
    }
    offline = {"OFFLINE_MODE": "True", "ANONYMIZED_TELEMETRY": "False"}
    own = {"HOME": str(folder), "DATA_DIR": str(folder / "data"), "WEBUI_SECRET_KEY": "test"}
    environment = {**os.environ, **documented, **offline, **own, "WEBUI_AUTH": "False"}
    (folder / "data").mkdir()
    port, log = free_port(), folder / "log"
    with open(log, "w") as out:
        command = [PROGRAM, "serve", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + START_SECONDS
        while not answers(url):
            assert process.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.5)
        yield WebUi(url, ports)
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=10).ok
    except requests.RequestException:
        return False


def test_it_lists_the_models_of_the_fleet(web_ui):
    assert sorted(model["id"] for model in web_ui.get("/api/models")["data"]) == sorted(web_ui.ports)


@pytest.mark.parametrize("model", [MODEL, OTHER])
def test_it_streams_the_answer_of_the_model_that_was_chosen(web_ui, model):
    counts = {name: web_ui.figure(name, "tokens_predicted_total") for name in (MODEL, OTHER)}
    asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "stream": True}
    said = web_ui.post("/api/chat/completions", asked)
    pieces = [line.removeprefix("data: ") for line in said.splitlines() if line.startswith("data: ")]
    assert len(pieces) > 4 and pieces[-1] == "[DONE]"
    assert all("choices" in json.loads(piece) for piece in pieces[:-1])
    for name, count in counts.items():
        assert web_ui.figure(name, "tokens_predicted_total") - count == (8 if name == model else 0)


def test_it_searches_texts_by_the_fleet_s_embedding_model(web_ui):
    text = {"name": "lamps", "content": "The lamp in the hall is red.", "collection_name": "lamps"}
    web_ui.post("/api/v1/retrieval/process/text", text)
    query = {"collection_names": ["lamps"], "query": "Which lamp is red?", "k": 1}
    found = json.loads(web_ui.post("/api/v1/retrieval/query/collection", query))
    assert found["documents"] == [["The lamp in the hall is red."]]
    assert web_ui.figure(EMBEDDING, "prompt_tokens_total") > 40
