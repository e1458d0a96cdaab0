"""Files as lists of documents."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.texts.mediawiki import articles

OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}


def read_documents(path: Path, text_format: str) -> list[str]:
    """The documents in a file, packed (.bz2, .gz, .xz) or not; formats as in recipe.schema.json."""
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
    parts = text.splitlines() if text_format == "lines" else text.split("\n\n")
    return [part.strip() for part in parts if part.strip()]


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
