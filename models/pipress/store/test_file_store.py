from pathlib import Path

import pytest

from pipress.errors import StageError
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
