"""The web page of llama-server: what roles make of it, and the page in a real browser, in front of it the role's own HAProxy
and behind that two real llama-servers.

The model is tiny and has random weights; each server is made to say one letter.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path

import pytest
from ansible.module_utils.pipress_host.health_check import requests_at_work
from tokenizers import pre_tokenizers

ANSIBLE = Path(__file__).resolve().parent
sys.path += [str(ANSIBLE), str(ANSIBLE.parent / "models")]

from pipress.conftest import llama_cpp_bin, write_qwen  # noqa: F401
from pipress.testing import web_page
from pipress.testing.browser import CHROMIUM, Browser

from test_clients import KEY, chat_server
from test_load_balancer import HAPROXY, Balancer, server, within

# One letter a token.
TOKENS = 12
ANSWERS = ("A" * TOKENS, "B" * TOKENS)

in_browser = pytest.mark.skipif(
    HAPROXY is None or CHROMIUM is None, reason="no haproxy or no chromium here; install both packages"
)


def saying(letter: str) -> list[str]:
    """Arguments that make a model with the vocabulary of `write_qwen` say nothing else."""
    return ["--logit-bias", f"{sorted(pre_tokenizers.ByteLevel.alphabet()).index(letter)}+100"]


RENDER = """
- name: A release
  hosts: all
  gather_facts: false
  vars_files: ["{{ files }}/group_vars/all/main.yml", "{{ files }}/group_vars/all/server-arguments.yml",
               "{{ files }}/roles/server/vars/main.yml"]
  tasks:
    - name: Render its unit
      ansible.builtin.template:
        src: "{{ files }}/roles/server/templates/pipress-llama.service.j2"
        dest: "{{ out }}/unit"
        mode: "0600"
    - name: Render its links
      ansible.builtin.copy:
        content: "{{ _server_parts | to_json }}"
        dest: "{{ out }}/parts"
        mode: "0600"
"""
SETTINGS = {
    "port": 8080,
    "threads": 4,
    "parallel": 1,
    "contextLength": 512,
    "cacheType": "f16",
    "speculation": "none",
    "flags": {},
}


def rendered(tmp_path: Path, play, release: dict) -> tuple[list[str], dict[str, str]]:
    """Lines of the unit, and the parts of the release's folder, as a play renders them."""
    file = {"sha256": "aa", "bytes": 1}
    common = {
        "name": "tiny",
        "model": file,
        "server": file,
        "settings": SETTINGS,
        "memoryMax": 1,
        "digest": "d",
    }
    given = {
        "files": str(ANSIBLE),
        "out": str(tmp_path),
        "llama_cpp_server_sha256": "bb",
        "pipress_release": {**common, **release},
    }
    code, events = play(RENDER, given)
    assert code == 0, events
    return (tmp_path / "unit").read_text().splitlines(), json.loads((tmp_path / "parts").read_text())


def arguments_of(unit: list[str]) -> list[str]:
    """How a unit starts llama-server."""
    [start] = [line for line in unit if line.startswith("ExecStart=")]
    return start.split()


def test_a_release_with_a_page_shows_its_server_nothing_else(tmp_path, play):
    unit, parts = rendered(tmp_path, play, {"page": {"sha256": "cc", "bytes": 9}})
    assert parts["page.html"] == "../../store/cc"
    current = "/var/lib/pipress/current"
    assert f"BindReadOnlyPaths={current}/page.html:{current}/page/index.html" in unit
    arguments = arguments_of(unit)
    assert arguments[arguments.index("--ui") :][:3] == ["--ui", "--path", f"{current}/page"]
    assert {"--no-slots", "--api-key-file"} <= set(arguments)
    assert {"--no-ui", "--slot-save-path"} & set(arguments) == set()


def test_a_release_without_one_has_no_page(tmp_path, play):
    unit, parts = rendered(tmp_path, play, {})
    assert "page.html" not in parts
    assert "--no-ui" in arguments_of(unit) and {"--ui", "--path"} & set(arguments_of(unit)) == set()
    assert not [line for line in unit if line.startswith("BindReadOnlyPaths")]


@pytest.fixture(scope="module")
def page() -> Path:
    """The folder of the page that bootstrap has built; same rule as `common/paths.ts`."""
    cache = os.environ.get("PIPRESS_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pipress"
    )
    built = sorted(Path(cache, "web-page").glob("*/page.json"), key=lambda file: file.stat().st_mtime)
    if not built:
        pytest.skip("the web page is not built; `npm run bootstrap -- --test` does that")
    return built[-1].parent


