"""Conversations in JSON Lines: what is read of them, and what is wrong with a file."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipress.errors import StageError
from pipress.texts.conversations import unpack_messages, what_is_said
from pipress.texts.reading import read_documents

ASKED = {"role": "user", "content": "What is a Pi?"}
ANSWERED = {"role": "assistant", "content": "A small computer."}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_conversations_are_read_with_their_lines_packed_or_not(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", {"messages": [{**ASKED, "name": "Ann"}, ANSWERED], "id": 7}, "", {"messages": [ANSWERED]}
    )
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, tmp_path / "a.jsonl.gz"):
        conversations = [unpack_messages(text) for text in read_documents(file, "chat")]
        assert conversations == [([ASKED, ANSWERED], 1), ([ANSWERED], 3)]


def test_everything_that_is_wrong_with_a_file_is_said_at_once_by_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"messages": [ASKED, ANSWERED]},
        "no JSON",
        "[1]",
        {"text": "Hello"},
        {"messages": "Hello"},
        {"messages": [{"role": "bot", "content": "Hello"}, {"role": "user", "content": " "}]},
        {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
        {"messages": [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "parts"}]}]},
        *[{"messages": [ASKED]}] * 7,
    )
    with pytest.raises(StageError) as caught:
        next(read_documents(path, "chat"))
    what, remedy = caught.value.what, caught.value.remedy
    for problem in (
        "is not JSON (line 2)",
        "is no JSON object (line 3)",
        "has no `messages` (line 4)",
        "has `messages` that are no list of objects (line 5)",
        'has the role "bot", which is none of system, user, assistant, tool (line 6)',
        "has a message without text (lines 6, 8)",
        "calls a tool: only text is read (line 7)",
        "has no message of the assistant (lines 6, 9, 10, 11, 12 and 3 more)",
    ):
        assert problem in what, problem
    assert what.startswith("a.jsonl cannot be read as conversations: ") and '{"messages": [' in remedy


def test_another_form_is_refused_with_how_to_change_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"conversations": [{"from": "human", "value": "Hello"}]})
    with pytest.raises(StageError, match=r"call them `messages`, `from` `role` .* `value` `content` \(line 1\)"):
        next(read_documents(path, "chat"))


def test_conversations_are_the_same_whatever_their_system_prompt_and_line(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief."}
    lines = [{"messages": [ASKED, ANSWERED]}, {"messages": [system, ASKED, ANSWERED]}, {"messages": [ANSWERED]}]
    said = [what_is_said(text) for text in read_documents(write(tmp_path / "a.jsonl", *lines), "chat")]
    assert said[0] == said[1] != said[2]
