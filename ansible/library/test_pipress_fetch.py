"""The module in this process, with a controller that serves one file on a unix socket."""

from __future__ import annotations

import hashlib
import socketserver
import threading

import pytest

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT)


@pytest.fixture
def fetch(module, tmp_path):
    with socketserver.UnixStreamServer(str(tmp_path / "socket"), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        def run(**changes):
            given = {"store": tmp_path / "store", "sha256": SHA256, "bytes": 7, "label": "model"}
            return module(**{**given, "socket": tmp_path / "socket", **changes})

        yield run
        server.shutdown()


def test_a_missing_file_is_fetched_and_told_and_then_there_is_nothing_to_do(fetch, tmp_path):
    answer = fetch()
    assert (answer["changed"], answer["state"], answer["transferred"]) == (True, "missing", 7)
    assert answer["msg"] == "the model on the host is missing"
    path = str(tmp_path / "store" / SHA256)
    assert answer["diff"] == {
        "before_header": path,
        "after_header": path,
        "before": "missing\n",
        "after": "model, 7 bytes, verified\n",
    }
    again = fetch()
    assert (again["changed"], again["state"]) == (False, "present")
    assert "msg" not in again and "diff" not in again


def test_check_tells_the_same_and_fetches_nothing(fetch, tmp_path):
    answer = fetch(check=True)
    assert (answer["changed"], answer["msg"]) == (True, "the model on the host is missing")
    assert not (tmp_path / "store").exists()
    fetch()
    assert fetch(check=True)["changed"] is False


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_anybody_may_write_is_told_and_put_right(fetch, tmp_path, check):
    fetch()
    file = tmp_path / "store" / SHA256
    file.chmod(0o644)
    answer = fetch(check=check)
    assert (answer["changed"], answer["msg"]) == (True, "the model on the host is not read-only")
    assert file.stat().st_mode & 0o777 == (0o644 if check else 0o444)


def test_a_changed_file_is_told_as_altered(fetch, tmp_path):
    fetch()
    file = tmp_path / "store" / SHA256
    file.chmod(0o644)
    file.write_bytes(b"another")
    assert fetch(check=True)["msg"] == "the model on the host was altered"


def test_a_program_can_be_started(fetch, tmp_path):
    fetch(executable=True)
    assert (tmp_path / "store" / SHA256).stat().st_mode & 0o777 == 0o555
    assert fetch(executable=True, check=True)["changed"] is False
    assert fetch(check=True)["changed"] is True


def test_what_does_not_come_fails_the_play_with_the_remedy(fetch):
    answer = fetch(sha256="0" * 64, remedy="make it anew")
    assert answer["failed"]
    assert "the model does not have the digest" in answer["msg"] and "make it anew" in answer["msg"]
