from pathlib import Path

import pytest

from pipress.errors import StageError
from pipress.store import file_store
from pipress.store.conftest import KEY, make
from pipress.store.file_store import FileStore


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_text("weighty"), "is damaged: its SHA-256 is"),
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