@pytest.fixture(scope="module")
def ports(llama_cpp_bin, page, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("servers")
    write_qwen(folder / "model.gguf", "qwen2")
    more = ["--ui", "--path", str(page), "--n-predict", str(TOKENS)]
    with (
        chat_server(llama_cpp_bin, folder, *more, *saying("A")) as one,
        chat_server(llama_cpp_bin, folder, *more, *saying("B")) as other,
    ):
        yield one, other


@pytest.fixture(scope="module")
def endpoint(ports, tmp_path_factory):
    balancer = Balancer(tmp_path_factory.mktemp("balancer"))
    balancer.start([server(port, f"pi-{port}") for port in ports])
    yield f"http://127.0.0.1:{balancer.port}/"
    balancer.stop()


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path / "chromium")
    yield browser
    browser.close()


@in_browser
def test_the_page_answers_behind_the_endpoint_with_the_key_alone(browser, endpoint):
    browser.open(endpoint, 1160, 760)
    browser.wait_for("document.body.innerText.includes('Access denied')")
    assert not browser.evaluate(f"document.querySelector({json.dumps(web_page.QUESTION_FIELD)}) !== null")
    web_page.give_key(browser, "another")
    browser.wait_for("document.body.innerText.includes('Invalid API key')")

    browser.open(endpoint, 1160, 760)
    web_page.give_key(browser, KEY)
    shown = web_page.ask(browser, "Hello")
    assert any(answer in shown for answer in ANSWERS), shown

    # It is whole in one answer, and talks with nobody else.
    asked = {url for url in browser.requests() if not url.startswith(("data:", "blob:"))}
    assert {url for url in asked if not url.startswith(endpoint)} == set()
    assert {url for url in asked if url.endswith((".js", ".css", ".woff2"))} == set()
    exceptions = [event for event in browser.errors() if event["method"] == "Runtime.exceptionThrown"]
    assert exceptions == []


@in_browser
def test_nothing_but_the_page_is_handed_out_without_the_key(endpoint):
    def status(method: str, path: str, body: str | None = None, **headers: str) -> int:
        connection = http.client.HTTPConnection(endpoint.split("/")[2], timeout=30)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    question = json.dumps({"messages": [{"role": "user", "content": "Hello"}]})
    key = {"Authorization": f"Bearer {KEY}"}
    assert status("GET", "/") == 200
    for path in ("/index.html", "/page.json", "/props", "/slots", "/v1/models", "/metrics"):
        assert status("GET", path) == 401, path
    assert status("POST", "/v1/chat/completions", question) == 401
    assert status("POST", "/v1/chat/completions", question, **key) == 200
    # Clients can neither see nor save a slot, with the key either.
    assert status("GET", "/slots", **key) == 501
    assert status("POST", "/slots/0?action=save", '{"filename": "x"}', **key) == 501


@pytest.fixture
def long_answers(llama_cpp_bin, page, tmp_path):  # noqa: F811
    """Address of an endpoint before two servers whose answers do not end, and their ports."""
    write_qwen(tmp_path / "model.gguf", "qwen2")
    more = ["--ui", "--path", str(page), *saying("A")]
    balancer = Balancer(tmp_path)
    with (
        chat_server(llama_cpp_bin, tmp_path, *more) as one,
        chat_server(llama_cpp_bin, tmp_path, *more) as other,
    ):
        balancer.start([server(port, f"pi-{port}") for port in (one, other)])
        yield f"http://127.0.0.1:{balancer.port}/", (one, other)
        balancer.stop()


@in_browser
@pytest.mark.parametrize("leave", ["stop", "close"])
def test_an_answer_ends_when_it_is_stopped_and_when_the_tab_is_closed(leave, browser, long_answers):
    endpoint, ports = long_answers
    browser.open(endpoint, 1160, 760)
    web_page.give_key(browser, KEY)
    web_page.send(browser, "Hello")
    assert within(30, lambda: at_work(ports) == 1)
    if leave == "stop":
        browser.click(web_page.STOP)
    else:
        browser.close_page()
    assert within(20, lambda: at_work(ports) == 0), "a host still answers somebody who has gone"


def at_work(ports: tuple[int, int]) -> int:
    return sum(requests_at_work(port, KEY) for port in ports)


@in_browser
def test_the_page_talks_with_the_first_of_several_models_or_the_one_in_its_settings(browser, ports, tmp_path):
    balancer = Balancer(tmp_path)
    balancer.start([server(ports[0], "pi-1", model="small"), server(ports[1], "pi-2", model="large")])
    try:
        url = f"http://127.0.0.1:{balancer.port}/"
        browser.open(url, 1160, 760)
        web_page.give_key(browser, KEY)
        assert ANSWERS[0] in web_page.ask(browser, "Hello")
        # As under Settings, Developer.
        custom = "{...JSON.parse(localStorage['LlamaUi.config']), customJson: '{\"model\": \"large\"}'}"
        browser.evaluate(f"localStorage['LlamaUi.config'] = JSON.stringify({custom})")
        browser.open(url, 1160, 760)
        assert ANSWERS[1] in web_page.ask(browser, "Hello")
    finally:
        balancer.stop()
