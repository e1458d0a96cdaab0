"""Checkpoints: everything that the next training step depends on, in one file, replaced as a whole."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipress.atomic import replace_synced
from pipress.errors import StageError

# The training as it stands, and the trained weights as they were when the held-out loss was lowest.
LATEST, BEST = "recover.pt", "best.pt"


def save_checkpoint(folder: Path, name: str, state: dict[str, Any]) -> None:
    """Replaces the checkpoint `name` in `folder`; killed in between, the one before is still there."""
    part = folder / f"{name}.part"
    with open(part, "wb") as file:
        torch.save(state, file)
    replace_synced(part, folder / name)


def load_checkpoint(folder: Path, name: str, trained: Mapping[str, torch.Tensor]) -> dict[str, Any] | None:
    """The checkpoint `name` in `folder`; None when there is none, or none that can be read (then training begins anew).

    trained: what this training trains. Raises StageError where the checkpoint holds other weights than that.
    """
    try:
        checkpoint = torch.load(folder / name, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        print(f"the checkpoint cannot be read ({error}): beginning anew", flush=True)
        return None
    held = {key: tuple(value.shape) for key, value in checkpoint["trained"].items()}
    if held != {key: tuple(value.shape) for key, value in trained.items()}:
        raise StageError(
            f"the checkpoint {folder / name} is of another training: it does not hold what this one trains",
            f"`rm -r {folder}` and run `./pipress up` again",
        )
    return checkpoint
