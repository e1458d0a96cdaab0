"""Fetch one pinned file from the Python package index this machine is set up for.

    python pypi_download.py NAME VERSION FILENAME SHA256 DEST

The index is `PIP_INDEX_URL` or `UV_DEFAULT_INDEX` when set, else the public one that `pypi-simple` knows.
The bytes are trusted only by their SHA-256. They go to `DEST.part` first, which a later run continues (HTTP
Range), and become `DEST` by an atomic rename. Progress lines go to stderr, one every few seconds.

Exit status: 0 done (or DEST was already right), 1 with one clear line on stderr otherwise.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple

CHUNK_BYTES = 1 << 20
CONNECT_TIMEOUT_SECONDS = 15
READ_TIMEOUT_SECONDS = 60
ATTEMPTS = 4
PROGRESS_EVERY_SECONDS = 4


class DownloadError(Exception):
    """What went wrong and what to do, in one line for the user."""


def index_endpoint() -> str:
    """The index to ask: the one pip or uv would use on this machine."""
    return os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_DEFAULT_INDEX") or PYPI_SIMPLE_ENDPOINT


def file_url(name: str, filename: str) -> str:
    """The address of `filename` in the index's page for project `name`."""
    with PyPISimple(index_endpoint()) as index:
        try:
            page = index.get_project_page(name, timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS))
        except NoSuchProjectError:
            raise DownloadError(f"{name}: the package index does not have this project") from None
    for package in page.packages:
        if package.filename == filename:
            return package.url
    raise DownloadError(f"{name}: the package index does not list {filename}")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, part: Path, label: str) -> None:
    """Append what is missing to `part`; the server may also send everything anew (status 200)."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # everything was here already; the digest decides
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        done = have if resumed else 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        started, start_bytes, reported = time.monotonic(), done, time.monotonic()
        with part.open("ab" if resumed else "wb") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if time.monotonic() - reported >= PROGRESS_EVERY_SECONDS:
                    reported = time.monotonic()
                    rate = (done - start_bytes) / (reported - started)
                    of = f" of {total / 1e6:.1f} MB ({100 * done // total} %)" if total >= done else " MB"
                    print(f"{label}: {done / 1e6:.1f}{of}, {rate / 1e6:.1f} MB/s", file=sys.stderr, flush=True)


def download(name: str, version: str, filename: str, sha256: str, dest: Path) -> None:
    """Put `filename` of `name` at `dest`, verified. Raises DownloadError."""
    if dest.exists() and sha256_of(dest) == sha256:
        return
    dest.parent.mkdir(parents=True, exist_ok=True)
    part = dest.with_name(dest.name + ".part")
    label = f"{name} {version}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            fetch(file_url(name, filename), part, label)
        except (requests.RequestException, OSError) as error:
            if attempt == ATTEMPTS:
                raise DownloadError(f"{label}: download failed {ATTEMPTS} times, last: {error}") from error
            print(f"{label}: {error}; trying again", file=sys.stderr, flush=True)
            time.sleep(2**attempt)
            continue
        digest = sha256_of(part)
        if digest == sha256:
            part.replace(dest)
            return
        part.unlink()  # never continue from bytes that turned out wrong
        if attempt == ATTEMPTS:
            raise DownloadError(f"{label}: {filename} has SHA-256 {digest}, expected {sha256}: refusing to use it")


def main() -> int:
    """Command line: see the module's docstring."""
    if len(sys.argv) != 6:
        print(__doc__, file=sys.stderr)
        return 2
    name, version, filename, sha256, dest = sys.argv[1:]
    try:
        download(name, version, filename, sha256, Path(dest))
    except DownloadError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
