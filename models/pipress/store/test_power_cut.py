"""The order of flush and rename, recorded for every writer: what has its name must survive a power cut as a whole."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from pipress.atomic import write_json, write_text
from pipress.recovery.checkpoints import save_checkpoint
from pipress.store.conftest import KEY, make
from pipress.store.file_store import FileStore


class Disk:
    """What became of files under a folder: inodes that were flushed, and renames of what was not."""

    def __init__(self) -> None:
        self.flushed: set[int] = set()
        # Where to, and the inode of the folder that must be flushed for the new name to stay.
        self.renames: list[tuple[Path, int]] = []
        self.unsafe: list[str] = []

    def flush(self, inode: int) -> None:
        self.flushed.add(inode)

    def rename(self, source: Path, target: Path) -> None:
        inside = [source, *source.rglob("*")] if source.is_dir() else [source]
        self.unsafe += [f"{path} is not flushed" for path in inside if path.stat().st_ino not in self.flushed]
        folder = target.parent.stat().st_ino
        self.renames.append((target, folder))
        self.flushed.discard(folder)

    def check(self) -> None:
        """Fails unless there was a rename, of flushed files only, and each was flushed itself."""
        assert self.renames and self.unsafe == []
        lost = [str(target) for target, folder in self.renames if folder not in self.flushed]
        assert lost == [], "the rename may be lost"


DISKS: list[Disk] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and DISKS:
        DISKS[-1].rename(Path(str(arguments[0])), Path(str(arguments[1])))


sys.addaudithook(_hear)  # hears os.rename, os.replace and pathlib's, before each


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk, fsync = Disk(), os.fsync

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        disk.flush(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", flush)
    DISKS.append(disk)
    try:
        yield disk
    finally:
        DISKS.pop()


WRITERS: dict[str, Callable[[Path], object]] = {
    "a text": lambda folder: write_text(folder / "a.txt", "text"),
    "a document": lambda folder: write_json(folder / "a.json", {"a": 1}),
    "a checkpoint": lambda folder: save_checkpoint(folder, "a.pt", {"a": torch.ones(3)}),
    "an artifact": lambda folder: make(FileStore(folder.as_uri())),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_has_its_name_is_on_the_disk(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded(monkeypatch) as disk:
        WRITERS[writer](tmp_path)
        disk.check()


def test_a_download_is_on_the_disk_before_it_has_its_name(
    open_s3: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(open_s3("maker"))
    with recorded(monkeypatch) as disk:
        open_s3("user").open(KEY)
        assert [target for target, _ in disk.renames if target.parent.name == "files"]
        assert [path for path in disk.unsafe if "/files/" in path] == []


def test_progress_costs_no_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipress.jobs.progress import Progress

    with recorded(monkeypatch) as disk:
        Progress(tmp_path / "progress.json", "prune", "prune").write(0.5, "half")
        assert [target for target, _ in disk.renames] == [tmp_path / "progress.json"] and disk.flushed == set()
