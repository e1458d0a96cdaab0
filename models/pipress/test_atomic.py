import os
from pathlib import Path

import pytest

from pipress.atomic import (
    make_folder_synced,
    read_json,
    rename_synced,
    replace_synced,
    sync_tree,
    write_json,
    write_text,
)


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is flushed, in its order."""
    paths: list[Path] = []
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    return paths


def test_a_document_is_whole_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"größe": [1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "größe": [\n    1\n  ]\n}\n'
    assert read_json(tmp_path / "a.json") == {"größe": [1]}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


@pytest.mark.parametrize("synced", [True, False])
def test_what_is_written_often_need_not_reach_the_disk(tmp_path: Path, flushed: list[Path], synced: bool) -> None:
    write_text(tmp_path / "a.txt", "old", synced)
    write_json(tmp_path / "a.txt", "new", synced)
    assert read_json(tmp_path / "a.txt") == "new"
    part = tmp_path / f".a.txt.{os.getpid()}.part"
    assert flushed == ([part, tmp_path] * 2 if synced else [])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "old")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_two_processes_that_write_one_file_have_a_part_each(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.1.part").write_text("another's")
    write_text(tmp_path / "a.txt", "ours")
    assert (tmp_path / ".a.txt.1.part").read_text() == "another's"


@pytest.mark.parametrize("content", ["", "{", b"\xff\xfe"])
def test_what_is_no_document_is_none(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_json(file) is None
    assert read_json(tmp_path / "none.json") is None and read_json(file / "below.json") is None


def test_a_document_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_json(tmp_path)


def test_a_file_is_flushed_before_it_has_its_name_and_the_name_after(tmp_path: Path, flushed: list[Path]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "part").write_text("content")
    replace_synced(tmp_path / "part", tmp_path / "sub" / "file")
    assert flushed == [tmp_path / "part", tmp_path / "sub"]
    assert (tmp_path / "sub" / "file").read_text() == "content"


def test_a_tree_is_flushed_from_its_leaves_up(tmp_path: Path, flushed: list[Path]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    files = [tmp_path / "1", tmp_path / "a" / "2", tmp_path / "a" / "b" / "3"]
    for file in files:
        file.touch()
    sync_tree(tmp_path)
    assert sorted(flushed) == sorted([*files, tmp_path, tmp_path / "a", tmp_path / "a" / "b"])
    for path in flushed:
        assert not any(folder in flushed[: flushed.index(path)] for folder in path.parents)


def test_a_renamed_folder_is_flushed_into_the_one_above(tmp_path: Path, flushed: list[Path]) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "artifacts").mkdir()
    rename_synced(tmp_path / "tmp", tmp_path / "artifacts" / "key")
    assert flushed == [tmp_path / "artifacts"] and (tmp_path / "artifacts" / "key").is_dir()


def test_every_folder_that_is_made_is_flushed_into_the_one_above(tmp_path: Path, flushed: list[Path]) -> None:
    for _ in range(2):
        make_folder_synced(tmp_path / "a" / "b")
    assert flushed == [tmp_path, tmp_path / "a"] and (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_somebody_else_makes_meanwhile_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when it was looked for."""
    (tmp_path / "a").mkdir()
    is_dir = Path.is_dir
    answers = [False]
    monkeypatch.setattr(Path, "is_dir", lambda path: answers.pop() if answers else is_dir(path))
    make_folder_synced(tmp_path / "a")


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        write_json(tmp_path / "a.json", {})
        sync_tree(tmp_path)
        read_json(tmp_path / "a.json")
    assert len(os.listdir("/proc/self/fd")) == before
