"""system-prompt: a system prompt read once, as the KV state that a host's llama-server begins with.

The very model reads it through llama-server and its chat template, under the settings of the hosts: what is kept are
keys and values of the tokens that every conversation with this system prompt begins with.
"""

import http
import json
import tempfile
import time
from pathlib import Path
from typing import Any, TypeVar

from pipress.errors import StageError
from pipress.evaluation.server import Server, post, refusal, serving
from pipress.spec import Metrics, Spec
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.gguf_shape import pooling_of

TOOLS = ("gguf", "llama.cpp", "numpy")

STATE = "system-prompt.state"
# Two conversations that have nothing in common but the system prompt; one message is what many templates ask for.
QUESTIONS = ("What is it?", "Tell me more about that.")
# Tokens that the context must have left for a question and its answer.
LEFT_TOKENS = 64
# An 8B on two slow cores reads four tokens a second.
TIMEOUT_SECONDS = 7200
# Ways in which templates write today's date in front of a system prompt.
DATES = ("%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%Y-%m-%d")

Items = TypeVar("Items", str, list[int])


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves system-prompt.state, which llama-server restores into a slot: tokens, keys and values."""
    model, p = inputs["model"] / "model.gguf", spec.params
    if pooling_of(GgufFile(model)) is not None:
        raise StageError("an embedding model takes no system prompt", "leave server.systemPrompt out of its group")
    context = p["contextLength"] // p["parallel"]
    with tempfile.TemporaryDirectory(dir=out) as folder:
        spec.report(0.05, "loading the model")
        arguments = [*p["arguments"], "--slot-save-path", folder]
        # A state is restored by a server of as many slots.
        with serving(spec.llama_cpp_bin, model, p["parallel"], context, arguments) as server:
            tokens = prompt_tokens(server, p["prompt"])
            if len(tokens) + LEFT_TOKENS > context:
                raise StageError(
                    f"the system prompt has {len(tokens)} tokens as the chat template puts it, and of {context} tokens "
                    f"of context {LEFT_TOKENS} have to be left for question and answer",
                    "shorten server.systemPrompt, or raise server.contextLength",
                )
            spec.report(0.1, f"reading {len(tokens)} tokens")
            began = time.monotonic()
            _read(server, tokens)
            seconds = time.monotonic() - began
            spec.report(0.95, "saving the state")
            saved = _post(server, "/slots/0?action=save", {"filename": STATE})
            if saved["n_saved"] != len(tokens):
                raise StageError(
                    f"llama-server saved {saved['n_saved']} tokens of {len(tokens)}", "run the stage again"
                )
        Path(folder, STATE).rename(out / STATE)
    return {
        "tokens": len(tokens),
        "stateBytes": (out / STATE).stat().st_size,
        "readSeconds": round(seconds, 2),
    }


def prompt_tokens(server: Server, prompt: str) -> list[int]:
    """The tokens that every conversation with a system prompt begins with.

    Raises StageError where the chat template has no place for one, or puts today's date before it.
    """
    with_it, without = (
        [_rendered(server, system, question) for question in QUESTIONS]
        for system in ([{"role": "system", "content": prompt}], [])
    )
    begins = _common(*with_it)
    if not begins or prompt.strip() not in begins:
        raise StageError(
            "the model's chat template has no place for a system prompt at the start of a conversation",
            "leave server.systemPrompt out, and put it into the user's first message",
        )
    today = next((date for date in (time.strftime(way) for way in DATES) if date in without[0]), None)
    if today is not None:
        raise StageError(
            f"the model's chat template puts today's date ({today}) before the system prompt, whose state would be "
            "good for a day",
            "leave server.systemPrompt out",
        )
    # Whole texts are cut into tokens: where the part in common ends, a token may reach over it.
    ids = [_post(server, "/tokenize", _as_prompt(text))["tokens"] for text in with_it]
    return _common(*ids)


def _common(one: Items, other: Items) -> Items:
    """What both begin with."""
    differ = (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(differ, min(len(one), len(other)))]


def _as_prompt(text: str) -> dict[str, Any]:
    """A rendered conversation as llama-server cuts it into tokens when it is asked to go on with it."""
    return {"content": text, "add_special": True, "parse_special": True}


def _rendered(server: Server, system: list[dict[str, str]], question: str) -> str:
    messages = [*system, {"role": "user", "content": question}]
    return _post(server, "/apply-template", {"messages": messages})["prompt"]


def _read(server: Server, tokens: list[int]) -> None:
    body = {"prompt": tokens, "n_predict": 0, "id_slot": 0}
    _post(server, "/completion", body)


def _post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with post(server, path, body, TIMEOUT_SECONDS) as response:
        document = json.load(response)
    if response.status != http.HTTPStatus.OK:
        raise refusal(path.partition("?")[0], document)
    return document
