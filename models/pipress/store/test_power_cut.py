"""The order of flush and rename, recorded for every writer: what has its name must survive a power cut as a whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipress.atomic import write_json, write_text
from pipress.recovery.checkpoints import save_checkpoint
from pipress.store.conftest import KEY, make
from pipress.store.file_store import FileStore
from pipress.store.testing.disk import recorded

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
