from pathlib import Path

import pytest

from pipress.errors import StageError
from pipress.store.file_store import FileStore

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path.as_uri())


def made(store: FileStore, text: str = "weights") -> Path:
    (store.begin(KEY) / "model.gguf").write_text(text)
    store.commit(KEY, {"run": text})
    return store.locate(KEY)


def test_what_is_not_committed_is_not_there(store: FileStore) -> None:
    (store.begin(KEY) / "model.gguf").write_text("half")
    assert store.manifest(KEY) is None and not store.locate(KEY).exists()


def test_a_new_attempt_begins_empty(store: FileStore) -> None:
    (store.begin(KEY) / "model.gguf").write_text("half")
    assert list(store.begin(KEY).iterdir()) == []


def test_the_manifest_lists_every_file_with_digest_and_size(store: FileStore) -> None:
    folder = store.begin(KEY)
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("a")
    manifest = store.commit(KEY, {"run": "r"})
    assert manifest["files"] == {
        "sub/a.txt": {"sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "bytes": 1}
    }


def test_the_first_to_commit_wins(store: FileStore) -> None:
    made(store, "first")
    made(store, "second")
    assert (store.open(KEY) / "model.gguf").read_text() == "first"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_text("weighty"), "is damaged: its SHA-256 is"),
        (lambda file: file.write_text("w"), "is damaged: 1 bytes instead of 7"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_damaged_input_is_refused_with_its_path_and_the_remedy(store: FileStore, damage, message: str) -> None:
    folder = made(store)
    (folder / "model.gguf").chmod(0o644)
    damage(folder / "model.gguf")
    with pytest.raises(StageError) as caught:
        store.open(KEY)
    assert f"{folder / 'model.gguf'} {message}" in caught.value.what
    assert caught.value.remedy == f"remove {folder} and run `up` again: the stage that makes it will run"


def test_only_folders_are_stores() -> None:
    with pytest.raises(StageError, match="is not a store"):
        FileStore("s3://bucket")


def test_only_the_files_that_will_be_read_are_checked(store: FileStore) -> None:
    out = store.begin(KEY)
    for name in ("small.json", "large.gguf"):
        (out / name).write_text("whole")
    folder = store.commit(KEY, {}) and store.locate(KEY)
    (folder / "large.gguf").unlink()
    assert store.open(KEY, only=("small.json",)) == folder
    with pytest.raises(StageError, match=r"large\.gguf is missing"):
        store.open(KEY)
