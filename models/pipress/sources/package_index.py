"""Files inside packages of the Python package index that this machine is set up for."""

import os
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, DistributionPackage, NoSuchProjectError, PyPISimple

from pipress.digests import file_sha256
from pipress.errors import StageError
from pipress.spec import Report
from pipress.units import format_bytes

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = (15, 60)  # to connect, between bytes
ATTEMPTS = 4


def index_endpoint() -> str:
    """The index that pip or uv would ask."""
    return os.environ.get("PIP_INDEX_URL") or os.environ.get("UV_DEFAULT_INDEX") or PYPI_SIMPLE_ENDPOINT


def open_package_file(source: dict[str, Any], workdir: Path, report: Report) -> Path:
    """Downloads the archive that `source` pins, checks it, and unpacks the one file. Returns the file's path.

    An archive that is partly or wholly in `workdir` is not downloaded again.
    """
    archive = workdir / source["sha256"]
    label = f"{source['package']} {source['version']}"
    if not archive.exists():
        _download(source, archive, label, report)
    target = workdir / "unpacked" / source["sha256"][:12] / Path(source["file"]).name
    if not target.exists():
        _unpack(archive, source["file"], target, label)
    return target


def _download(source: dict[str, Any], archive: Path, label: str, report: Report) -> None:
    workdir = archive.parent
    workdir.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with PyPISimple(index_endpoint()) as index:
                _append(index.s, _find(index, source, label).url, part, label, report)
        except requests.RequestException as error:
            if attempt == ATTEMPTS:
                what = f"{label} could not be downloaded: {_reason(error)}"
                raise StageError(what, "check the network and PIP_INDEX_URL, then run `up` again") from error
            print(f"{label}: {error}; trying again", flush=True)
            time.sleep(2**attempt)
            continue
        digest = file_sha256(part)
        if digest == source["sha256"]:
            part.replace(archive)
            return
        part.unlink()  # never go on from bytes that turned out wrong
        print(f"{label}: SHA-256 {digest}, expected {source['sha256']}", flush=True)
    raise StageError(
        f"what the package index sends for {label} has the SHA-256 {digest}, the recipe says {source['sha256']}",
        "do not use it before you know why; mend the index or the recipe",
    )


def _find(index: PyPISimple, source: dict[str, Any], label: str) -> DistributionPackage:
    """The one file of the release whose digest the recipe pins."""
    try:
        page = index.get_project_page(source["package"], timeout=TIMEOUT_SECONDS)
    except NoSuchProjectError:
        raise StageError(f"the package index has no {source['package']}", "check the name in the recipe") from None
    release = [package for package in page.packages if package.version == source["version"]]
    for package in release:
        if package.digests.get("sha256") == source["sha256"]:
            return package
    listed = ", ".join(f"{package.filename} {package.digests.get('sha256', '?')[:12]}…" for package in release[:4])
    raise StageError(
        f"no file of {label} on the package index has the SHA-256 {source['sha256'][:12]}…",
        f"there are: {listed}" if listed else "the index does not have this version",
    )


def _append(session: requests.Session, url: str, part: Path, label: str, report: Report) -> None:
    """Adds what is missing to `part`; a server that knows no ranges sends everything anew."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it was here: the digest decides
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        done = have if resumed else 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        with open(part, "ab" if resumed else "wb") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                done += file.write(chunk)
                report(0.8 * done / max(total, done), f"{label} · {format_bytes(done)} of {format_bytes(total)}")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return f"no connection ({type(error).__name__})"


def _unpack(archive: Path, member: str, target: Path, label: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as inside:
                _copy(inside, part)
        else:
            with tarfile.open(archive) as sdist:
                inside = sdist.extractfile(member)
                if inside is None:
                    raise KeyError(member)
                _copy(inside, part)
    except KeyError:
        raise StageError(f"{label} holds no file {member}", "check `file` in the recipe") from None
    part.replace(target)


def _copy(inside: Any, part: Path) -> None:
    with open(part, "wb") as file:
        while chunk := inside.read(CHUNK_BYTES):
            file.write(chunk)
