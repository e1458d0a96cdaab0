"""Files as lists of documents."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.texts.mediawiki import articles

# A file of plain text says nothing of where a document ends: it is cut at the first empty line behind so many
# characters, so that a part of it can be held back.
PART_CHARACTERS = 2000

OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}


def read_documents(path: Path, text_format: str, field: str = "text") -> list[str]:
    """The documents in a file, packed (.bz2, .gz, .xz) or not; formats as in recipe.schema.json.

    field: which string of each object holds the text, for `jsonl`.
    """
    if path.suffix == ".parquet":
        raise StageError(f"{path.name} is a Parquet file", "name a text or JSON Lines file of the same data set")
    opener = OPENERS.get(path.suffix, open)
    try:
        if text_format == "mediawiki":
            with opener(path, "rb") as file:
                return list(articles(file))
        with opener(path, "rt", encoding="utf-8", errors="strict") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise StageError(f"{path.name} is not UTF-8 text", "convert it, or name the right file") from error
    except (EOFError, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StageError(f"{path.name} cannot be unpacked: {error}", "the file is cut off or damaged") from error
    if text_format == "jsonl":
        return _json_lines(text, path.name, field)
    parts = text.splitlines() if text_format == "lines" else _parts(text)
    return [part.strip() for part in parts if part.strip()]


def _parts(text: str) -> list[str]:
    parts, paragraphs, size = [], [], 0
    for paragraph in text.split("\n\n"):
        paragraphs.append(paragraph)
        size += len(paragraph)
        if size >= PART_CHARACTERS:
            parts.append("\n\n".join(paragraphs))
            paragraphs, size = [], 0
    return [*parts, "\n\n".join(paragraphs)]


def _json_lines(text: str, name: str, field: str) -> list[str]:
    documents = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise StageError(f"line {number} of {name} is not JSON: {error}", "check `format` in the recipe") from error
        document = value.get(field) if isinstance(value, dict) else None
        if not isinstance(document, str):
            fields = [key for key, part in value.items() if isinstance(part, str)] if isinstance(value, dict) else []
            raise StageError(
                f"line {number} of {name} has no text under `{field}`",
                f"set `field` to one of: {', '.join(fields)}" if fields else "check `format` in the recipe",
            )
        if document.strip():
            documents.append(document.strip())
    return documents


def take_part(documents: list[str], start: float, stop: float, max_bytes: int | None) -> list[str]:
    """The documents between two shares of all characters, and of those the first `max_bytes` bytes."""
    total = sum(map(len, documents))
    taken, position, size = [], 0, 0
    for document in documents:
        middle = position + len(document) / 2
        position += len(document)
        if not start * total <= middle < stop * total:
            continue
        length = len(document.encode())
        if max_bytes is not None and size + length > max_bytes:
            break
        taken.append(document)
        size += length
    return taken
