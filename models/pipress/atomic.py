"""Files that are either there as a whole or not at all, whatever happens in between."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any, synced: bool = True) -> None:
    """Writes `value` so that a reader sees the old file or the new one, never a part.

    synced: whether it must also be there after a power cut; what is written many times a minute need not.
    """
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n", synced)


def write_text(path: Path, text: str, synced: bool = True) -> None:
    """The same for a text as it is."""
    write_pieces(path, [text], synced)


def write_pieces(path: Path, pieces: Iterable[str], synced: bool = True) -> None:
    """Writes pieces of text beside `path` as they come, then renames them into place. synced: as in `write_json`."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(part, "w", encoding="utf-8") as file:
        file.writelines(pieces)
    if synced:
        replace_synced(part, path)
    else:
        os.replace(part, path)


def replace_synced(part: Path, path: Path) -> None:
    """Renames a file into place. After a power cut the old file is there or the whole new one: on most file systems a
    rename can reach the disk before the data of what was renamed."""
    _sync(part)
    os.replace(part, path)
    _sync(path.parent)


def read_json(path: Path) -> Any | None:
    """The JSON in `path`; None when the file is not there or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def sync_tree(root: Path) -> None:
    """Flushes every file and folder under `root` to the disk, the folders after what they hold."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))


def rename_synced(source: Path, target: Path) -> None:
    """Renames a folder that `sync_tree` has flushed, and makes the rename itself durable."""
    os.rename(source, target)
    _sync(target.parent)


def make_folder_synced(folder: Path) -> None:
    """Makes a folder and what is missing above it, durably: a synced file in a folder that is lost is lost too."""
    if folder.is_dir():
        return
    make_folder_synced(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
