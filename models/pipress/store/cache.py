"""Copies of a bucket's artifacts on this machine: `files/<sha256>`, and a folder per artifact that links to them."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipress.digests import file_sha256


class Cache:
    """A folder that several jobs may use at once. Deleting it costs time only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def artifact(self, key: str) -> Path:
        """Folder of an artifact's files, whether they are there or not."""
        return self.root / "artifacts" / key

    def provide(self, key: str, files: dict[str, Any], fetch: Callable[[str, Path], None]) -> Path:
        """Folder with exactly `files` (by path, with sha256 and bytes), every byte checked.

        fetch(path, target): brings one of the artifact's files to `target`, checked. Called for what is not here, or no
        longer what it should be.
        """
        folder = self.artifact(key)
        for path, expected in files.items():
            copy = self.file(expected["sha256"])
            with self._guarded(expected["sha256"]):
                if not is_intact(copy, expected):
                    copy.unlink(missing_ok=True)
                    fetch(path, copy)
                self._link(copy, folder / path)
        return folder

    def adopt(self, file: Path, sha256: str) -> None:
        """Moves a file that was made on this machine into the cache, so that the next stage need not fetch it."""
        with self._guarded(sha256):
            os.chmod(file, 0o444)
            os.replace(file, self.file(sha256))

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
