"""Stores to test with: a folder, and a bucket on a real S3 server on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipress.store.store import Store, open_store
from pipress.store.testing.s3_server import ROOT, S3Server, server_program

KEY = "ab" * 32


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if not server_program().exists():
        pytest.skip("no S3 server here; `npm run bootstrap -- --test` brings it")
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def s3_url(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own, with credentials for it in the environment."""
    for name, value in ROOT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3_server.url(tmp_path.name)


@pytest.fixture
def open_s3(s3_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Opens the test's store as one of several machines would."""
    return lambda machine="here", url=s3_url: open_store(url, tmp_path / machine / "jobs")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every kind of store in turn."""
    if request.param == "folder":
        return open_store(tmp_path.as_uri(), tmp_path / "jobs")
    return request.getfixturevalue("open_s3")()


def make(store: Store, text: str = "weights", key: str = KEY) -> dict[str, Any]:
    """Makes an artifact with two files whose content is `text`."""
    folder = store.begin(key)
    (folder / "model.gguf").write_text(text)
    (folder / "sub").mkdir()
    (folder / "sub" / "a b.txt").write_text(text[::-1])
    return store.commit(key, {"run": text})
