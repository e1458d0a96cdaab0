"""What every store does, and how one is opened from its URL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

MANIFEST = "manifest.json"

# on_message("fetching model.gguf · 12.1 MB of 96.4 MB")
OnMessage = Callable[[str], None]


class Store(Protocol):
    """Artifacts by key. What has a manifest is complete; nothing else counts as an artifact."""

    def locate(self, key: str) -> Path | str:
        """Where a person finds an artifact, whether it is there or not."""

    def manifest(self, key: str) -> dict[str, Any] | None:
        """The manifest under `key`; None when no complete artifact is there."""

    def open(self, key: str, only: tuple[str, ...] | None = None) -> Path:
        """Folder of an artifact about to be used, every byte of it checked against the manifest.

        only: the files that will be read, where that is not all of them.
        """

    def begin(self, key: str) -> Path:
        """An empty folder to make the artifact in; what an earlier attempt left there is removed."""

    def unfinished(self, key: str) -> dict[str, Any] | None:
        """Manifest of an artifact that was made here but is not wholly in the store yet: `commit` goes on with it."""

    def discard(self, key: str) -> None:
        """Removes what `begin` made, unless it is `unfinished`."""

    def commit(self, key: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Puts what was made into the store, under a manifest completed with the files' digests.

        Returns the manifest that the store now holds: somebody else's, if theirs came first.
        """


def silent(_: str) -> None:
    """Says nothing."""


def open_store(url: str, jobs: Path, on_message: OnMessage = silent) -> Store:
    """The store at `url`.

    jobs: folder of the jobs; a bucket's artifacts are made there, and its cache lies beside it.
    Raises StageError when `url` names no store.
    """
    if url.startswith("s3:"):
        from pipress.store.s3_store import S3Store  # boto3 takes a third of a second to load

        return S3Store(url, jobs, on_message)
    from pipress.store.file_store import FileStore

    return FileStore(url)


def workplace(url: str, jobs: Path) -> Path:
    """Folder on whose disk a store at `url` has its artifacts made."""
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else jobs
