"""Records what reaches the disk in which order: a file that has its name must survive a power cut as a whole."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """What became of files under a folder: inodes that were flushed, and renames of what was not."""

    def __init__(self) -> None:
        self.flushed: set[int] = set()
        # Where to, and the inode of the folder that must be flushed for the new name to stay.
        self.renames: list[tuple[Path, int]] = []
        self.unsafe: list[str] = []
        # Folders that were made, by the inode of the folder that must be flushed for them to stay.
        self._unflushed_folders: dict[Path, int] = {}

    def flush(self, inode: int) -> None:
        self.flushed.add(inode)
        self._unflushed_folders = {
            folder: parent for folder, parent in self._unflushed_folders.items() if parent != inode
        }

    def make_folder(self, folder: Path) -> None:
        self._unflushed_folders[folder] = folder.parent.stat().st_ino

    def rename(self, source: Path, target: Path) -> None:
        inside = [source, *source.rglob("*")] if source.is_dir() and not source.is_symlink() else [source]
        # A symbolic link is in its folder, and nothing beside.
        files = [path for path in inside if not path.is_symlink()]
        self.unsafe += [f"{path} is not flushed" for path in files if path.stat().st_ino not in self.flushed]
        folder = target.parent.stat().st_ino
        self.renames.append((target, folder))
        self.flushed.discard(folder)
        self._unflushed_folders.pop(source, None)

    def check(self) -> None:
        """Fails unless there was a rename, of flushed files only, and each was flushed, with all folders above."""
        assert self.renames and self.unsafe == []
        lost = [str(target) for target, folder in self.renames if folder not in self.flushed]
        lost += [
            str(folder) for target, _ in self.renames for folder in target.parents if folder in self._unflushed_folders
        ]
        assert lost == [], f"may be lost: {lost}"


_DISKS: list[Disk] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and _DISKS:
        _DISKS[-1].rename(Path(str(arguments[0])), Path(str(arguments[1])))
    if event == "os.mkdir" and _DISKS and Path(str(arguments[0])).parent.exists():
        _DISKS[-1].make_folder(Path(str(arguments[0])))


sys.addaudithook(_hear)  # hears os.rename, os.replace and os.mkdir, and pathlib's, before each


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Records while it lasts."""
    disk, fsync = Disk(), os.fsync

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        disk.flush(os.fstat(descriptor).st_ino)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", flush)
        _DISKS.append(disk)
        try:
            yield disk
        finally:
            _DISKS.pop()
