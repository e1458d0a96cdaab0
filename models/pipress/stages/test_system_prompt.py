"""System prompts read by the real llama-server, on a tiny model of random weights."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import write_bert
from pipress.errors import StageError
from pipress.evaluation.server import serving
from pipress.stages import system_prompt

PROMPT = "You are the help desk of a library. " * 4


def params(**changes: Any) -> dict[str, Any]:
    return {"prompt": PROMPT, "contextLength": 512, "parallel": 1, "arguments": [], **changes}


def read(spec: Any, tiny_gguf: Path, out: Path, **changes: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    return system_prompt.run(spec("system-prompt", **params(**changes)), {"model": tiny_gguf}, out)


def test_it_leaves_the_state_of_what_every_conversation_begins_with(
    real_spec: Any, tiny_gguf: Path, llama_cpp_bin: Path, tmp_path: Path
) -> None:
    metrics = read(real_spec, tiny_gguf, tmp_path)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [system_prompt.STATE]
    with serving(llama_cpp_bin, tiny_gguf / "model.gguf", 1, 512, ["--slot-save-path", str(tmp_path)]) as server:
        restored = system_prompt._post(server, "/slots/0?action=restore", {"filename": system_prompt.STATE})
        assert restored["n_restored"] == metrics["tokens"] > len(PROMPT) // 2
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": "Open today?"}]
        answer = system_prompt._post(server, "/v1/chat/completions", {"messages": messages, "max_tokens": 1})
        assert answer["timings"]["cache_n"] == metrics["tokens"]


def test_the_same_prompt_gives_the_same_state_and_another_one_another(
    real_spec: Any, tiny_gguf: Path, tmp_path: Path
) -> None:
    def digest(name: str, **changes: Any) -> str:
        read(real_spec, tiny_gguf, tmp_path / name, **changes)
        return hashlib.sha256((tmp_path / name / system_prompt.STATE).read_bytes()).hexdigest()

    q8_0 = ["--cache-type-k", "q8_0", "--cache-type-v", "q8_0", "--flash-attn", "on"]
    states = [digest("one"), digest("two"), digest("three", prompt=PROMPT + "!"), digest("four", arguments=q8_0)]
    assert states[0] == states[1] and len(set(states)) == 3


def test_a_prompt_that_leaves_no_room_is_refused(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"has \d+ tokens .* of 256 tokens of context 64 .* shorten"):
        read(real_spec, tiny_gguf, tmp_path, prompt=PROMPT * 3, parallel=2)


def test_an_embedding_model_is_refused(real_spec: Any, tmp_path: Path) -> None:
    write_bert(tmp_path / "model.gguf")
    with pytest.raises(StageError, match="an embedding model takes no system prompt"):
        read(real_spec, tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% for m in messages | reverse %}[{{ m.role }}]{{ m.content }}{% endfor %}", "has no place for"),
        (
            "{{ strftime_now('%d %b %Y') }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
            "puts today's date .* whose state would be good for a day",
        ),
    ],
    ids=["system prompt at the end", "today's date"],
)
def test_a_template_under_which_a_state_would_be_of_no_use_is_refused(
    template: str, problem: str, real_spec: Any, tiny_gguf: Path, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match=problem):
        read(real_spec, tiny_gguf, tmp_path, arguments=["--chat-template", template])


def test_a_template_that_takes_its_date_from_outside_has_a_state_for_every_day(
    real_spec: Any, tiny_gguf: Path, tmp_path: Path
) -> None:
    # As Llama 3.2's, and how hosts start the server.
    date = "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    template = date + "{{ date_string }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    arguments = ["--chat-template", template]
    with pytest.raises(StageError, match="puts today's date"):
        read(real_spec, tiny_gguf, tmp_path / "today", arguments=arguments)
    fixed = [*arguments, "--chat-template-kwargs", '{"date_string":"26 Jul 2024"}']
    assert read(real_spec, tiny_gguf, tmp_path / "fixed", arguments=fixed)["tokens"] > len(PROMPT) // 2


def test_what_llama_server_says_against_it_is_told(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    spec = real_spec("system-prompt", **params(arguments=["--no-such-option"]))
    with pytest.raises(StageError, match="no-such-option"):
        system_prompt.run(spec, {"model": tiny_gguf}, tmp_path)
