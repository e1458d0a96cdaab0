"""Brings the system prompts of a release, read once on a builder, into llama-server as KV states, and checks them there.

    <release>/<name>.state      link into the store: the KV state of a system prompt
    <root>/slots/<random>       link to such a file for as long as llama-server reads it

llama-server saves and restores slots for whoever has an API key, in the folder that `--slot-save-path` names. That one is
root's, so that nothing can be saved there, and empty but for the moment in which this process restores a state whose
digest it has just checked, under a name that nobody can guess.

A state that is damaged, or that llama-server refuses, is not served: the system prompt is read once more instead.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import secrets
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .files import make_folder, sha256_of
from .health_check import HealthCheck, HealthCheckFailed, request
from .sizes import size_text

#: Seconds that a token of a system prompt may take to be read; an 8B on a Raspberry Pi 4 needs 0.6.
TOKEN_SECONDS = 5
#: Tokens, the likeliest, whose probabilities are compared.
COMPARED = 100
#: Times that this is tried where clients' requests come between.
TRIES = 3
#: KL divergence from the prompt itself that a restored state may have, in nats: see docs/decisions/0021.
TOLERANCE = 0.05
#: Seconds after which nobody reads a state any more.
LEFT_SECONDS = 3600


class Refused(Exception):
    """Why a state is not taken."""


class Server(NamedTuple):
    """A running llama-server."""

    port: int
    key: str
    #: Slots, which are requests served at a time.
    parallel: int
    #: Seconds that an answer may take beside what a system prompt takes.
    timeout: float

    @classmethod
    def of(cls, release: dict[str, Any], key: str) -> Server:
        """The server of a release."""
        check = HealthCheck.of(release)
        return cls(check.port, key, release["settings"].get("parallel", 1), check.answer_timeout)

    def post(self, path: str, body: dict[str, Any], tokens: int = 0) -> dict[str, Any]:
        """What it answers; raises Refused where that is an error, or nothing. `tokens` may have to be read for it."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        timeout = self.timeout + tokens * TOKEN_SECONDS
        try:
            status, answer = request(self.port, "POST", path, json.dumps(body).encode(), headers, timeout)
            document = json.loads(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Refused(f"llama-server does not answer {path}: {error}") from error
        if status != 200:
            raise Refused(f"llama-server says {document.get('error', {}).get('message', status)}")
        return document


def system_prompts_of(release: dict[str, Any]) -> list[dict[str, Any]]:
    """The system prompts of a release: name, prompt, tokens, and sha256 and bytes of the state."""
    return release.get("systemPrompts") or []


def restore_system_prompts(
    root: Path, folder: Path, release: dict[str, Any], key: str, note: Callable[[str], None]
) -> list[str]:
    """Restores every system prompt of a release in `folder`; returns what was wrong with those that had to be read anew.

    The first one is in every slot afterwards. The others are in the server's cache of prompts, from where a request takes
    the one that it begins with.
    """
    server, prompts = Server.of(release, key), system_prompts_of(release)
    problems = []
    for prompt in reversed(prompts):
        problem = restore(server, root, folder, prompt, note)
        if problem:
            problems.append(problem)
        if prompt is not prompts[0]:
            _put_aside(server, prompt)
    return problems[::-1]


def restore(
    server: Server, root: Path, folder: Path, prompt: dict[str, Any], note: Callable[[str], None]
) -> str | None:
    """Restores one state into every slot; where that does not work, has the prompt read and says why."""
    name, tokens = prompt["name"], prompt["tokens"]
    try:
        with _offered(root, folder / f"{name}.state", prompt) as offered:
            for slot in range(server.parallel):
                answer = server.post(f"/slots/{slot}?action=restore", {"filename": offered}, tokens)
                if answer.get("n_restored") != tokens:
                    raise Refused(f"{answer.get('n_restored')} tokens were restored, not {tokens}")
    except Refused as refused:
        problem = f"the state of the system prompt {name} was not taken, and the prompt read anew: {refused}"
        note(problem)
        body = {"messages": _conversation(prompt["prompt"], "Hello"), "max_tokens": 1}
        with contextlib.suppress(Refused):
            server.post("/v1/chat/completions", body, tokens)
        return problem
    note(f"restored the {tokens} tokens of the system prompt {name}")
    return None


def check_system_prompts(
    root: Path, folder: Path, release: dict[str, Any], key: str, note: Callable[[str], None]
) -> dict[str, Any]:
    """Compares what the model thinks behind each restored state with what it thinks when it has read the prompt itself.

    Returns `{systemPrompts: [{name, tokens, kld?, problem?}]}`, nothing for a release without system prompts. Raises
    HealthCheckFailed where a state is not that of the prompt.
    """
    prompts = system_prompts_of(release)
    if not prompts:
        return {}
    server = Server.of(release, key)
    seen = []
    for prompt in prompts:
        note(f"comparing the state of the system prompt {prompt['name']} with the prompt itself")
        problem = restore(server, root, folder, prompt, note)
        again = partial(restore, server, root, folder, prompt, lambda step: None)
        found = {"problem": problem} if problem else {"kld": _divergence(server, prompt, release, again)}
        seen.append({"name": prompt["name"], "tokens": prompt["tokens"], **found})
    # Served is what the release carries, not what was read for the comparison.
    restore_system_prompts(root, folder, release, key, lambda step: None)
    return {"systemPrompts": seen}


def _divergence(
    server: Server, prompt: dict[str, Any], release: dict[str, Any], restore_it: Callable[[], object]
) -> float:
    """KL divergence of what the model thinks behind the restored state from what it thinks behind the prompt."""
    name, tokens = prompt["name"], prompt["tokens"]
    try:
        question = _rendered(server, prompt["prompt"], release["smokeTest"]["prompt"])
        begins = _tokens_of(server, prompt)
        restored = _likeliest_behind(restore_it, server, question, tokens)
        # Read as it was on the builder, and the question apart: how a text is cut into batches makes a difference by itself.
        body = _only_read(begins) | {"cache_prompt": False}
        read = _likeliest_behind(partial(server.post, "/completion", body, tokens), server, question, tokens)
    except Refused as refused:
        raise HealthCheckFailed(f"the system prompt {name} cannot be checked: {refused}") from refused
    reused = min(len(begins), restored.reused, read.reused)
    if reused < tokens:
        raise HealthCheckFailed(
            f"the state of the system prompt {name} has {tokens} tokens, but a request begins with only {reused} of them"
        )
    kld = divergence(restored.tokens, read.tokens)
    if kld > TOLERANCE:
        raise HealthCheckFailed(
            f"what the model thinks behind the state of the system prompt {name} is {kld:.2f} nats from what it thinks "
            f"behind the prompt itself, more than {TOLERANCE}: the state is not this model's"
        )
    return round(kld, 5)


def divergence(restored: dict[int, float], read: dict[int, float]) -> float:
    """KL divergence of `restored` from `read`, log probabilities by token, in nats; tokens that neither names are one more.

    A token that `restored` does not name is at most as likely as the least that it names.
    """
    least = min(restored.values())
    pairs = [(math.exp(value), math.exp(restored.get(token, least))) for token, value in read.items()]
    rest = [max(1 - sum(values), 1e-9) for values in zip(*pairs)]
    return max(0.0, sum(p * math.log(p / max(q, 1e-30)) for p, q in [*pairs, (rest[0], rest[1])]))


class _Likeliest(NamedTuple):
    """What a model thinks comes next."""

    #: Tokens of the prompt that were in the slot already.
    reused: int
    #: Log probabilities by token.
    tokens: dict[int, float]


def _likeliest_behind(prepare: Callable[[], object], server: Server, text: str, tokens: int) -> _Likeliest:
    """What comes next behind so many tokens that `prepare` has put into the slot; a client's request may come between."""
    for _ in range(TRIES):
        prepare()
        found = _likeliest(server, text)
        if found.reused >= tokens:
            break
    return found


def _likeliest(server: Server, text: str) -> _Likeliest:
    # Probabilities are told of a token that is text: the end of an answer, or half a character, is none. They are those
    # before the grammar.
    body = {
        "prompt": text,
        "n_predict": 1,
        "n_probs": COMPARED,
        "id_slot": 0,
        "grammar": "root ::= [a-zA-Z ]+",
    }
    # Where nothing is reused, the whole text is read.
    answer = server.post("/completion", body, len(text))
    try:
        entries = answer["completion_probabilities"][0]["top_logprobs"]
        found = {int(entry["id"]): float(entry["logprob"]) for entry in entries}
        return _Likeliest(int(answer["timings"]["cache_n"]), found)
    except (LookupError, TypeError, ValueError) as error:
        raise Refused("llama-server does not tell probabilities") from error


def _rendered(server: Server, system: str, question: str) -> str:
    return str(server.post("/apply-template", {"messages": _conversation(system, question)})["prompt"])


def _conversation(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def _tokens_of(server: Server, prompt: dict[str, Any]) -> list[int]:
    """The first tokens of a conversation, as many as the state has."""
    text = _rendered(server, prompt["prompt"], "Hello")
    document = server.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
    return [int(token) for token in document["tokens"][: prompt["tokens"]]]


def _only_read(tokens: list[int]) -> dict[str, Any]:
    """A request that leaves its tokens in the first slot and asks for none."""
    return {"prompt": tokens, "n_predict": 0, "id_slot": 0}


def _put_aside(server: Server, prompt: dict[str, Any]) -> None:
    """Has the server keep a restored state in its cache: it does when a request needs less than half of a slot."""
    with contextlib.suppress(Refused):
        server.post("/completion", _only_read(_tokens_of(server, prompt)[:1]))


@contextlib.contextmanager
def _offered(root: Path, state: Path, prompt: dict[str, Any]) -> Iterator[str]:
    """The name under which llama-server finds a state while this lasts. Raises Refused unless it is the release's."""
    try:
        path = state.resolve(strict=True)
        size = path.stat().st_size
        if size != prompt["bytes"]:
            raise Refused(f"it has {size_text(size)}, not the {size_text(prompt['bytes'])} of the release")
        if sha256_of(path) != prompt["sha256"]:
            raise Refused("it is not what its digest says")
    except OSError as error:
        raise Refused(str(error)) from error
    slots = root / "slots"
    make_folder(slots)
    # What a power cut has left there.
    for left in slots.iterdir():
        if left.lstat().st_mtime < time.time() - LEFT_SECONDS:
            left.unlink(missing_ok=True)
    link = slots / secrets.token_hex(16)
    link.symlink_to(path)
    try:
        yield link.name
    finally:
        link.unlink(missing_ok=True)
