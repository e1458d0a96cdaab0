"""Files and folders on the builder."""

from pathlib import Path
from typing import Any

from pipress.digests import tree_sha256
from pipress.errors import StageError


def open_local(source: dict[str, Any]) -> Path:
    """The path that `source` names, after checking its digest: the key stands for the content, not for the path."""
    path = Path(source["path"])
    if not path.exists():
        raise StageError(f"there is no {path} on this builder", "check `path` in the recipe")
    digest = tree_sha256(path)
    if digest != source["sha256"]:
        raise StageError(
            f"{path} has the SHA-256 {digest}, the recipe says {source['sha256']}",
            "if it is the file you mean, put its digest into the recipe",
        )
    return path
