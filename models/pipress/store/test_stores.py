"""What every store promises, tried on each kind."""

import hashlib
from pathlib import Path

import pytest

from pipress.errors import StageError
from pipress.store.conftest import KEY, make
from pipress.store.store import Store, open_store, silent, workplace


def test_what_is_not_committed_is_not_there(store: Store) -> None:
    (store.begin(KEY) / "model.gguf").write_text("half")
    assert store.manifest(KEY) is None
    with pytest.raises(StageError, match="is not in the store — run `up` again"):
        store.open(KEY)


def test_a_new_attempt_begins_empty(store: Store) -> None:
    (store.begin(KEY) / "model.gguf").write_text("half")
    assert list(store.begin(KEY).iterdir()) == []


def test_what_is_discarded_leaves_nothing(store: Store) -> None:
    folder = store.begin(KEY)
    (folder / "model.gguf").write_text("half")
    store.discard(KEY)
    assert not folder.exists() and store.manifest(KEY) is None


def test_there_may_be_nothing_to_discard(store: Store) -> None:
    store.discard(KEY)
    assert store.manifest(KEY) is None


def test_an_artifact_comes_back_as_it_went_in(store: Store) -> None:
    make(store)
    folder = store.open(KEY)
    assert (folder / "model.gguf").read_text() == "weights"
    assert (folder / "sub" / "a b.txt").read_text() == "sthgiew"


def test_the_manifest_lists_every_file_with_digest_and_size(store: Store) -> None:
    manifest = make(store)
    assert manifest == store.manifest(KEY)
    assert manifest["run"] == "weights"
    assert manifest["files"] == {
        "model.gguf": {"sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7},
        "sub/a b.txt": {"sha256": hashlib.sha256(b"sthgiew").hexdigest(), "bytes": 7},
    }


def test_the_first_to_commit_wins_and_the_second_is_told_so(store: Store) -> None:
    make(store, "first")
    assert make(store, "later")["run"] == "first"
    assert (store.open(KEY) / "model.gguf").read_text() == "first"


def test_an_empty_file_is_a_file(store: Store) -> None:
    (store.begin(KEY) / "empty").touch()
    store.commit(KEY, {"run": "r"})
    assert (store.open(KEY) / "empty").read_bytes() == b""


def test_nothing_is_unfinished_after_a_commit(store: Store) -> None:
    make(store)
    assert store.unfinished(KEY) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/store", "http://host/store is not a store — write it as file:///absolute/folder"),
        ("s3://Bucket/x", "s3://Bucket/x is not a store — write it as s3://bucket/prefix"),
        ("s3:///x", "is not a store"),
        ("s3://bucket/x?endpiont=http://h", "has options that a store does not know"),
        ("s3://bucket/x?endpoint=host:80", "the endpoint host:80 is not an address"),
    ],
)
def test_what_is_no_store_is_refused(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        open_store(url, tmp_path)
    assert message in str(caught.value)


def test_artifacts_are_made_on_the_disk_of_the_store_and_those_of_a_bucket_beside_the_jobs(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    assert workplace("file:///data/my%20store", jobs) == Path("/data/my store")
    assert workplace("s3://bucket/prefix", jobs) == jobs


def test_a_store_says_nothing_unless_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    silent("fetching")
    assert capsys.readouterr() == ("", "")
