"""Clients that people use, on the fleet's endpoint: the real packages, the role's own HAProxy, two real llama-servers.

The model is tiny and has random weights: what it says is nonsense, in the form that was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from ansible.module_utils.pipress_host.health_check import requests_at_work
from langchain_openai import ChatOpenAI
from openai import AuthenticationError, OpenAI
from pydantic import BaseModel

ANSIBLE = Path(__file__).resolve().parent
sys.path += [str(ANSIBLE), str(ANSIBLE.parent / "models")]

from pipress.conftest import llama_cpp_bin, write_qwen  # noqa: F401

from test_load_balancer import HAPROXY, Balancer, free_port, server

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="no haproxy here; install the package haproxy")

KEY, MODEL = "key", "tiny"
# Room for the tools that a template lists: the model has one token for each byte.
CONTEXT = 4096
HELLO = [{"role": "user", "content": "Hello"}]


class Light(BaseModel):
    """Switches a light."""

    color: Literal["red", "green"]
    on: bool


# A model that knows what it does would begin the call by itself; this one is made to.
CALLS = {
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "logit_bias": {"257": 100},
    "max_tokens": 256,
}
TOOL = {"name": "light", "description": "Switches a light.", "parameters": Light.model_json_schema()}


# A chat template that knows tools, as those of Qwen do: llama-server reads off it how a call is written.
TEMPLATE = """
{%- if tools %}<|im_start|>system
You may call these tools:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}Answer with <tool_call>{"name": NAME, "arguments": OBJECT}</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@contextlib.contextmanager
def llama_server(programs: Path, folder: Path) -> Iterator[int]:
    """A server as hosts run it (group_vars/all/server-arguments.yml); yields its port."""
    port = free_port()
    command = [
        programs / "llama-server",
        "--model",
        folder / "model.gguf",
        "--alias",
        MODEL,
        "--port",
        str(port),
    ]
    command += [
        "--threads",
        "1",
        "--parallel",
        "1",
        "--ctx-size",
        str(CONTEXT),
        "--cache-ram",
        "0",
        "--metrics",
    ]
    command += ["--no-slots", "--no-ui", "--offline", "--no-warmup", "--cors-origins", "localhost"]
    template = folder / "template.jinja"
    template.write_text(TEMPLATE)
    command += ["--chat-template-file", template]
    log = folder / f"{port}.log"
    with open(log, "w") as out:
        environment = {**os.environ, "LLAMA_API_KEY": KEY}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        while "listening on" not in (said := log.read_text()):
            assert process.poll() is None, said
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def ports(llama_cpp_bin, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("servers")
    write_qwen(folder / "model.gguf", "qwen2")
    with llama_server(llama_cpp_bin, folder) as one, llama_server(llama_cpp_bin, folder) as other:
        yield one, other


@pytest.fixture(scope="module")
def url(ports, tmp_path_factory):
    balancer = Balancer(tmp_path_factory.mktemp("balancer"))
    balancer.start([server(port, f"pi-{port}") for port in ports])
    yield f"http://127.0.0.1:{balancer.port}/v1"
    balancer.stop()


@pytest.fixture
def openai(url):
    return OpenAI(base_url=url, api_key=KEY)


@pytest.fixture
def chat(url):
    return ChatOpenAI(base_url=url, api_key=KEY, model=MODEL, max_tokens=64)


def test_openai_lists_the_model_by_the_release_s_name(openai):
    assert [model.id for model in openai.models.list()] == [MODEL]


def test_openai_gets_an_answer_whole_and_in_pieces(openai):
    whole = openai.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, temperature=0)
    assert whole.usage.completion_tokens == 8 and whole.choices[0].finish_reason == "length"
    pieces = list(
        openai.chat.completions.create(
            model=MODEL,
            messages=HELLO,
            max_tokens=8,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content and pieces[-1].usage.completion_tokens == 8


def test_openai_gets_an_answer_of_a_schema(openai):
    answer = openai.chat.completions.parse(model=MODEL, messages=HELLO, max_tokens=64, response_format=Light)
    assert isinstance(answer.choices[0].message.parsed, Light)


def test_openai_gets_a_call_of_a_tool(openai):
    answer = openai.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        tools=[{"type": "function", "function": TOOL}],
        **CALLS,
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "light"
    Light.model_validate_json(call.function.arguments)


def test_openai_is_refused_without_the_key(url):
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=url, api_key="another").chat.completions.create(model=MODEL, messages=HELLO)


def test_a_client_that_goes_away_in_the_middle_leaves_no_request_behind(openai, ports):
    stream = openai.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=3500, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    assert sum(requests_at_work(port, KEY) for port in ports) == 1
    stream.close()
    deadline = time.monotonic() + 20
    while any(requests_at_work(port, KEY) for port in ports):
        assert time.monotonic() < deadline, "a host still answers somebody who has gone"
        time.sleep(0.1)


def test_langchain_gets_answers_pieces_schemas_and_tools(chat):
    assert chat.invoke("Hello").usage_metadata["output_tokens"] > 0
    assert sum(1 for _ in chat.stream("Hello")) > 1
    structured = chat.with_structured_output(Light, method="json_schema").invoke("Hello")
    assert isinstance(structured, Light)
    called = chat.bind_tools([Light]).bind(**CALLS).invoke("Hello")
    assert called.tool_calls[0]["name"] == "Light" and Light(**called.tool_calls[0]["args"])


SCRIPT = """
import OpenAI from "openai";
const [baseURL, apiKey, model, tool, calls] = JSON.parse(process.env.TEST);
const client = new OpenAI({ baseURL, apiKey });
const asked = { model, messages: [{ role: "user", content: "Hello" }], temperature: 0, max_tokens: 8 };
const models = (await client.models.list()).data.map(({ id }) => id);
const whole = await client.chat.completions.create(asked);
let text = "";
for await (const piece of await client.chat.completions.create({ ...asked, stream: true }))
  text += piece.choices[0]?.delta?.content ?? "";
const schema = { type: "json_schema", json_schema: { name: tool.name, schema: tool.parameters } };
const formed = await client.chat.completions.create({ ...asked, max_tokens: 64, response_format: schema });
const called = await client.chat.completions.create({
  ...asked, tools: [{ type: "function", function: tool }], ...calls,
});
console.log(JSON.stringify({
  models, same: text === whole.choices[0].message.content, formed: formed.choices[0].message.content,
  called: called.choices[0].message.tool_calls[0].function,
}));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_openai_s_package_for_node_gets_the_same(url):
    environment = {**os.environ, "TEST": json.dumps([url, KEY, MODEL, TOOL, CALLS])}
    command = ["node", "--input-type=module", "--eval", SCRIPT]
    done = subprocess.run(
        command, cwd=ANSIBLE.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["models"] == [MODEL] and said["same"] is True
    Light.model_validate_json(said["formed"])
    assert said["called"]["name"] == "light"
    Light.model_validate_json(said["called"]["arguments"])
