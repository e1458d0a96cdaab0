"""The calibration text as a model folder's own tokenizer cuts it."""

from collections.abc import Sized
from pathlib import Path
from typing import Any

import torch

from pipress.errors import StageError
from pipress.texts.rows import read_rows
from pipress.weights.folder import load_encoder


def read_calibration(datasets: Path, model: Path, p: dict[str, Any]) -> torch.Tensor:
    """About `calibrationTokens` tokens from all over the text, in rows: (n, sequenceLength).

    Raises StageError where the text does not fill one row.
    """
    length = p["sequenceLength"]
    count = max(1, p["calibrationTokens"] // length)
    rows = read_rows(datasets / "calibration.jsonl", load_encoder(model), length, count)
    check_enough(rows, 1, length)
    return torch.from_numpy(rows)


def check_enough(rows: Sized, least: int, length: int) -> None:
    """Raises StageError where the calibration text gives fewer rows, of `length` tokens each, than `least`."""
    if len(rows) < least:
        raise StageError(
            f"the calibration text has fewer than {least * length} tokens", "take more text for datasets.calibration"
        )
