"""The requests to S3 that an instance makes itself: documents, logs, checkpoints. Artifacts go through the store."""

import hashlib
import http.client
import ssl
import time
import urllib.parse
import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipress.cloud.signing import EMPTY_SHA256, PLAIN, Credentials, sign
from pipress.store.s3_address import S3Address

ATTEMPTS = 5
ANSWER_SECONDS = 60.0
# S3 takes a body unsigned where the connection is encrypted; so a large file is read once, not twice.
UNSIGNED = "UNSIGNED-PAYLOAD"
CHUNK = 1 << 20


class Refused(OSError):
    """S3 said no. `status` is that of HTTP."""

    def __init__(self, method: str, url: str, status: int, message: str) -> None:
        super().__init__(f"{method} {url} answered {status}: {message}")
        self.status = status


class Objects:
    """Objects below a store's prefix, by their path there."""

    def __init__(
        self, address: S3Address, region: str, dns_suffix: str, credentials: Callable[[], Credentials]
    ) -> None:
        self.address, self.region, self.credentials = address, address.region or region, credentials
        self.endpoint = (address.endpoint or f"https://s3.{self.region}.{dns_suffix}").rstrip("/")

    def get(self, path: str) -> bytes | None:
        """The object's content; None when there is none. Raises OSError."""
        return self._request("GET", path, missing_is_none=True)

    def fetch(self, path: str, target: Path) -> bool:
        """Writes the object into a file, piece by piece. Returns whether there is one."""
        part = target.with_name(f"{target.name}.part")
        answer = self._request("GET", path, missing_is_none=True, into=part)
        if answer is None:
            return False
        part.replace(target)
        return True

    def put(self, path: str, body: bytes | Path, only_if_absent: bool = False) -> bool:
        """Writes the object. Returns False, and writes nothing, when it must be absent and is not."""
        headers = {"if-none-match": "*"} if only_if_absent else {}
        try:
            self._request("PUT", path, body=body, headers=headers)
        except Refused as error:
            if only_if_absent and error.status in (409, 412):
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        self._request("DELETE", path, missing_is_none=True)

    def list(self, path: str) -> list[str]:
        """Paths of all objects that begin so, in order."""
        prefix, paths, more = self.address.name(path), [], None
        while True:
            query = {"list-type": "2", "prefix": prefix, **({"continuation-token": more} if more else {})}
            answer = xml.fromstring(self._request("GET", None, query=query) or b"")
            space = answer.tag.split("}")[0] + "}" if answer.tag.startswith("{") else ""
            keys = [element.text or "" for element in answer.iter(f"{space}Key")]
            paths += [key[len(self.address.prefix) :].lstrip("/") for key in keys]
            more = answer.findtext(f"{space}NextContinuationToken")
            if not more:
                return paths

    def _request(
        self,
        method: str,
        path: str | None,
        body: bytes | Path = b"",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        missing_is_none: bool = False,
        into: Path | None = None,
    ) -> bytes | None:
        """Asks again while S3 is busy or the connection fails."""
        key = "" if path is None else f"/{self.address.name(path)}"
        url = f"{self.endpoint}/{urllib.parse.quote(self.address.bucket + key, '/' + PLAIN)}"
        if query:
            url += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote, safe=PLAIN)
        for attempt in range(ATTEMPTS):
            try:
                return self._once(method, url, body, headers or {}, into)
            except Refused as error:
                if missing_is_none and self._is_missing(method, path, error):
                    return None
                if error.status < 500 or attempt == ATTEMPTS - 1:
                    raise
            except (OSError, http.client.HTTPException) as error:
                if attempt == ATTEMPTS - 1:
                    raise OSError(f"{method} {url}: {error}") from error
            time.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def _is_missing(self, method: str, path: str | None, error: Refused) -> bool:
        if error.status == 403 and method == "GET" and path is not None:
            # Whoever may list only a part of the bucket is told "forbidden" of an object that is not there.
            return path not in self.list(path)
        return error.status == 404 and "NoSuchBucket" not in str(error)

    def _once(self, method: str, url: str, body: bytes | Path, headers: dict[str, str], into: Path | None) -> bytes:
        parts = urllib.parse.urlsplit(url)
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        if isinstance(body, Path):
            digest = UNSIGNED if parts.scheme == "https" else _sha256(body)
        else:
            digest = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
        signed = sign(method, url, headers, digest, self.credentials(), self.region, "s3")
        signed["content-length"] = str(size)
        secure: dict[str, Any] = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=ANSWER_SECONDS, **secure)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            if isinstance(body, Path):
                with open(body, "rb") as file:
                    connection.request(method, target, file, signed)
            else:
                connection.request(method, target, body, signed)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise Refused(
                    method, url, answer.status, " ".join(answer.read().decode(errors="replace").split())[:300]
                )
            if into is None:
                return answer.read()
            with open(into, "wb") as file:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
            if answer.length:
                raise OSError(f"the connection ended {answer.length} bytes early")
            return b""
        finally:
            connection.close()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
