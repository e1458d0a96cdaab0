"""A job's checkpoint on its way from one box to the next: what it saved and how long it worked, in one tar file."""

import tarfile
from pathlib import Path

# `history.json` carries the seconds at work, so that the manifest names all of them.
PARTS = ("checkpoint", "history.json")


def has_checkpoint(folder: Path) -> bool:
    """Whether a job's folder holds anything to go on from."""
    saved = folder / "checkpoint"
    return saved.is_dir() and any(saved.iterdir())


def newest(folder: Path) -> float:
    """When the latest part of the checkpoint was written; 0 when there is none."""
    return max((file.stat().st_mtime for file in (folder / "checkpoint").rglob("*") if file.is_file()), default=0.0)


def pack(folder: Path, target: Path) -> None:
    """Writes the tar. Stages write their checkpoints beside the old ones and rename, so every file is a whole one."""
    with tarfile.open(target, "w") as tar:
        for part in PARTS:
            for path in [folder / part, *sorted((folder / part).rglob("*"))]:
                try:
                    if not path.name.endswith(".part"):
                        tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
                except FileNotFoundError:
                    continue  # replaced by a newer one meanwhile, which comes with the next tar


def unpack(tar_file: Path, folder: Path) -> None:
    """Puts a checkpoint where the job's next run looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar_file) as tar:
        tar.extractall(folder, filter="data")
