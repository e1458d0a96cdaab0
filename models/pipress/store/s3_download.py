"""One object to a file: in ranges, several at once, its SHA-256 checked on the way. Memory stays bounded."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore import exceptions

from pipress.atomic import replace_synced
from pipress.errors import StageError
from pipress.store.s3_client import CONNECTIONS, Bucket, error_code
from pipress.store.s3_upload import HASH_BYTES, Moved, hash_range

RANGE_BYTES = 16 << 20
READ_BYTES = 1 << 20
ATTEMPTS = 5


class Damaged(Exception):
    """What is in the bucket is not what the manifest says."""


def download_file(bucket: Bucket, name: str, expected: dict[str, Any], target: Path, moved: Moved) -> None:
    """Brings the object `name` to `target` by way of `target.part`.

    expected: `sha256` and `bytes` from the manifest.
    Raises Damaged when the object is missing, has another size or another digest; `target` is not made then.
    """
    part, size = target.with_name(target.name + ".part"), expected["bytes"]
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)

    def fetch(start: int) -> int:
        length = min(RANGE_BYTES, size - start)
        _fetch_range(bucket, name, descriptor, start, length, size)
        moved(length)
        return length

    digest, buffer = hashlib.sha256(), bytearray(HASH_BYTES)
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="download")
    try:
        with bucket.explained("s3:GetObject", name):
            # The ranges come in any order; this thread follows behind them, in order, over what is in the page cache.
            for start, future in [(start, pool.submit(fetch, start)) for start in range(0, size, RANGE_BYTES)]:
                hash_range(digest, descriptor, start, future.result(), buffer)
        if digest.hexdigest() != expected["sha256"]:
            difference = f"{digest.hexdigest()[:12]}… instead of {expected['sha256'][:12]}…"
            raise Damaged(f"{bucket.address.show(name)} is damaged: its SHA-256 is {difference}")
        os.fchmod(descriptor, 0o444)
        replace_synced(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        os.close(descriptor)


def _fetch_range(bucket: Bucket, name: str, descriptor: int, start: int, length: int, size: int) -> None:
    """Writes one range into its place, going on after a dropped connection where it was dropped."""
    done, shown = 0, bucket.address.show(name)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            asked = f"bytes={start + done}-{start + length - 1}"
            answer = bucket.client.get_object(**bucket.target(name), Range=asked)
            # `Content-Range: bytes 0-9/4096` says how large the whole object is.
            total = int(answer["ContentRange"].rsplit("/", 1)[1])
            if total != size:
                answer["Body"].close()
                raise Damaged(f"{shown} is damaged: {total} bytes instead of {size}")
            while chunk := answer["Body"].read(READ_BYTES):
                done += os.pwrite(descriptor, chunk, start + done)
            if done == length:
                return
        except exceptions.ClientError as error:
            if error_code(error) == "NoSuchKey":
                raise Damaged(f"{shown} is missing") from error
            if error_code(error) in ("InvalidRange", "416"):  # the object ends before this range begins
                raise Damaged(f"{shown} is damaged: shorter than {size} bytes") from error
            raise
        except (exceptions.HTTPClientError, exceptions.IncompleteReadError):
            if attempt == ATTEMPTS:
                raise
        time.sleep(0.2 * 2**attempt)
    raise StageError(f"{shown} was cut short {ATTEMPTS} times on its way", "run `up` again later")
