"""A job's checkpoint between instances: what it saved and how long it worked, in one tar file."""

import os
import tarfile
from pathlib import Path

# `history.json` carries the seconds at work, so that the manifest names all of them.
PARTS = ("checkpoint", "history.json")
PACK_ATTEMPTS = 3


def has_checkpoint(folder: Path) -> bool:
    """Whether a job's folder holds anything to go on from."""
    saved = folder / "checkpoint"
    return saved.is_dir() and any(saved.iterdir())


def newest(folder: Path) -> float:
    """When the latest part of the checkpoint was written; 0 when there is none."""
    # os.walk passes over folders that vanish while it walks: the job may be clearing up right now.
    files = [Path(directory, name) for directory, _, names in os.walk(folder / "checkpoint") for name in names]
    return max(map(_written, files), default=0.0)


def _written(file: Path) -> float:
    """When a file was written; 0 for one that the job has replaced or removed since it was listed."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def pack(folder: Path, target: Path) -> None:
    """Writes the tar. Stages write their checkpoints beside the old ones and rename, so every file is a whole one.

    Files of two checkpoints must not mix: what was replaced while it was packed is packed again, a few times at most.
    """
    for _ in range(PACK_ATTEMPTS):
        began_with = newest(folder)
        _pack_once(folder, target)
        if newest(folder) == began_with:
            return


def _pack_once(folder: Path, target: Path) -> None:
    with tarfile.open(target, "w") as tar:
        for part in PARTS:
            for path in [folder / part, *sorted((folder / part).rglob("*"))]:
                try:
                    if not path.name.endswith(".part"):
                        tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
                except FileNotFoundError:
                    continue  # replaced by a newer one meanwhile


def unpack(tar_file: Path, folder: Path) -> None:
    """Puts a checkpoint where the job's next run looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar_file) as tar:
        tar.extractall(folder, filter="data")
