"""An S3 client, and what its errors mean to a user.

Credentials come from where every AWS tool looks for them: environment, profile, or the machine's role.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from pipress.errors import StageError
from pipress.store.s3_address import S3Address

# Connections at once. One to AWS brings 50 to 90 MB/s, so eight fill most networks; more would only cost memory.
CONNECTIONS = 8

CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, where the stage runs"
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "AuthFailure"}
FORBIDDEN = {"AccessDenied", "AllAccessDisabled", "403"}
ALTERED = {"BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
# What servers say to a header or a request that they do not know.
UNKNOWN = {"NotImplemented", "XNotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "501", "405"}
ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}


@dataclass(frozen=True)
class Bucket:
    """A store's place in S3 and the client for it, which may be used from several threads."""

    address: S3Address
    client: Any
    # What the server turned out not to know: "checksums", "conditional writes".
    lacks: set[str] = field(default_factory=set)

    def send(self, request: Callable[..., dict[str, Any]], data: bytes, **arguments: Any) -> dict[str, Any]:
        """Sends `data` with a checksum that the server compares it with: CRC-32, or MD5 where it knows only that.

        request: `client.put_object` or `client.upload_part`.
        """
        checksum = crc32_of(data)

        def with_crc32() -> dict[str, Any]:
            return request(**arguments, Body=data, ChecksumCRC32=checksum)

        def with_md5() -> dict[str, Any]:
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            return request(**arguments, Body=data, ContentMD5=base64.b64encode(digest).decode())

        return self.attempt("checksums", with_crc32, with_md5)

    def attempt(self, feature: str, request: Callable[[], Any], without: Callable[[], Any]) -> Any:
        """`request()`, or `without()` where the server does not know what it asks for. That is found out once."""
        if feature not in self.lacks:
            try:
                return request()
            except exceptions.ClientError as error:
                if error_code(error) not in UNKNOWN:
                    raise
            answer = without()
            self.lacks.add(feature)  # it was that: without it the request is taken
            return answer
        return without()

    def target(self, *parts: str) -> dict[str, str]:
        """The arguments that name the object at `parts` below the prefix."""
        return {"Bucket": self.address.bucket, "Key": self.address.name(*parts)}

    def explained(self, action: str, *parts: str) -> AbstractContextManager[None]:
        """Turns what S3 refuses into one clear StageError. action: the permission that it needs, `s3:PutObject`."""
        return _explained(self.address, action, *parts)


def open_bucket(address: S3Address) -> Bucket:
    """Makes the client. Raises StageError when the environment's settings for it are wrong."""
    settings = Config(
        retries={"mode": "standard", "max_attempts": 6},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=CONNECTIONS + 2,
        tcp_keepalive=True,
        # Every part carries a checksum of ours in a signed header, and every file's SHA-256 is in the manifest.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if address.endpoint else "auto",
            "payload_signing_enabled": False,
        },
    )
    with _explained(address, "s3:ListBucket"):
        session = boto3.session.Session()
        region = address.region or (session.region_name or "us-east-1" if address.endpoint else None)
        client = session.client("s3", region_name=region, endpoint_url=address.endpoint, config=settings)
    return Bucket(address, client)


def crc32_of(data: bytes) -> str:
    """CRC-32 as S3 writes it: big-endian, in base64."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def error_code(error: exceptions.ClientError) -> str:
    """`NoSuchKey`; for an answer without a body, its status as text."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _explained(address: S3Address, action: str, *parts: str) -> Iterator[None]:
    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(error, address, action, address.show(*parts)) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise StageError(f"there are no credentials for {address.show()}", CREDENTIALS) from error
    except (exceptions.ProfileNotFound, exceptions.CredentialRetrievalError) as error:
        raise StageError(f"no credentials for {address.show()}: {error}", CREDENTIALS) from error
    except (exceptions.SSOError, exceptions.TokenRetrievalError) as error:
        raise _expired(address) from error
    except exceptions.InvalidRegionError as error:
        raise StageError(f"{address.show()}: {error}", "mend `region` in the store's URL") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        where = address.endpoint or "AWS"
        raise StageError(
            f"{where} cannot be reached for {address.show()} ({type(error).__name__})",
            "check the network and the store's endpoint, then run `up` again: it goes on where it was",
        ) from error


def _refusal(error: exceptions.ClientError, address: S3Address, action: str, thing: str) -> StageError:
    code = error_code(error)
    if code in EXPIRED:
        return _expired(address)
    if code in REFUSED:
        return StageError(f"the credentials for {address.show()} are refused ({code})", CREDENTIALS)
    if code == "NoSuchBucket":
        return StageError(f"there is no bucket {address.bucket}", "make it, or mend `store` in the configuration")
    if code in FORBIDDEN:
        return StageError(
            f"the credentials may not do {action} on {thing}",
            "grant s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and "
            f"s3:ListMultipartUploadParts on {address.show('*')} and s3:ListBucket on the bucket",
        )
    if code in ELSEWHERE:
        return StageError(f"the bucket {address.bucket} is in another region", "add ?region=… to the store's URL")
    if code in ALTERED:
        return StageError(
            f"{thing} did not arrive as it was sent ({code})",
            "run `up` again: it is sent anew; should that not help, look at the network and the proxies in between",
        )
    if code == "NotImplemented":
        return StageError(
            f"{address.endpoint or 'AWS'} does not implement what {action} needs",
            "use an S3 server that knows multipart uploads and ranges",
        )
    message = error.response.get("Error", {}).get("Message", "")
    return StageError(f"{action} on {thing} failed: {code} {message}".strip(), "run `up` again later")


def _expired(address: S3Address) -> StageError:
    return StageError(
        f"the credentials for {address.show()} have expired",
        "sign in again (`aws sso login`, or new session keys), then run `up` again: it goes on where it was",
    )
