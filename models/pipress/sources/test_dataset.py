"""Data sets from a server on loopback that answers as Hugging Face's does for a file at a commit."""

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipress.conftest import prose
from pipress.errors import StageError
from pipress.sources.hugging_face import open_dataset_file, open_model_file
from pipress.stages import fetch_dataset
from pipress.texts.records import read_records

REVISION = "c0ffee" + "0" * 34
CONTENT = (
    ("\n".join(f'{{"text": "{sentence}."}}' for sentence in prose(2, 90).split(".") if sentence.strip()))
    .replace("\n\n", " ")
    .encode()
)


# As a crawl is published: packed, in shards in a folder, with more fields than the text.
CRAWL = gzip.compress(
    "\n".join(json.dumps({"text": prose(seed, 12), "timestamp": "", "url": ""}) for seed in range(3, 60)).encode()
)
MODEL = b"GGUF" + bytes(3_000_000)
FILES = {"model.gguf": MODEL, "news.jsonl": CONTENT, "en/c4-train.00000-of-01024.json.gz": CRAWL}


class Hub(BaseHTTPRequestHandler):
    """`/datasets/team/news/resolve/<commit>/` and one of `FILES`, the same as a model, and a gated neighbour."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append((f"{self.command} {self.path}", self.headers.get("Authorization")))
        if self.path.startswith("/datasets/team/gated/"):
            return self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        repository = re.match(r"(?:/datasets)?/team/news/resolve/(\w+)/(.*)", self.path)
        if repository is None:
            return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        content = FILES.get(repository[2]) if repository[1] in (REVISION, "main") else None
        if content is None:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        self._answer(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": REVISION})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def quiet(*_: Any) -> None:
    pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    yield Hub.asked
    server.shutdown()
    server.server_close()


def source(repo: str = "team/news", file: str = "news.jsonl") -> dict[str, str]:
    return {"repo": repo, "revision": REVISION, "file": file}


@pytest.mark.usefixtures("hub")
def test_a_data_set_is_text_of_a_recipe(make_spec: Any, text_source: Any, tmp_path: Path) -> None:
    evaluation = [{"huggingFace": source(), "format": "jsonl"}]
    spec = make_spec("fetch-dataset", calibration=[text_source("a", prose(1, 99))], evaluation=evaluation)
    metrics = fetch_dataset.run(spec, {}, tmp_path)
    assert metrics["evaluationBytes"] > 1000 and "harbour" in (tmp_path / "evaluation.jsonl").read_text()


@pytest.mark.usefixtures("hub")
def test_a_packed_crawl_is_calibration_text_up_to_the_size_that_is_asked_for(
    make_spec: Any, text_source: Any, tmp_path: Path
) -> None:
    crawl = {"huggingFace": source(file="en/c4-train.00000-of-01024.json.gz"), "format": "jsonl", "maxSize": "9 kB"}
    spec = make_spec("fetch-dataset", calibration=[crawl], evaluation=[text_source("a", prose(1, 99))])
    metrics = fetch_dataset.run(spec, {}, tmp_path)
    assert 8000 < metrics["calibrationBytes"] <= 9000 and metrics["validationDocuments"] == 1
    assert all(document.text for document in read_records(tmp_path / "calibration.jsonl"))


def test_the_file_of_the_pinned_commit_comes_with_the_token_and_only_once(hub: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert open_dataset_file(source(), tmp_path, quiet).read_bytes() == CONTENT
    gets = [token for request, token in hub if request.startswith("GET")]
    assert gets == ["Bearer hf_of_the_test"]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (source("team/gated"), "team/gated is gated.*accept the license"),
        (source(file="old.jsonl"), "team/news holds no such file at c0ffee000000 — check `file`"),
        (source("team/nothing"), "team/nothing does not exist, or is private"),
    ],
)
def test_each_refusal_of_a_data_set_says_what_to_do(wanted: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=message):
        open_dataset_file(wanted, tmp_path, quiet)


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it tries several times
    with pytest.raises(StageError, match="Hugging Face cannot be reached for team/news"):
        open_dataset_file(source(), tmp_path, quiet)


@pytest.mark.usefixtures("hub")
def test_a_model_file_is_known_by_its_digest_and_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[str] = []
    wanted = {"repo": "team/news", "file": "model.gguf", "sha256": hashlib.sha256(MODEL).hexdigest()}
    assert open_model_file(wanted, tmp_path, lambda _, text: told.append(text)).read_bytes() == MODEL
    assert "model.gguf · 3.00 MB of 3.00 MB" in told
    other = {**wanted, "sha256": "0" * 64}
    with pytest.raises(StageError, match=r"has the SHA-256 .*, the configuration says 0000"):
        open_model_file(other, tmp_path / "again", quiet)
    assert not list((tmp_path / "again").rglob("*.gguf")), "it is not gone on from"
