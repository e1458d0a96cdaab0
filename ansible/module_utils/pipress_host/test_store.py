"""The store against a real HTTP server on a unix socket."""

from __future__ import annotations

import errno
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
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


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
    nothing = {"changed": False, "state": "present", "transferred": 0, "resumedAt": 0, "fromPeers": 0}
    assert fetch(store, WANTED, source.address) == nothing
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


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 1])
def test_a_part_of_the_full_size_or_more_costs_no_more_than_the_file(store, source, size):
    store.mkdir()
    (store / f"{WANTED.sha256}.part").write_bytes((CONTENT + b"x")[:size])
    outcome = fetch(store, WANTED, source.address)
    whole = size == len(CONTENT)
    assert (outcome["resumedAt"], outcome["transferred"]) == (len(CONTENT), 0 if whole else len(CONTENT))
    assert (store / WANTED.sha256).read_bytes() == CONTENT


def test_what_travels_is_counted_once_for_each_time_it_travels(store, source):
    store.mkdir()
    (store / f"{WANTED.sha256}.part").write_bytes(b"x" * 1_000_000)
    outcome = fetch(store, WANTED, source.address)
    assert (outcome["transferred"], outcome["fromPeers"]) == (2_000_000 + 3_000_000, 0)


@pytest.mark.parametrize(
    ("part", "missing"), [(None, 3_000_000), (1, 2_999_999), (2_999_999, 1), (3_000_001, 0)]
)
def test_what_is_missing_is_told_from_sizes_alone(store, part, missing):
    store.mkdir()
    if part:
        (store / f"{WANTED.sha256}.part").write_bytes(b"x" * part)
    assert missing_bytes(store, WANTED) == missing


def test_a_whole_file_is_not_missing_whether_it_was_verified_or_not(store):
    store.mkdir()
    file = store / WANTED.sha256
    file.write_bytes(b"x" * len(CONTENT))
    assert missing_bytes(store, WANTED) == 0
    file.write_bytes(b"short")
    assert missing_bytes(store, WANTED) == len(CONTENT)
    store_module.stamp(file)
    assert missing_bytes(store, WANTED) == 0


def test_a_stamp_is_of_one_file_as_it_lies_there(store):
    store.mkdir()
    file = store / "file"
    file.write_text("one")
    assert not store_module.is_stamped(file)
    store_module.stamp(file)
    assert store_module.is_stamped(file)
    for change in (
        lambda: os.utime(file, ns=(1, 1)),
        lambda: file.write_text("four"),
        lambda: (file.rename(store / "other"), shutil.copy2(store / "other", file)),
    ):
        change()
        assert not store_module.is_stamped(file)
        store_module.stamp(file)
    file.unlink()
    assert not store_module.is_stamped(file)


def test_a_file_that_anybody_may_write_is_made_read_only(store, source):
    fetch(store, WANTED, source.address)
    (store / WANTED.sha256).chmod(0o644)
    outcome = fetch(store, WANTED, source.address)
    assert (outcome["changed"], outcome["transferred"], source.requests) == (True, 0, 1)
    assert store_module.has_mode(store / WANTED.sha256, 0o444)


def test_of_what_was_altered_the_size_tells_without_reading(store, monkeypatch):
    store.mkdir()
    (store / WANTED.sha256).write_bytes(b"short")
    monkeypatch.setattr(store_module, "sha256_of", lambda path: pytest.fail("hashed"))
    assert state_of(store, WANTED) == "altered"


def test_no_room_for_what_is_missing_keeps_the_part_and_asks_for_no_more_than_that(
    store, source, monkeypatch
):
    free = shutil.disk_usage(store.parent).free
    store.mkdir()
    part = store / f"{WANTED.sha256}.part"
    part.write_bytes(CONTENT[:2_999_999])
    monkeypatch.setattr(store_module, "DISK_RESERVE", free * 2)
    with pytest.raises(HostError, match="too full for the model"):
        fetch(store, WANTED, source.address)
    assert part.exists()
    # Nothing is missing: there is room for it on any disk.
    part.write_bytes(CONTENT)
    assert fetch(store, WANTED, source.address)["transferred"] == 0


def test_a_disk_with_just_the_room_is_not_too_full(store, source, monkeypatch):
    needed = len(CONTENT) + store_module.DISK_RESERVE

    class Disk:
        f_frsize = 1
        f_bavail = needed

    monkeypatch.setattr(store_module.os, "statvfs", lambda path: Disk)
    Disk.f_bavail = needed - 1
    with pytest.raises(HostError, match="too full"):
        fetch(store, WANTED, source.address)
    assert not list(store.glob("*.part"))
    Disk.f_bavail = needed
    assert fetch(store, WANTED, source.address)["transferred"] == len(CONTENT)


def test_a_source_that_breaks_off_again_and_again_but_gives_something_is_asked_on(store, source, monkeypatch):
    pauses = []
    monkeypatch.setattr(store_module.time, "sleep", pauses.append)
    source.break_after = [0, 0, 1_000_000, 0, 0, 1_000_000]
    assert fetch(store, WANTED, source.address)["transferred"] == len(CONTENT)
    assert source.requests == 7
    # It is given more time the longer it says nothing.
    assert pauses == pytest.approx([0.4, 0.6, 0.2, 0.4, 0.6, 0.2])


def test_a_source_that_gives_nothing_three_times_is_given_up(store, source, monkeypatch):
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: None)
    source.break_after = [0] * 10
    with pytest.raises(HostError, match="stopped at 0 B of 3.00 MB"):
        fetch(store, WANTED, source.address)
    assert source.requests == 3


def test_a_source_that_is_out_of_reach_is_given_up_with_its_reason(store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: None)
    with pytest.raises(HostError, match=r"stopped at 0 B of 3.00 MB \(.*No such file"):
        fetch(store, WANTED, str(tmp_path / "none.sock"))


def test_a_source_that_fails_is_quoted(store, source, monkeypatch):
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Answer, "do_GET", lambda answer: answer.send_error(500))
    with pytest.raises(HostError, match=r"stopped at 0 B of 3.00 MB \(HTTP status 500\)"):
        fetch(store, WANTED, source.address)


def test_more_than_was_asked_for_is_not_taken(store, source, monkeypatch):
    """A source without a size in its answer that sends on and on."""

    def endless(answer):
        answer.send_response(200)
        answer.end_headers()
        answer.wfile.write(CONTENT + b"and more" * 1000)

    monkeypatch.setattr(Answer, "do_GET", endless)
    assert fetch(store, WANTED, source.address)["transferred"] == len(CONTENT)
    assert (store / WANTED.sha256).read_bytes() == CONTENT


def test_a_full_quota_is_a_full_disk_and_another_error_is_not(store, source, monkeypatch):
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: None)
    for number, message in (
        (errno.EDQUOT, "disk filled up"),
        (errno.EIO, "the transfer of the model stopped"),
    ):

        def broken(*arguments, number=number):
            yield CONTENT[:0]
            raise OSError(number, "broken")

        monkeypatch.setattr(store_module, "_stream", broken)
        with pytest.raises(HostError, match=message):
            fetch(store, WANTED, source.address)


def test_one_that_is_at_work_on_a_file_is_waited_for(store, source):
    store.mkdir()
    with store_module._locked(store, WANTED):
        waiting = threading.Thread(target=fetch, args=(store, WANTED, source.address))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive() and source.requests == 0
    waiting.join(5)
    assert (store / WANTED.sha256).exists()


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
    program = store / taken["sha256"]
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("program", 0o555)
    assert store_module.is_stamped(program)
    assert [path.name for path in store.iterdir() if path.name.startswith(".")] == []
