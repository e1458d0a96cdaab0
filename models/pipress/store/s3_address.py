"""`s3://bucket/prefix?endpoint=https://…&region=…`, the URL of a store in a bucket."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from pipress.errors import StageError

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
FORM = "write it as s3://bucket/prefix, with ?endpoint=https://host:port&region=name where it is not AWS's own"


@dataclass(frozen=True)
class S3Address:
    """A bucket and a prefix in it. endpoint: None for AWS. region: None for the one the environment names."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None

    def name(self, *parts: str) -> str:
        """Name of the object at `parts` below the prefix."""
        return "/".join(filter(None, (self.prefix, *parts)))

    def show(self, *parts: str) -> str:
        """The object at `parts` as people write it."""
        return f"s3://{self.bucket}/{self.name(*parts)}"


def parse_s3_url(url: str) -> S3Address:
    """Raises StageError when `url` is no such URL; the TypeScript side reads it by the same rules."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    endpoint, region = options.pop("endpoint", None), options.pop("region", None)
    if parts.scheme != "s3" or not BUCKET.fullmatch(parts.netloc):
        raise StageError(f"{url} is not a store", FORM)
    if options or endpoint == "" or region == "":
        raise StageError(f"{url} has options that a store does not know", FORM)
    if endpoint is not None and not re.match(r"https?://[^/]", endpoint):
        raise StageError(f"{url}: the endpoint {endpoint} is not an address", FORM)
    return S3Address(parts.netloc, unquote(parts.path).strip("/"), endpoint, region)
