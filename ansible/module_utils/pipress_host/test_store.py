"""The store against a real HTTP server on a unix socket."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import shutil
import socketserver
import threading
import time
from pathlib import Path

import pytest

from pipress_host import store as store_module
from pipress_host.errors import HostError
from pipress_host.store import Wanted, fetch, missing_bytes, state_of, take_program

CONTENT = os.urandom(3_000_000)
REMEDY = "`./pipress store rm 696dc03e --yes`, then `./pipress up`"
WANTED = Wanted(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "model", remedy=REMEDY)


class Source(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves one content with ranges; can be told to break off, to lie, or to know no ranges."""

    daemon_threads = True

    def __init__(self, path: Path):
        self.content = CONTENT
        self.break_after: list[int] = []
        self.knows_ranges = True
        self.sent = 0
        self.requests = 0
        super().__init__(str(path), Answer)
        self.address = str(path)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path != f"/sha256/{WANTED.sha256}":
            self.send_error(404)
            return
        start = 0
        if self.server.knows_ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            total = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = self.server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after:
            body = body[: self.server.break_after.pop(0)]
        self.server.sent += len(body)
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def source(tmp_path):
    server = Source(tmp_path / "source.sock")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def test_a_missing_file_is_fetched_verified_and_read_only(store, source):
    outcome = fetch(store, WANTED, source.address)
    assert outcome == {
        "changed": True,
        "state": "missing",
        "transferred": len(CONTENT),
        "resumedAt": 0,
        "fromPeers": 0,
    }
    assert (store / WANTED.sha256).read_bytes() == CONTENT
    assert (store / WANTED.sha256).stat().st_mode & 0o777 == 0o444
    assert not list(store.glob("*.part"))


def test_a_file_that_is_there_is_neither_fetched_nor_hashed_again(store, source, monkeypatch):
    fetch(store, WANTED, source.address)
    monkeypatch.setattr(store_module, "sha256_of", lambda path: pytest.fail("hashed"))
    assert fetch(store, WANTED, source.address)["changed"] is False
    assert source.requests == 1


def test_a_part_left_by_an_earlier_attempt_is_resumed(store, source):
    store.mkdir()
    (store / f"{WANTED.sha256}.part").write_bytes(CONTENT[:1_000_000])
    assert missing_bytes(store, WANTED) == 2_000_000
    outcome = fetch(store, WANTED, source.address)
    assert (outcome["transferred"], outcome["resumedAt"]) == (2_000_000, 1_000_000)
    assert source.sent == 2_000_000


def test_interruptions_cost_no_byte_twice(store, source):
    source.break_after = [700_000, 700_000]
    assert fetch(store, WANTED, source.address)["transferred"] == len(CONTENT)
    assert (source.requests, source.sent) == (3, len(CONTENT))


def test_a_source_without_ranges_is_read_past_what_is_there(store, source):
    source.knows_ranges = False
    source.break_after = [700_000]
    fetch(store, WANTED, source.address)
    assert (store / WANTED.sha256).read_bytes() == CONTENT


def test_a_broken_part_is_fetched_anew_before_the_source_is_blamed(store, source):
    store.mkdir()
    (store / f"{WANTED.sha256}.part").write_bytes(b"x" * 1_000_000)
    fetch(store, WANTED, source.address)
    assert (store / WANTED.sha256).read_bytes() == CONTENT


def test_a_flipped_byte_is_refused_naming_both_digests_and_leaves_nothing(store, source):
    source.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    got = hashlib.sha256(source.content).hexdigest()
    said = f"model.*expected sha256 {WANTED.sha256}, got {got} — .*{re.escape(REMEDY)}$"
    with pytest.raises(HostError, match=said):
        fetch(store, WANTED, source.address)
    assert state_of(store, WANTED) == "missing"
    assert not list(store.glob("*.part"))


def test_a_source_of_another_size_is_refused_before_it_is_read(store, source):
    source.content = CONTENT + b"more"
    with pytest.raises(HostError, match=f"3000004 bytes at the source.*{re.escape(REMEDY)}$"):
        fetch(store, WANTED, source.address)
    assert source.sent <= len(source.content)


def test_a_source_that_keeps_breaking_off_leaves_the_part_for_the_next_run(store, source, monkeypatch):
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: None)
    source.break_after = [1_500_000, 0, 0, 0]
    with pytest.raises(HostError, match=r"stopped at 1.50 MB of 3.00 MB .*goes on from there"):
        fetch(store, WANTED, source.address)
    assert fetch(store, WANTED, source.address)["transferred"] == 1_500_000


def test_a_file_that_the_controller_lacks_is_named(store, source):
    with pytest.raises(HostError, match="does not offer the model"):
        fetch(store, Wanted("0" * 64, 5, "model"), source.address)


def test_a_disk_without_room_is_refused_before_anything_travels(store, source, monkeypatch):
    monkeypatch.setattr(store_module, "DISK_RESERVE", shutil.disk_usage("/").total * 2)
    with pytest.raises(HostError, match="disk is too full for the model"):
        fetch(store, WANTED, source.address)
    assert source.requests == 0


def test_a_disk_that_fills_up_on_the_way_is_freed_again(store, source, monkeypatch):
    def full(*arguments):
        yield CONTENT[:1000]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "_stream", full)
    with pytest.raises(HostError, match="disk filled up while the model was fetched, at 1.00 kB of 3.00 MB"):
        fetch(store, WANTED, source.address)
    assert not list(store.glob("*.part"))


def test_a_replaced_file_is_seen_and_fetched_again(store, source):
    fetch(store, WANTED, source.address)
    path = store / WANTED.sha256
    path.chmod(0o644)
    path.write_bytes(b"x" * len(CONTENT))
    assert state_of(store, WANTED) == "altered"
    assert fetch(store, WANTED, source.address)["state"] == "altered"
    assert path.read_bytes() == CONTENT


def test_a_touched_file_is_hashed_once_and_kept(store, source):
    fetch(store, WANTED, source.address)
    path = store / WANTED.sha256
    os.utime(path, ns=(1, 1))
    assert state_of(store, WANTED) == "present"
    assert fetch(store, WANTED, source.address)["changed"] is False
    assert source.requests == 1
    assert store_module.is_stamped(path)


def test_two_at_once_transfer_it_once(store, source):
    others = [threading.Thread(target=fetch, args=(store, WANTED, source.address)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert source.sent == len(CONTENT)
    assert time.time() - (store / WANTED.sha256).stat().st_mtime < 60


def test_what_the_user_that_compiles_leaves_is_copied_and_never_followed(tmp_path):
    """Its folder is its own: it can put there what it likes."""
    store, work, secret = tmp_path / "store", tmp_path / "work", tmp_path / "llama-server"
    store.mkdir()
    secret.write_text("root's own")
    assert take_program(work, store) is None
    work.symlink_to(tmp_path)
    assert take_program(work, store) is None
    work.unlink()
    work.mkdir()
    (work / "llama-server").symlink_to(secret)
    assert take_program(work, store) is None
    (work / "llama-server").unlink()
    os.mkfifo(work / "llama-server")
    assert take_program(work, store) is None
    (work / "llama-server").unlink()
    (work / "llama-server").write_text("program")
    taken = take_program(work, store)
    assert taken == {"sha256": hashlib.sha256(b"program").hexdigest(), "bytes": 7}
    (work / "llama-server").write_text("another")
    assert (store / taken["sha256"]).read_text() == "program"
