"""The content-addressed store of a host: each file under its SHA-256, fetched by range, verified while it streams.

    <store>/<sha256>        a complete, verified file
    <store>/<sha256>.part   the same file while it is on its way
    <store>/<sha256>.ok     size, mtime and inode at the time of verification

The stamp is what makes later checks cheap: a file that still has the stamp's size, mtime and inode is taken as
unchanged, so that a check of a 4 GB model reads no gigabytes. A file that was edited or replaced no longer fits
its stamp; only then is it hashed again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .errors import HostError
from .files import CHUNK, make_folder, read_json, sha256_of, write_json
from .sizes import size_text

#: Bytes that a transfer leaves free on the disk, so that the host stays usable.
DISK_RESERVE = 128 * 1024 * 1024
#: Seconds without a byte after which a connection counts as dead.
STALL_SECONDS = 60
#: The same for a peer, which is only one of several places to ask.
PEER_SECONDS = 15
#: Attempts in a row that may end without a new byte before the transfer gives up.
FRUITLESS_ATTEMPTS = 3


@dataclass(frozen=True)
class Wanted:
    """A file that the store shall hold."""

    sha256: str
    #: Size in bytes.
    size: int
    #: What a message calls it, e.g. "model".
    label: str
    executable: bool = False
    #: What makes it anew on the controller, for a message.
    remedy: str = "run `./pipress up` again"

    @property
    def mode(self) -> int:
        """Read-only for everybody; what runs is executable too."""
        return 0o555 if self.executable else 0o444


def stamp_of(path: Path) -> dict[str, int]:
    """What a file looks like from outside: the cheap stand-in for its digest."""
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}


def stamp_path(path: Path) -> Path:
    """Where the stamp of a store file lives."""
    return path.with_name(path.name + ".ok")


def stamp(path: Path) -> None:
    """Records that the file at `path` was verified as it lies there now, and makes its name in the folder durable."""
    write_json(stamp_path(path), stamp_of(path))


def is_stamped(path: Path) -> bool:
    """Whether the file at `path` is the one that was verified, as far as size, mtime and inode tell."""
    return path.is_file() and read_json(stamp_path(path)) == stamp_of(path)


def state_of(store: Path, wanted: Wanted) -> str:
    """`present`, `missing` or `altered`. Reads the file's content only where its stamp does not fit."""
    path = store / wanted.sha256
    if not path.is_file():
        return "missing"
    if is_stamped(path):
        return "present"
    if path.stat().st_size != wanted.size or sha256_of(path) != wanted.sha256:
        return "altered"
    return "present"


def missing_bytes(store: Path, wanted: Wanted) -> int:
    """Bytes that still have to travel, told from sizes alone."""
    path = store / wanted.sha256
    if is_stamped(path) or (path.is_file() and path.stat().st_size == wanted.size):
        return 0
    part = path.with_name(path.name + ".part")
    return max(0, wanted.size - (part.stat().st_size if part.is_file() else 0))


