"""Conversations as they are kept for fine-tuning: one a line, as JSON, with the messages in their order."""

import json
from collections.abc import Iterator
from typing import IO, Any

from pipress.errors import StageError

ROLES = ("system", "user", "assistant", "tool")
FORM = 'each line is one conversation: {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", …}]}'
SHARE_GPT = "has `conversations`: call them `messages`, `from` `role` (human: user, gpt: assistant), `value` `content`"
# Of the lines with the same problem, so many are named.
NAMED = 5
# Of a data set for calibration: one to learn from, one to judge by.
MIN_CONVERSATIONS = 2


def read_conversations(file: IO[str], name: str) -> Iterator[str]:
    """Every conversation of a file as `pack_messages` makes it, after all of the file has been looked at.

    Raises StageError with every problem there is, and the lines that have it.
    """
    problems: dict[str, list[int]] = {}
    for number, conversation in _lines(file):
        for problem in _problems(conversation):
            problems.setdefault(problem, []).append(number)
    if problems:
        raise StageError(f"{name} cannot be read as conversations: {list_problems(problems)}", FORM)
    file.seek(0)
    for number, conversation in _lines(file):
        yield pack_messages(conversation["messages"], number)


def list_problems(problems: dict[str, list[int]]) -> str:
    """`is not JSON (line 3); …`: every problem with the lines that have it."""
    return "; ".join(f"{problem} ({_named(sorted(lines))})" for problem, lines in problems.items())


def pack_messages(messages: list[dict[str, Any]], line: int) -> str:
    """A conversation as the text of a document, until it goes through a chat template."""
    said = [{"role": message["role"], "content": message["content"]} for message in messages]
    return json.dumps({"line": line, "messages": said}, ensure_ascii=False)


def unpack_messages(text: str) -> tuple[list[dict[str, str]], int]:
    """Messages and line, as `pack_messages` was given them."""
    conversation = json.loads(text)
    return conversation["messages"], conversation["line"]


def what_is_said(text: str) -> str:
    """What makes two conversations the same: all that is said but for the system prompt, which many have in common."""
    messages, _ = unpack_messages(text)
    return json.dumps([message for message in messages if message["role"] != "system"])


def check_count(found: int, name: str, more: str = "") -> None:
    """Raises StageError where a data set for calibration has too few conversations. more: said of those that count."""
    if found < MIN_CONVERSATIONS:
        raise StageError(
            f"{name} has {found} different conversations{more}, and needs at least {MIN_CONVERSATIONS}: one to learn "
            "from, one to judge by",
            "name a file with more, or another `part` of it",
        )


def _lines(file: IO[str]) -> Iterator[tuple[int, Any]]:
    """Number and value of every line; None for one that is not JSON."""
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, None


def _problems(conversation: Any) -> Iterator[str]:
    if not isinstance(conversation, dict):
        yield "is not JSON" if conversation is None else "is no JSON object"
        return
    messages = conversation.get("messages")
    if messages is None:
        yield SHARE_GPT if "conversations" in conversation else "has no `messages`"
    elif not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        yield "has `messages` that are no list of objects"
    else:
        yield from dict.fromkeys(problem for message in messages for problem in _problems_of(message))
        if not any(message.get("role") == "assistant" for message in messages):
            yield "has no message of the assistant"


def _problems_of(message: dict[str, Any]) -> Iterator[str]:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        yield f"has the role {json.dumps(role)}, which is none of {', '.join(ROLES)}"
    if message.get("tool_calls") or message.get("function_call"):
        yield "calls a tool: only text is read"
    elif not isinstance(content, str) or not content.strip():
        yield "has a message without text"


def _named(lines: list[int]) -> str:
    numbers = ", ".join(map(str, lines[:NAMED]))
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return f"line{'s' if len(lines) > 1 else ''} {numbers}{more}"
