import errno
import os
import re
from pathlib import Path

import pytest

from pipress.errors import StageError
from pipress.store import file_store
from pipress.store.conftest import KEY, make
from pipress.store.file_store import FileStore
from pipress.store.testing.disk import recorded


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda file: file.write_text("weighty"),
            "is damaged: its SHA-256 is 0775d5adecb9… instead of 9a129038d9a0…",
        ),
        (lambda file: file.write_text("w"), "is damaged: 1 bytes instead of 7"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_damaged_input_is_refused_with_its_path_and_the_remedy(tmp_path: Path, damage, message: str) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store)
    folder = store.locate(KEY)
    (folder / "model.gguf").chmod(0o644)
    damage(folder / "model.gguf")
    with pytest.raises(StageError) as caught:
        store.open(KEY)
    assert f"{folder / 'model.gguf'} {message}" in caught.value.what
    assert caught.value.remedy == f"remove {folder} and run `up` again: the stage that makes it will run"


def test_only_the_files_that_will_be_read_are_checked(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    out = store.begin(KEY)
    for name in ("small.json", "large.gguf"):
        (out / name).write_text("whole")
    store.commit(KEY, {})
    folder = store.locate(KEY)
    (folder / "large.gguf").unlink()
    assert store.open(KEY, only=("small.json",)) == folder
    with pytest.raises(StageError, match=r"large\.gguf is missing"):
        store.open(KEY)


def test_another_machine_s_unfinished_artifact_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path.as_uri())
    monkeypatch.setattr(file_store, "_machine", lambda: "theirs")
    theirs = store.begin(KEY)
    (theirs / "model.gguf").write_text("half")
    monkeypatch.undo()
    make(store)
    store.begin(KEY)
    store.discard(KEY)
    assert (theirs / "model.gguf").read_text() == "half"
    monkeypatch.setattr(file_store, "_machine", lambda: "theirs")
    assert store.commit(KEY, {"run": "later"})["run"] == "weights", "the first to commit wins"
    assert not theirs.exists()


def test_a_folder_that_a_person_half_removed_is_made_anew(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store, "first")
    (store.locate(KEY) / "manifest.json").unlink()
    assert make(store, "second")["run"] == "second"
    assert (store.open(KEY) / "model.gguf").read_text() == "second"


def test_a_size_that_is_wrong_is_told_before_any_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store)
    last = store.locate(KEY) / "sub" / "a b.txt"
    last.chmod(0o644)
    last.write_text("longer than it was")
    monkeypatch.setattr(file_store, "file_sha256", lambda path: pytest.fail(f"{path} is read"))
    with pytest.raises(StageError, match=r"a b\.txt is damaged: 18 bytes instead of 7"):
        store.open(KEY)


def test_a_folder_in_the_place_of_a_file_is_no_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store)
    (store.locate(KEY) / "model.gguf").unlink()
    (store.locate(KEY) / "model.gguf").mkdir()
    with pytest.raises(StageError, match=r"model\.gguf is missing"):
        store.open(KEY)


def test_nobody_changes_what_is_in_the_store_by_mistake(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store)
    files = [path for path in store.locate(KEY).rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"manifest.json", "model.gguf", "a b.txt"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


def test_a_folder_s_name_may_hold_any_sign(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20ü"
    store = FileStore(folder.as_uri())
    make(store)
    assert (folder / "artifacts" / KEY / "manifest.json").exists() and store.root == folder


@pytest.mark.parametrize("url", ["file:relative", "file://", "/absolute", "http:///absolute"])
def test_what_names_no_folder_is_no_store(url: str) -> None:
    with pytest.raises(StageError, match=f"{re.escape(url)} is not a store"):
        FileStore(url)


def test_the_manifest_names_files_as_they_are_and_not_as_somebody_said(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    (store.begin(KEY) / "file").write_text("x")
    manifest = store.commit(KEY, {"run": "r", "files": {"other": {}}})
    assert list(manifest["files"]) == ["file"] and "manifest.json" not in manifest["files"]
    assert store.open(KEY) == store.locate(KEY)


def test_the_second_to_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store, "first")
    make(store, "later")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_artifact_that_cannot_be_moved_into_place_is_an_error_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store, "first")
    folder = store.begin(KEY)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(PermissionError):
        store.commit(KEY, {"run": "later"})
    assert folder.exists() and (store.open(KEY) / "model.gguf").read_text() == "first"


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.EEXIST])
def test_a_folder_that_is_there_already_is_told_in_either_of_two_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store, "first")
    rename = os.rename

    def taken(source: Path, target: Path) -> None:
        if target.exists():
            raise OSError(number, "")
        rename(source, target)

    monkeypatch.setattr(os, "rename", taken)
    assert make(store, "later")["run"] == "first"


def test_a_half_removed_folder_is_replaced_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path.as_uri())
    make(store, "first")
    (store.locate(KEY) / "manifest.json").unlink()
    with recorded(monkeypatch) as disk:
        make(store, "second")
        disk.check()


def test_a_machine_is_told_by_its_name_and_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines that share a folder must not have one place there."""
    ours = file_store._machine()
    assert re.fullmatch("[0-9a-f]{12}", ours) and file_store._machine() == ours
    monkeypatch.setattr(file_store.platform, "node", lambda: "another")
    renamed = file_store._machine()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "its number\n")
    numbered = file_store._machine()
    assert len({ours, renamed, numbered}) == 3

    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert re.fullmatch("[0-9a-f]{12}", file_store._machine())
