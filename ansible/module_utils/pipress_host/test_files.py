"""What is on the disk when the power goes, as far as it shows in what is synced."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from pipress_host import files
from pipress_host.files import (
    CHUNK,
    make_folder,
    point_link,
    read_link,
    sha256_of,
    sync_folder,
    write_atomically,
)


def test_every_folder_that_is_made_is_synced_into_the_one_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    write_atomically(tmp_path / "releases/one/release.json", b"{}")
    assert synced == [tmp_path, tmp_path / "releases", tmp_path / "releases/one"]
    assert (tmp_path / "releases/one/release.json").read_bytes() == b"{}"


def test_a_folder_that_is_there_costs_nothing(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path)
    assert synced == []


def test_a_folder_that_somebody_else_makes_meanwhile_is_as_good(tmp_path, monkeypatch):
    """It was not there when it was looked for."""
    (tmp_path / "a").mkdir()
    is_dir = Path.is_dir
    answers = [False]
    monkeypatch.setattr(Path, "is_dir", lambda path: answers.pop() if answers else is_dir(path))
    make_folder(tmp_path / "a")


@pytest.mark.parametrize("mode", [None, 0o600, 0o755])
def test_a_file_never_has_another_mode_than_its_own(tmp_path, monkeypatch, mode):
    """Not for an instant: a secret that anybody can read is read."""
    seen = []
    fsync = os.fsync

    def watched(handle):
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode):
            seen.append((status.st_mode & 0o777, status.st_size))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "keys", b"secret", *([] if mode is None else [mode]))
    finally:
        os.umask(before)
    assert seen == [(mode or 0o644, 6)]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == (mode or 0o644)


def test_a_secret_is_written_after_its_mode_is_set(tmp_path, monkeypatch):
    modes = []
    fchmod = os.fchmod
    monkeypatch.setattr(
        os, "fchmod", lambda handle, mode: modes.append(os.fstat(handle).st_size) or fchmod(handle, mode)
    )
    write_atomically(tmp_path / "keys", b"secret", 0o600)
    assert modes == [0]


def test_a_file_is_replaced_with_nothing_left_beside_it(tmp_path):
    for content in (b"old", b"new"):
        write_atomically(tmp_path / "file", content)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


@pytest.mark.parametrize("before", ["nothing", "a link", "a file", "a link that was cut off"])
def test_a_link_points_where_it_shall_whatever_was_there(tmp_path, before):
    link = tmp_path / "links/current"
    link.parent.mkdir()
    if before == "a link":
        link.symlink_to("old")
    elif before == "a file":
        link.write_text("old")
    elif before != "nothing":
        (tmp_path / f"links/.current.{os.getpid()}").symlink_to("half")
    point_link(link, "new")
    assert [path.name for path in link.parent.iterdir()] == ["current"]
    assert (read_link(link), read_link(tmp_path), read_link(tmp_path / "none")) == ("new", None, None)


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_a_digest_is_of_the_whole_file_and_every_piece_is_told(tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    pieces = []
    assert sha256_of(tmp_path / "file", pieces.append) == hashlib.sha256(content[:size]).hexdigest()
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content[:size]).hexdigest()
    assert sum(pieces) == size and len(pieces) == -(-size // CHUNK)


def test_nothing_stays_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        sync_folder(tmp_path)
        write_atomically(tmp_path / "file", b"")
    assert len(os.listdir("/proc/self/fd")) == before
