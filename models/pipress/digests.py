"""SHA-256 of files and of folders."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the sorted lines `<path>\\0<sha256>\\n` of its files."""
    if path.is_file():
        return file_sha256(path)
    lines = [f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n" for file in files_under(path)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_under(root: Path) -> list[Path]:
    """Every file under `root`, sorted by path. Hidden folders (download caches) do not count."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
