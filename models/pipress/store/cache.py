"""Copies of a bucket's artifacts on this machine: `files/<sha256>`, and a folder per artifact that links to them.

What was used last stays; the oldest goes when the copies would take more than their share of the disk.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipress.digests import file_sha256
from pipress.jobs.locks import try_lock

# The copies of a few 8B recipes; on a small disk half of it.
LIMIT_BYTES = 200_000_000_000


class Cache:
    """A folder that several jobs may use at once. Deleting it costs time only."""

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root = root
        self.limit_bytes = limit_bytes
        # Open as long as this process lives: nobody removes what it uses.
        self._in_use: list[int] = []

    def artifact(self, key: str) -> Path:
        """Folder of an artifact's files, whether they are there or not."""
        return self.root / "artifacts" / key

    def provide(self, key: str, files: dict[str, Any], fetch: Callable[[str, Path], None]) -> Path:
        """Folder with exactly `files` (by path, with sha256 and bytes), every byte checked.

        fetch(path, target): brings one of the artifact's files to `target`, checked. Called for what is not here, or no
        longer what it should be.
        """
        folder = self.artifact(key)
        self._use(key)
        for path, expected in files.items():
            copy = self.file(expected["sha256"])
            with self._guarded(expected["sha256"]):
                if not is_intact(copy, expected):
                    copy.unlink(missing_ok=True)
                    self._make_room(expected["bytes"])
                    fetch(path, copy)
                self._link(copy, folder / path)
        if folder.is_dir():
            os.utime(folder)  # used last
        return folder

    def adopt(self, file: Path, sha256: str) -> None:
        """Moves a file that was made on this machine into the cache, so that the next stage need not fetch it."""
        with self._guarded(sha256):
            os.chmod(file, 0o444)
            os.replace(file, self.file(sha256))
            os.utime(self.file(sha256))
        self._make_room(0)

    def _use(self, key: str) -> None:
        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "locks" / key, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._in_use.append(descriptor)

    def _make_room(self, needed: int) -> None:
        """Removes what was used longest ago until `needed` bytes more stay within the limit and fit on the disk.

        What a process uses or works on stays, even where the limit is passed then.
        """
        disk = shutil.disk_usage(self.root)
        limit = min(self.limit_bytes, disk.total // 2)
        held = sum(file.stat().st_size for file in self._entries("files"))
        excess = max(held + needed - limit, needed - disk.free)
        lone = [
            file for file in self._entries("files") if file.stat().st_nlink == 1 and not file.name.endswith(".part")
        ]
        for entry in sorted([*self._entries("artifacts"), *lone], key=lambda path: path.stat().st_mtime):
            if excess <= 0:
                return
            excess -= self._remove_unused(entry)

    def _entries(self, name: str) -> list[Path]:
        return list((self.root / name).glob("*"))

    def _remove_unused(self, entry: Path) -> int:
        """Removes an artifact's folder, or a file that no artifact links to. Returns how many bytes that frees: none
        where somebody is busy with it."""
        lock = try_lock(self.root / "locks" / entry.name)
        if lock is None:
            return 0
        try:
            if entry.is_file():
                size = entry.stat().st_size
                entry.unlink()
                return size
            inodes = {file.stat().st_ino for file in entry.rglob("*") if file.is_file()}
            shutil.rmtree(entry)
        finally:
            os.close(lock)
        left = [file for file in self._entries("files") if file.stat().st_ino in inodes and file.stat().st_nlink == 1]
        return sum(self._remove_unused(file) for file in left)

    def file(self, sha256: str) -> Path:
        return self.root / "files" / sha256

    @contextmanager
    def _guarded(self, sha256: str) -> Iterator[None]:
        """One process at a time works on one file; the kernel lets go of the lock however that process ends."""
        (self.root / "files").mkdir(parents=True, exist_ok=True)
        locks = self.root / "locks"
        locks.mkdir(exist_ok=True)
        with open(locks / sha256, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _link(self, copy: Path, target: Path) -> None:
        """A hard link: removing the folder leaves the copy, and the other way round."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(copy):
            return
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        os.link(copy, part)
        os.replace(part, target)


def is_intact(file: Path, expected: dict[str, Any]) -> bool:
    """Whether `file` has the size and the SHA-256 of `expected`."""
    try:
        return file.stat().st_size == expected["bytes"] and file_sha256(file) == expected["sha256"]
    except FileNotFoundError:
        return False
