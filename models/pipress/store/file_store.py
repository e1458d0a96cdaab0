"""A store in a folder: `artifacts/<key>/manifest.json` beside the artifact's files.

An artifact is written under `tmp/`, flushed, and renamed, so a folder under `artifacts/` is always complete. Several
machines may share the folder: each has a place of its own under `tmp/`.
"""

import errno
import hashlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from pipress.atomic import make_folder_synced, read_json, rename_synced, sync_tree, write_json
from pipress.digests import file_sha256, files_under
from pipress.errors import StageError
from pipress.store.store import MANIFEST


class FileStore:
    """Reads and writes artifacts in a folder on this machine."""

    def __init__(self, url: str) -> None:
        parsed = urlparse(url)
        if parsed.scheme != "file" or not parsed.path.startswith("/"):
            raise StageError(f"{url} is not a store", "write it as file:///absolute/folder")
        self.root = Path(unquote(parsed.path))

    def locate(self, key: str) -> Path:
        """Folder of an artifact, whether it is there or not."""
        return self.root / "artifacts" / key

    def manifest(self, key: str) -> dict[str, Any] | None:
        """The manifest under `key`; None when no complete artifact is there."""
        return read_json(self.locate(key) / MANIFEST)

    def open(self, key: str, only: tuple[str, ...] | None = None) -> Path:
        """Folder of an artifact about to be used, every byte of it checked against the manifest.

        only: the files that will be read, where that is not all of them.

        Sizes first, then SHA-256: reading a file once more is cheap beside any stage (about a second for 1 GB), and a
        flipped bit would otherwise go on into everything that is made from it.
        """
        folder = self.locate(key)
        manifest = self.manifest(key)
        if manifest is None:
            raise StageError(f"{folder} is not in the store", "run `up` again: the stage that makes it will run")
        again = f"remove {folder} and run `up` again: the stage that makes it will run"
        wanted = {path: entry for path, entry in manifest["files"].items() if only is None or path in only}
        for path, expected in wanted.items():
            file = folder / path
            if not file.is_file():
                raise StageError(f"{file} is missing", again)
            if file.stat().st_size != expected["bytes"]:
                size = file.stat().st_size
                raise StageError(f"{file} is damaged: {size} bytes instead of {expected['bytes']}", again)
        for path, expected in wanted.items():
            actual = file_sha256(folder / path)
            if actual != expected["sha256"]:
                raise StageError(
                    f"{folder / path} is damaged: its SHA-256 is {actual[:12]}… instead of {expected['sha256'][:12]}…",
                    again,
                )
        return folder

    def begin(self, key: str) -> Path:
        """An empty folder to make the artifact in; what an earlier attempt left there is removed."""
        folder = self._unfinished(key)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def unfinished(self, key: str) -> None:
        """Nothing ever: what was made comes into the store by one rename."""

    def discard(self, key: str) -> None:
        """Removes what `begin` made."""
        shutil.rmtree(self._unfinished(key), ignore_errors=True)

    def _unfinished(self, key: str) -> Path:
        # On one machine the job's lock keeps attempts apart.
        return self.root / "tmp" / f"{key}.{_machine()}"

    def commit(self, key: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Moves what was made into place, under a manifest completed with the files' digests.

        Returns the manifest that the store now holds.
        """
        folder = self._unfinished(key)
        files = {
            path.relative_to(folder).as_posix(): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in files_under(folder)
        }
        manifest = {**manifest, "files": files}
        write_json(folder / MANIFEST, manifest)
        for path in files_under(folder):
            os.chmod(path, 0o444)
        sync_tree(folder)
        target = self.locate(key)
        make_folder_synced(target.parent)
        try:
            rename_synced(folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if self.manifest(key) is None:
                # A folder without a manifest can only be one that a person half removed.
                shutil.rmtree(target)
                rename_synced(folder, target)
            else:
                self.discard(key)
        return self.manifest(key) or manifest


def _machine() -> str:
    """A short name of this machine that no other has, but for a copy of its disk under the same host name."""
    try:
        number = Path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        number = ""
    return hashlib.sha256(f"{platform.node()} {number}".encode()).hexdigest()[:12]
