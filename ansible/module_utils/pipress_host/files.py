"""Small file operations that leave either the old state or the new one, whenever the power goes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Callable

CHUNK = 1024 * 1024


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes `folder` and what is missing above it, each durably: a synced file in a folder that is lost is lost too."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes `path` so that a reader, or a host that loses power, sees all of the new content or all of the old."""
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(out.fileno(), mode)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def point_link(link: Path, target: str) -> None:
    """Points the symbolic link `link` at `target` by one rename, whatever was there before."""
    make_folder(link.parent)
    temporary = link.parent / f".{link.name}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
    sync_folder(link.parent)


def read_link(link: Path) -> str | None:
    """Where `link` points, or None where it is no link."""
    try:
        return os.readlink(link)
    except OSError:
        return None


def read_json(path: Path) -> Any | None:
    """The document in `path`, or None where there is none that can be read whole."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write_json(path: Path, document: Any, mode: int = 0o644) -> None:
    """Writes `document` to `path` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode(), mode)


def sha256_of(path: Path, on_piece: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file in hex; `on_piece` hears the size of every piece read."""
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        while True:
            piece = source.read(CHUNK)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)
            if on_piece:
                on_piece(len(piece))
