"""The calibration text as a model folder's own tokenizer cuts it."""

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
    if len(rows) == 0:
        raise StageError(
            f"the calibration text has fewer than {length} tokens", "take more text for datasets.calibration"
        )
    return torch.from_numpy(rows)
