"""A store in a bucket: `artifacts/<key>/manifest.json`, and the files in `artifacts/<key>/<attempt>/` beside it.

S3 cannot rename. So every attempt at an artifact writes into a folder of its own, and the manifest, which names the
folder, is written last and only if there is none (`If-None-Match: *`, where the server knows it): two attempts never
mix, and what has no manifest is not there.
"""

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from botocore import exceptions

from pipress.atomic import read_json, write_json
from pipress.digests import files_under
from pipress.errors import StageError
from pipress.store.cache import Cache
from pipress.store.s3_address import parse_s3_url
from pipress.store.s3_client import FORBIDDEN, error_code, open_bucket
from pipress.store.s3_download import Damaged, download_file
from pipress.store.s3_upload import upload_file
from pipress.store.store import MANIFEST, OnMessage, silent
from pipress.units import format_bytes

CONFLICT_ATTEMPTS = 5


class S3Store:
    """Reads and writes artifacts in a bucket, by way of folders on this machine.

    jobs: an artifact is made in `<jobs>/<key>/out`, and what is known of its upload lies beside that; inputs are kept
    in `<jobs>/../cache`.
    """

    def __init__(self, url: str, jobs: Path, on_message: OnMessage = silent) -> None:
        self.url = url
        self.bucket = open_bucket(parse_s3_url(url))
        self.jobs = jobs
        self.cache = Cache(jobs.parent / "cache")
        self.on_message = on_message

    def locate(self, key: str) -> str:
        """`s3://bucket/prefix/artifacts/<key>`"""
        return self.bucket.address.show("artifacts", key)

    def manifest(self, key: str) -> dict[str, Any] | None:
        """The manifest under `key`; None when no complete artifact is there."""
        name = ("artifacts", key, MANIFEST)
        with self.bucket.explained("s3:GetObject", *name):
            try:
                text = self.bucket.client.get_object(**self.bucket.target(*name))["Body"].read()
            except exceptions.ClientError as error:
                if error_code(error) == "NoSuchKey" or (error_code(error) in FORBIDDEN and not self._is_listed(*name)):
                    return None
                raise
        try:
            return json.loads(text)
        except ValueError:
            raise StageError(f"{self.locate(key)}/{MANIFEST} is not JSON", self._again(key)) from None

    def _is_listed(self, *name: str) -> bool:
        """Whether there is such an object: whoever may list only a part of the bucket is told "forbidden" when not."""
        address = self.bucket.address
        page = self.bucket.client.list_objects_v2(Bucket=address.bucket, Prefix=address.name(*name), MaxKeys=1)
        return page.get("KeyCount", 0) > 0

    def open(self, key: str, only: tuple[str, ...] | None = None) -> Path:
        """Folder of an artifact about to be used: fetched as far as it is not on this machine, every byte checked.

        only: the files that will be read, where that is not all of them.
        """
        manifest = self.manifest(key)
        if manifest is None:
            what = f"{self.locate(key)} is not in the store"
            raise StageError(what, "run `up` again: the stage that makes it will run")

        def fetch(path: str, target: Path) -> None:
            expected = manifest["files"][path]
            moved = _Moved(f"fetching {path}", expected["bytes"], self.on_message)
            download_file(self.bucket, self._name(key, manifest["attempt"], path), expected, target, moved)

        try:
            wanted = {path: entry for path, entry in manifest["files"].items() if only is None or path in only}
            return self.cache.provide(key, wanted, fetch)
        except Damaged as error:
            raise StageError(str(error), self._again(key)) from error

    def begin(self, key: str) -> Path:
        """An empty folder to make the artifact in; what an earlier attempt left there is removed."""
        folder = self._out(key)
        self._upload(key).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def unfinished(self, key: str) -> dict[str, Any] | None:
        """Manifest, without files, of what was made in an earlier run and is not wholly in the bucket."""
        upload = read_json(self._upload(key))
        return upload["manifest"] if upload and self._out(key).is_dir() else None

    def discard(self, key: str) -> None:
        """Removes what `begin` made, unless it only waits for its upload."""
        if self.unfinished(key) is None:
            shutil.rmtree(self._out(key), ignore_errors=True)

    def commit(self, key: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Uploads what was made, goes on with an upload that was cut off, and writes the manifest last."""
        folder, record = self._out(key), self._upload(key)
        upload = read_json(record) or {"attempt": secrets.token_hex(8), "manifest": manifest, "files": {}}
        write_json(record, upload)
        files = {}
        for file in files_under(folder):
            path = file.relative_to(folder).as_posix()
            attempt = _Attempt(record, upload, path)
            if "sha256" not in attempt.state:
                moved = _Moved(f"uploading {path}", file.stat().st_size, self.on_message)
                name = self._name(key, upload["attempt"], path)
                attempt.state.update(upload_file(self.bucket, file, name, attempt, moved))
                attempt.save()
            files[path] = {part: attempt.state[part] for part in ("sha256", "bytes")}
        held = self._publish(key, {**manifest, "files": files, "attempt": upload["attempt"]})
        if held["attempt"] != upload["attempt"]:
            self._remove_attempt(key, upload["attempt"])
        record.unlink()
        self._keep(held, folder)
        shutil.rmtree(folder, ignore_errors=True)
        return held

    def _publish(self, key: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Writes the manifest unless there is one. Returns the one that is there then."""
        body = (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode()
        name = ("artifacts", key, MANIFEST)
        put, target = self.bucket.client.put_object, {**self.bucket.target(*name), "ContentType": "application/json"}

        def first_wins() -> dict[str, Any]:
            self.bucket.send(put, body, **target, IfNoneMatch="*")
            return manifest

        def last_wins() -> dict[str, Any]:
            # Two attempts at one key make the same, each in a folder of its own: whichever manifest stays is whole.
            held = self.manifest(key)
            if held is None:
                self.bucket.send(put, body, **target)
                held = self.manifest(key)
            return held or manifest

        with self.bucket.explained("s3:PutObject", *name):
            for attempt in range(CONFLICT_ATTEMPTS):
                try:
                    return self.bucket.attempt("conditional writes", first_wins, last_wins)
                except exceptions.ClientError as error:
                    if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                        raise
                held = self.manifest(key)
                if held is not None:
                    return held
                time.sleep(0.1 * 2**attempt)  # somebody else is about to write it, or has just removed it
        raise StageError(f"{self.locate(key)} is being written by another run", "run `up` again")

    def _keep(self, held: dict[str, Any], folder: Path) -> None:
        """Leaves the files in the cache, where the next stage on this machine finds them."""
        for name, file in held["files"].items():
            if (folder / name).is_file() and (folder / name).stat().st_size == file["bytes"]:
                # `provide` checks the digest before anything uses the file.
                self.cache.adopt(folder / name, file["sha256"])

    def _remove_attempt(self, key: str, attempt: str) -> None:
        client, address = self.bucket.client, self.bucket.address
        prefix = address.name(self._name(key, attempt, ""))
        with self.bucket.explained("s3:DeleteObject", "artifacts", key, attempt):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    client.delete_object(Bucket=address.bucket, Key=item["Key"])

    def _name(self, key: str, attempt: str, path: str) -> str:
        return f"artifacts/{key}/{attempt}/{path}"

    def _out(self, key: str) -> Path:
        return self.jobs / key / "out"

    def _upload(self, key: str) -> Path:
        return self.jobs / key / "upload.json"

    def _again(self, key: str) -> str:
        remove = f"./pipress store rm {key[:12]} --store '{self.url}' --yes"
        return f"run `{remove}`, then `up` again: the stage that makes it will run"


class _Attempt:
    """One file's part of the record of an upload."""

    def __init__(self, record: Path, upload: dict[str, Any], path: str) -> None:
        self.record, self.upload = record, upload
        self.state: dict[str, Any] = upload["files"].setdefault(path, {})

    def save(self) -> None:
        write_json(self.record, self.upload)


class _Moved:
    """Adds up what has moved, from several threads, and says so."""

    def __init__(self, what: str, total: int, on_message: OnMessage) -> None:
        self.what, self.total, self.on_message = what, total, on_message
        self.parts: list[int] = []  # appending is atomic

    def __call__(self, count: int) -> None:
        self.parts.append(count)
        self.on_message(f"{self.what} · {format_bytes(sum(self.parts))} of {format_bytes(self.total)}")
