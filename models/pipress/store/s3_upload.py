"""One file to a bucket: in parts, several at once, going on where an earlier attempt was cut off."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from botocore import exceptions

from pipress.errors import StageError
from pipress.store.s3_client import CONNECTIONS, FORBIDDEN, UNKNOWN, Bucket, crc32_of, error_code

PART_BYTES = 8 << 20
MAX_PARTS = 10_000  # S3's limit
HASH_BYTES = 1 << 20

# moved(bytes that are now in the bucket)
Moved = Callable[[int], None]


class Attempt(Protocol):
    """What is known of one file's upload, kept where a later run finds it."""

    state: dict[str, Any]

    def save(self) -> None:
        """Writes `state` down."""


def upload_file(bucket: Bucket, file: Path, name: str, attempt: Attempt, moved: Moved) -> dict[str, Any]:
    """Brings `file` to the object `name`; returns its `sha256` and `bytes`, computed on the way.

    attempt: an earlier one is gone on with. A part that is in the bucket as it is in the file is not sent again.
    Raises StageError when S3 refuses it, or when what is in the bucket afterwards has not the file's size.
    """
    size = file.stat().st_size
    with bucket.explained("s3:PutObject", name):
        if size <= PART_BYTES:
            sha256 = _put_whole(bucket, file, name)
            moved(size)
        else:
            sha256 = _put_parts(bucket, file, name, attempt, moved)
        stored_size = bucket.client.head_object(**bucket.target(name))["ContentLength"]
    if stored_size != size:
        attempt.state.clear()
        attempt.save()
        raise StageError(
            f"the upload of {bucket.address.show(name)} was cut short: {stored_size} bytes instead of {size}",
            "run `up` again: it is sent anew",
        )
    return {"sha256": sha256, "bytes": size}


def part_bytes(size: int) -> int:
    """8 MiB, or as many whole MiB as keep a file of `size` bytes within S3's number of parts."""
    least, mebibyte = -(-size // MAX_PARTS), 1 << 20
    return max(PART_BYTES, -(-least // mebibyte) * mebibyte)


def hash_range(digest: Any, descriptor: int, start: int, length: int, buffer: bytearray) -> None:
    """Adds `length` bytes from `start` on, or what there is of them, to `digest`."""
    view, offset = memoryview(buffer), start
    while offset < start + length:
        count = os.preadv(descriptor, [view[: min(len(view), start + length - offset)]], offset)
        if count == 0:
            return
        digest.update(view[:count])
        offset += count


def _put_whole(bucket: Bucket, file: Path, name: str) -> str:
    data = file.read_bytes()
    bucket.send(bucket.client.put_object, data, **bucket.target(name))
    return hashlib.sha256(data).hexdigest()


def _put_parts(bucket: Bucket, file: Path, name: str, attempt: Attempt, moved: Moved) -> str:
    """The calling thread hashes the file in order while the pool reads, checks and sends its parts."""
    size, client, state = file.stat().st_size, bucket.client, attempt.state
    target = bucket.target(name)
    known = _known_parts(bucket, name, state) if state.get("size") == size else None
    if known is None:
        created = bucket.attempt(
            "checksums",
            lambda: client.create_multipart_upload(**target, ChecksumAlgorithm="CRC32"),
            lambda: client.create_multipart_upload(**target),
        )
        state.update(uploadId=created["UploadId"], size=size, partBytes=part_bytes(size))
        attempt.save()
        known = {}
    upload_id, step = state["uploadId"], state["partBytes"]
    descriptor = os.open(file, os.O_RDONLY)

    def send(number: int) -> dict[str, Any]:
        data = os.pread(descriptor, step, (number - 1) * step)
        part = {"PartNumber": number, "ChecksumCRC32": crc32_of(data)}
        if number in known and _holds(known[number], data, part["ChecksumCRC32"]):
            etag = known[number]["ETag"]
        else:
            etag = bucket.send(client.upload_part, data, **target, UploadId=upload_id, PartNumber=number)["ETag"]
        moved(len(data))
        return {**part, "ETag": etag}

    digest, buffer, parts = hashlib.sha256(), bytearray(HASH_BYTES), []
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="upload")
    try:
        for number, sent in [(number, pool.submit(send, number)) for number in range(1, -(-size // step) + 1)]:
            hash_range(digest, descriptor, (number - 1) * step, step, buffer)
            parts.append(sent.result())
    finally:
        pool.shutdown(cancel_futures=True)
        os.close(descriptor)
    if "checksums" in bucket.lacks:
        parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    client.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": parts})
    return digest.hexdigest()


def _holds(part: dict[str, Any], data: bytes, crc32: str) -> bool:
    """Whether a part in the bucket is `data`. Servers that list no checksums have its MD5 as the part's ETag."""
    if part["Size"] != len(data):
        return False
    if "ChecksumCRC32" in part:
        return part["ChecksumCRC32"] == crc32
    return part["ETag"].strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()


def _known_parts(bucket: Bucket, name: str, state: dict[str, Any]) -> dict[int, dict[str, Any]] | None:
    """Parts of an earlier attempt by number; None when the bucket does not know that upload any more, or lists no
    parts, to nobody or not to these credentials: then all is sent anew."""
    with bucket.explained("s3:ListMultipartUploadParts", name):
        try:
            paginator = bucket.client.get_paginator("list_parts")
            pages = paginator.paginate(**bucket.target(name), UploadId=state["uploadId"])
            return {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}
        except exceptions.ClientError as error:
            if error_code(error) in {"NoSuchUpload", *UNKNOWN, *FORBIDDEN}:
                return None
            raise
