"""Checkpoints: everything that the next training step depends on, in one file, replaced as a whole."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

FILE = "recover.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replaces the checkpoint in `folder`; killed in between, the one before is still there."""
    part = folder / f"{FILE}.part"
    with open(part, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / FILE)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The checkpoint in `folder`; None when there is none, or none that can be read (then training begins anew)."""
    try:
        return torch.load(folder / FILE, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        print(f"the checkpoint cannot be read ({error}): beginning anew", flush=True)
        return None
