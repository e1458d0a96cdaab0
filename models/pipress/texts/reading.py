"""Files as documents, one after the other: never all of a file in memory, and no more unpacked than is wanted."""

import bz2
import gzip
import json
import lzma
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from pipress.errors import StageError
from pipress.texts.conversations import read_conversations
from pipress.texts.mediawiki import articles

# A file of plain text says nothing of where a document ends: it is cut at the first empty line behind so many
# characters, so that a part of it can be held back.
PART_CHARACTERS = 2000
CHUNK_CHARACTERS = 1 << 20

OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}


def read_documents(path: Path, text_format: str, field: str = "text") -> Iterator[str]:
    """The documents in a file, packed (.bz2, .gz, .xz) or not; formats as in recipe.schema.json.

    field: which string of each object holds the text, for `jsonl`. Raises StageError, at the document where it shows,
    for a file that is damaged or of another format; of conversations, before the first with all that is wrong.
    """
    if path.suffix == ".parquet":
        raise StageError(f"{path.name} is a Parquet file", "name a text or JSON Lines file of the same data set")
    opener = OPENERS.get(path.suffix, open)
    try:
        if text_format == "mediawiki":
            with opener(path, "rb") as file:
                yield from articles(file)
            return
        with opener(path, "rt", encoding="utf-8", errors="strict") as file:
            if text_format == "jsonl":
                documents = _json_lines(file, path.name, field)
            elif text_format == "chat":
                documents = read_conversations(file, path.name)
            elif text_format == "lines":
                documents = (part for line in file for part in line.splitlines())
            else:
                documents = _parts(file)
            yield from (text for document in documents if (text := document.strip()))
    except UnicodeDecodeError as error:
        raise StageError(f"{path.name} is not UTF-8 text", "convert it, or name the right file") from error
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StageError(f"{path.name} cannot be unpacked: {error}", "the file is cut off or damaged") from error


def _parts(file: IO[str]) -> Iterator[str]:
    paragraphs, size, rest = [], 0, ""
    while chunk := file.read(CHUNK_CHARACTERS):
        *whole, rest = (rest + chunk).split("\n\n")
        for paragraph in whole:
            paragraphs.append(paragraph)
            size += len(paragraph)
            if size >= PART_CHARACTERS:
                yield "\n\n".join(paragraphs)
                paragraphs, size = [], 0
    yield "\n\n".join([*paragraphs, rest])


def _json_lines(file: IO[str], name: str, field: str) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
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
        yield document


def take_part(read: Callable[[], Iterable[str]], start: float, stop: float, max_bytes: int | None) -> list[str]:
    """The documents between two shares of all characters, and of those the first `max_bytes` bytes.

    read: gives all documents, from the first on. They are read no further than to the last that is taken, and once
    more before that where a share has to be found.
    """
    total = sum(map(len, read())) if (start, stop) != (0, 1) else math.inf
    taken, position, size = [], 0, 0
    for document in read():
        middle = position + len(document) / 2
        position += len(document)
        if middle >= stop * total:
            break
        if start > 0 and middle < start * total:
            continue
        length = len(document.encode())
        if max_bytes is not None and size + length > max_bytes:
            break
        taken.append(document)
        size += length
    return taken
