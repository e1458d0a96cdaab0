"""System prompts on the real llama-server: a state that the stage has made, restored as a host restores it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pipress_host import system_prompt as system_prompt_module
from ansible.module_utils.pipress_host.health_check import HealthCheckFailed, request
from ansible.module_utils.pipress_host.system_prompt import (
    check_system_prompts,
    divergence,
    restore_system_prompts,
)

ANSIBLE = Path(__file__).resolve().parent
sys.path.append(str(ANSIBLE.parent / "models"))

from pipress.conftest import llama_cpp_bin, tiny_gguf  # noqa: F401
from pipress.spec import Spec
from pipress.stages import system_prompt

CONTEXT = 512
DESK, POET = "You are the help desk of a library. " * 3, "Speak in rhymes, never in prose, and be brief. " * 2


class Host:
    """A host's folder with a release, and the real server in the place of its service."""

    def __init__(self, root: Path, programs: Path, model: Path):
        self.root, self.programs, self.model = root, programs, model
        self.folder = root / "releases" / "one"
        self.folder.mkdir(parents=True)
        self.notes: list[str] = []
        self.prompts: list[dict[str, Any]] = []
        self.port = 0
        self.parallel = 1

    def add(self, name: str, prompt: str, **changes: Any) -> None:
        """Has the stage read a system prompt, and puts its state into the release."""
        out = self.root / "artifacts" / name
        out.mkdir(parents=True)
        params = {"prompt": prompt, "contextLength": CONTEXT, "parallel": 1, "arguments": [], **changes}
        tools = self.programs
        spec = Spec("system-prompt", name, params, tools, tools, out, lambda *said: None)
        tokens = system_prompt.run(spec, {"model": self.model}, out)["tokens"]
        state = out / system_prompt.STATE
        (self.folder / f"{name}.state").symlink_to(state)
        digest = hashlib.sha256(state.read_bytes()).hexdigest()
        size = state.stat().st_size
        self.prompts.append(
            {"name": name, "prompt": prompt, "tokens": tokens, "sha256": digest, "bytes": size}
        )

    @property
    def release(self) -> dict[str, Any]:
        settings = {"port": self.port, "parallel": self.parallel, "minTokensPerSecond": 0}
        smoke_test = {"prompt": "Open today?", "expect": "", "maxTokens": 4}
        limits = {"startTimeoutSeconds": 60, "answerTimeoutSeconds": 60}
        shared = {"settings": settings, "smokeTest": smoke_test, "healthCheck": limits}
        return {**shared, "systemPrompts": self.prompts}

    def restore(self) -> list[str]:
        return restore_system_prompts(self.root, self.folder, self.release, "key", self.notes.append)

    def check(self) -> dict[str, Any]:
        return check_system_prompts(self.root, self.folder, self.release, "key", self.notes.append)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """As a client with the API key."""
        headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
        status, answer = request(self.port, "POST", path, json.dumps(body).encode(), headers, 60)
        return status, json.loads(answer)

    def reused(self, system: str, question: str, tokens: int = 1) -> int:
        """Tokens of a conversation that the server did not have to read."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        _, answer = self.post("/v1/chat/completions", {"messages": messages, "max_tokens": tokens})
        return int(answer["timings"]["cache_n"])

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[None]:
        slots = self.root / "slots"
        slots.mkdir(exist_ok=True)
        command = [self.programs / "llama-server", "--model", self.model / "model.gguf", "--port", "0"]
        command += ["--ctx-size", str(CONTEXT * self.parallel), "--parallel", str(self.parallel)]
        command += ["--cache-ram", "8", "--no-warmup", "--no-slots", "--no-ui", "--offline", "--threads", "2"]
        log = self.root / "log"
        with open(log, "w") as out:
            process = subprocess.Popen(
                [*command, "--slot-save-path", slots, *arguments],
                stdout=out,
                stderr=out,
                env={**os.environ, "LLAMA_API_KEY": "key"},
            )
        try:
            while "listening on" not in (said := log.read_text()):
                assert process.poll() is None, said
                time.sleep(0.05)
            self.port = int(said.partition("listening on http://127.0.0.1:")[2].split()[0])
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def host(tmp_path: Path, llama_cpp_bin: Path, tiny_gguf: Path) -> Host:  # noqa: F811
    return Host(tmp_path, llama_cpp_bin, tiny_gguf)


@pytest.fixture
def desk(host: Host) -> Host:
    """A host whose release has one system prompt."""
    host.add("desk", DESK)
    return host


def test_a_request_starts_right_behind_the_system_prompt_after_every_start(desk):
    tokens = desk.prompts[0]["tokens"]
    for _ in range(2):
        with desk.serving():
            assert desk.restore() == []
            assert desk.reused(DESK, "Open today?") == tokens
            assert desk.reused(DESK, "Who wrote Faust?") == tokens
    assert desk.notes[-1] == f"restored the {tokens} tokens of the system prompt desk"
    assert list((desk.root / "slots").iterdir()) == []


def test_without_it_the_system_prompt_is_read(desk):
    with desk.serving():
        assert desk.reused(DESK, "Open today?") == 0


def test_what_two_requests_have_in_common_is_read_once_with_or_without_a_state(host):
    with host.serving():
        assert host.reused(POET, "Open today?") == 0
        assert host.reused(POET, "Who wrote Faust?") > len(POET)


def test_it_survives_other_conversations(desk):
    with desk.serving():
        desk.restore()
        for question in ("Tell me a story.", "A poem, please.", "How many legs has a spider?"):
            desk.reused(POET, question, 32)
            assert desk.reused(DESK, question, 32) >= desk.prompts[0]["tokens"]


def test_each_of_several_prompts_is_there(desk):
    desk.add("poet", POET)
    with desk.serving():
        assert desk.restore() == []
        for system, prompt in ((POET, desk.prompts[1]), (DESK, desk.prompts[0]), (POET, desk.prompts[1])):
            assert desk.reused(system, "Open today?", 8) >= prompt["tokens"]


def test_every_slot_has_it(host):
    host.parallel = 3
    host.add("desk", DESK, contextLength=3 * CONTEXT, parallel=3)
    with host.serving():
        assert host.restore() == []
        for slot in range(3):
            messages = [{"role": "system", "content": DESK}, {"role": "user", "content": "Open today?"}]
            body = {"messages": messages, "max_tokens": 1, "id_slot": slot}
            _, answer = host.post("/v1/chat/completions", body)
            assert answer["timings"]["cache_n"] == host.prompts[0]["tokens"]


def damaged(state: Path) -> None:
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)


def shortened(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (damaged, "it is not what its digest says"),
        (shortened, "it has .* not the .* of the release"),
        (Path.unlink, "No such file"),
    ],
    ids=["damaged", "cut off", "missing"],
)
def test_what_is_not_the_releases_state_is_told_and_the_prompt_read_anew(
    desk: Host, harm: Callable[[Path], Any], reason: str
) -> None:
    harm((desk.folder / "desk.state").resolve())
    with desk.serving():
        (problem,) = desk.restore()
        assert "the state of the system prompt desk was not taken, and the prompt read anew: " in problem
        assert re.search(reason, problem)
        assert desk.notes == [problem]
        assert desk.reused(DESK, "Open today?") >= desk.prompts[0]["tokens"]
        assert desk.check() == {
            "systemPrompts": [{"name": "desk", "tokens": desk.prompts[0]["tokens"], "problem": problem}]
        }


def test_a_state_of_other_settings_is_refused_by_the_server_and_the_prompt_read_anew(desk):
    with desk.serving("--cache-type-k", "q8_0", "--cache-type-v", "q8_0", "--flash-attn", "on"):
        (problem,) = desk.restore()
        assert "llama-server says Unable to restore slot" in problem
        assert desk.reused(DESK, "Open today?") >= desk.prompts[0]["tokens"]


def test_a_state_is_compared_with_the_prompt_and_served_after_that(desk):
    with desk.serving():
        found = desk.check()
        tokens = desk.prompts[0]["tokens"]
        assert found == {"systemPrompts": [{"name": "desk", "tokens": tokens, "kld": 0.0}]}
        assert desk.reused(DESK, "Open today?") == tokens
        desk.prompts = []
        assert desk.check() == {}


def test_a_client_that_asks_meanwhile_does_not_fail_the_check(desk, monkeypatch):
    asked = []
    ask = system_prompt_module._likeliest

    def between(server: Any, text: str) -> Any:
        # Twice: before the question behind the state, and before the one behind the prompt.
        asked.append(text)
        if len(asked) in (1, 3):
            desk.reused(POET, "A poem, please.", 8)
        return ask(server, text)

    monkeypatch.setattr(system_prompt_module, "_likeliest", between)
    # Without a cache of prompts the client's takes the place.
    with desk.serving("--cache-ram", "0"):
        assert desk.check()["systemPrompts"][0]["kld"] == 0.0
    assert len(asked) == 4


def test_the_state_of_another_prompt_fails_the_check(desk):
    desk.prompts[0]["prompt"] = DESK.replace("library", "brewery")
    with desk.serving(), pytest.raises(HealthCheckFailed, match="begins with only .* of them"):
        desk.check()


def test_the_state_of_another_model_fails_the_check(desk):
    # Its rotations are other ones, and so are all keys; its shape is the same.
    with (
        desk.serving("--rope-freq-base", "500"),
        pytest.raises(HealthCheckFailed, match="nats .* the state is not this model's"),
    ):
        desk.check()


def test_a_client_finds_nothing_to_restore(desk):
    with desk.serving():
        desk.restore()
        for name in ("desk.state", "../releases/one/desk.state"):
            status, _ = desk.post("/slots/0?action=restore", {"filename": name})
            assert status == 400


def test_where_nothing_answers_that_is_the_problem(desk):
    desk.port = 9
    (problem,) = desk.restore()
    assert "does not answer" in problem


def test_the_divergence_is_that_of_what_both_think_of_every_token():
    even, odd = {1: math.log(0.5), 2: math.log(0.5)}, {1: math.log(0.25), 2: math.log(0.75)}
    assert divergence(even, even) == 0
    assert divergence(odd, even) == pytest.approx(0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75))
    # What one of them does not name is as likely as the least it names; what neither names counts as one token.
    assert divergence({1: math.log(0.5)}, {2: math.log(0.5)}) == pytest.approx(0)
    assert divergence({1: math.log(0.1)}, {1: math.log(0.5)}) == pytest.approx(
        0.5 * math.log(0.5 / 0.1) + 0.5 * math.log(0.5 / 0.9)
    )