def take_program(work: Path, store: Path) -> dict[str, Any] | None:
    """Copies the program that a build has left in `work` into the store, under its digest; None where there is none.

    Whoever compiled it owns the folder: no link is followed there, and what counts is the copy.
    """
    try:
        folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    copy = store / ".llama-server.new"
    digest = hashlib.sha256()
    try:
        program = os.open("llama-server", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(program, "rb") as source, open(copy, "wb") as out:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                return None
            for piece in iter(lambda: source.read(CHUNK), b""):
                digest.update(piece)
                out.write(piece)
            os.fchmod(out.fileno(), 0o555)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        return None
    finally:
        os.close(folder)
    path = store / digest.hexdigest()
    os.replace(copy, path)
    stamp(path)
    return {"sha256": path.name, "bytes": path.stat().st_size}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str):
        super().__init__("localhost", timeout=STALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Source:
    """Where a file can be had: the controller behind a unix socket, or a peer's `address:port`."""

    address: str
    peer: bool = False

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is opened by the first request."""
        if not self.peer:
            return _UnixConnection(self.address)
        host, _, port = self.address.rpartition(":")
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=PEER_SECONDS)


def fetch(store: Path, wanted: Wanted, socket_path: str, peers: Sequence[str] = ()) -> dict[str, Any]:
    """Puts `wanted` into the store, unless it is there already.

    It comes from the first of `peers` (`address:port`) that has it, and as far as none has, from the controller:
    `http+unix://<socket_path>/sha256/<hex>`. Returns `{changed, state, transferred, resumedAt, fromPeers}`:
    whether anything had to be done, what was found, the bytes that travelled, the offset at which an earlier attempt was
    picked up, and how many of the bytes were peers'. Raises HostError.
    """
    make_folder(store)
    path = store / wanted.sha256
    with _locked(store, wanted):
        state = state_of(store, wanted)
        if state == "present":
            if not is_stamped(path):
                stamp(path)
            return {
                "changed": _ensure_mode(path, wanted.mode),
                "state": state,
                "transferred": 0,
                "resumedAt": 0,
                "fromPeers": 0,
            }
        part = path.with_name(path.name + ".part")
        with open(part, "a+b") as out:
            resumed_at = min(os.fstat(out.fileno()).st_size, wanted.size)
            sources = [*(Source(address, peer=True) for address in peers), Source(socket_path)]
            transferred = _fill(out, wanted, sources)
            os.fchmod(out.fileno(), wanted.mode)
            os.fsync(out.fileno())
        os.replace(part, path)
        stamp(path)
    return {
        "changed": True,
        "state": state,
        "transferred": sum(transferred),
        "resumedAt": resumed_at,
        "fromPeers": transferred[1],
    }


@contextlib.contextmanager
def _locked(store: Path, wanted: Wanted) -> Iterator[None]:
    """Two `up`s at once take turns; the second finds the file there."""
    with open(store / f".{wanted.sha256}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def has_mode(path: Path, mode: int) -> bool:
    """Whether a file's permissions are exactly `mode`."""
    return path.stat().st_mode & 0o7777 == mode


def _ensure_mode(path: Path, mode: int) -> bool:
    if has_mode(path, mode):
        return False
    path.chmod(mode)
    return True


def _fill(out: BinaryIO, wanted: Wanted, sources: list[Source]) -> tuple[int, int]:
    """Completes the part file and checks its digest; returns the bytes that travelled from controller and peers."""
    travelled = [0, 0]
    while True:
        resumed = os.fstat(out.fileno()).st_size > 0
        digest, received = _complete(out, wanted, list(sources))
        travelled = [total + now for total, now in zip(travelled, received)]
        if digest == wanted.sha256:
            return travelled[0], travelled[1]
        out.truncate(0)
        # What an interrupted attempt left, or a peer gave, may be what is broken: one try from the start, from the
        # controller alone, before the source is blamed.
        if not resumed and received[1] == 0:
            Path(out.name).unlink(missing_ok=True)
            raise HostError(
                f"the {wanted.label} does not have the digest that the release names: "
                f"expected sha256 {wanted.sha256}, got {digest}",
                "nothing was installed and the service was not touched; what makes it anew on the controller: "
                f"{wanted.remedy}",
            )
        sources = sources[-1:]


def _complete(out: BinaryIO, wanted: Wanted, sources: list[Source]) -> tuple[str, tuple[int, int]]:
    """Reads until the part file has its full size, over as many connections as that takes.

    The last of `sources` is the controller. A peer that fails once is not asked again.
    """
    digest = hashlib.sha256()
    size = os.fstat(out.fileno()).st_size
    if size > wanted.size:
        out.truncate(0)
        size = 0
    out.seek(0)
    for piece in iter(lambda: out.read(CHUNK), b""):
        digest.update(piece)
    _require_space(Path(out.name), wanted, size)
    received = [0, 0]
    fruitless = 0
    while size < wanted.size:
        source, before = sources[0], size
        problem = "it ended early"
        try:
            for piece in _stream(source, wanted, size):
                out.write(piece)
                digest.update(piece)
                size += len(piece)
        except HostError as error:
            if not source.peer:
                raise
            problem = error.what
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                out.truncate(0)
                Path(out.name).unlink(missing_ok=True)
                raise HostError(
                    f"the disk filled up while the {wanted.label} was fetched, at {size_text(size)} of {size_text(wanted.size)}",
                    "the part was removed and the service was not touched; free "
                    f"{size_text(wanted.size + DISK_RESERVE)} and run the same command again",
                ) from error
            problem = str(error)
        except http.client.HTTPException as error:
            problem = str(error) or type(error).__name__
        out.flush()
        received[source.peer] += size - before
        if source.peer and size < wanted.size:
            sources.pop(0)
            continue
        fruitless = fruitless + 1 if size == before else 0
        if fruitless >= FRUITLESS_ATTEMPTS:
            raise HostError(
                f"the transfer of the {wanted.label} stopped at {size_text(size)} of {size_text(wanted.size)} ({problem})",
                "run the same command again: it goes on from there",
            )
        if size < wanted.size:
            time.sleep(0.2 * (1 + fruitless))
    return digest.hexdigest(), (received[0], received[1])


def _require_space(part: Path, wanted: Wanted, present: int) -> None:
    disk = os.statvfs(part.parent)
    free = disk.f_bavail * disk.f_frsize
    needed = wanted.size - present + DISK_RESERVE
    if wanted.size > present and free < needed:
        if present == 0:
            part.unlink(missing_ok=True)
        raise HostError(
            f"the disk is too full for the {wanted.label}: {size_text(needed)} are needed in {part.parent}, "
            f"{size_text(free)} are free",
            "the service was not touched; free some space and run the same command again",
        )


def _stream(source: Source, wanted: Wanted, offset: int) -> Iterator[bytes]:
    """The content from `offset` on, until it is complete or the connection ends."""
    connection = source.connect()
    try:
        connection.request("GET", f"/sha256/{wanted.sha256}", headers={"Range": f"bytes={offset}-"})
        response = connection.getresponse()
        if response.status == 404:
            raise HostError(
                f"the controller does not offer the {wanted.label} (sha256 {wanted.sha256})",
                "the artifact may have been deleted from the store: run `pulumi up` again, which makes it anew",
            )
        if response.status not in (200, 206):
            raise http.client.HTTPException(f"HTTP status {response.status}")
        offered = _offered_size(response)
        if offered is not None and offered != wanted.size:
            raise HostError(
                f"the {wanted.label} has {offered} bytes at the source, but the release says {wanted.size}",
                f"nothing was installed; what makes it anew on the controller: {wanted.remedy}",
            )
        # A server that knows no ranges starts from the beginning: what is here already is read past.
        skip = offset if response.status == 200 else 0
        remaining = wanted.size - offset
        while remaining > 0:
            # read1: what arrives is kept at once, so that an interruption costs no byte that has travelled.
            piece = response.read1(CHUNK)
            if not piece:
                return
            if skip:
                dropped = min(skip, len(piece))
                skip -= dropped
                piece = piece[dropped:]
            piece = piece[:remaining]
            remaining -= len(piece)
            yield piece
    finally:
        connection.close()


def _offered_size(response: http.client.HTTPResponse) -> int | None:
    ranged = response.getheader("Content-Range", "")
    total = ranged.rpartition("/")[2] if ranged else (response.getheader("Content-Length") or "")
    return int(total) if total.isdigit() else None
