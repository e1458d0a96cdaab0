"""The text of a training: packed, a part of it held back, in an order that follows from the seed alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipress.errors import StageError
from pipress.texts.rows import read_rows
from pipress.weights.folder import load_encoder


@dataclass(frozen=True)
class TrainingText:
    """sequences: (n, length) token ids, those held back at the end; of them, the first `n_training` are trained on."""

    sequences: torch.Tensor
    n_training: int
    batch: int
    seed: int

    @property
    def held_back(self) -> slice:
        return slice(self.n_training, len(self.sequences))

    def rows(self, step: int) -> torch.Tensor:
        """Rows of the sequences that step `step` trains on; every pass over the text has an order of its own.

        A function of the step alone, so that a resumed training sees what it would have seen.
        """
        positions = torch.arange(step * self.batch, (step + 1) * self.batch)
        epochs = positions // self.n_training
        orders = {epoch: self._order(epoch) for epoch in set(epochs.tolist())}
        places = zip(epochs.tolist(), (positions % self.n_training).tolist(), strict=True)
        return torch.stack([orders[epoch][place] for epoch, place in places])

    def _order(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.n_training, generator=generator)


def read_training_text(texts: Path, model: Path, p: dict[str, Any]) -> TrainingText:
    """Rows of the calibration text, and of the documents of it that are held back.

    Raises StageError where they are too few for the parameters of the recipe.
    """
    length = p["sequenceLength"]
    encoder = load_encoder(model)
    needed = max(p["batchSize"], p["tokens"] // p["epochs"] // length)
    training = read_rows(texts / "calibration.jsonl", encoder, length, needed)
    held_back = read_rows(texts / "validation.jsonl", encoder, length, max(1, p["validationTokens"] // length))
    if len(training) < p["batchSize"] or len(held_back) == 0:
        raise StageError(
            f"the calibration text gives {len(training)} sequences of {length} tokens, and {len(held_back)} of the "
            f"documents that are held back; one step needs {p['batchSize']}, and a look at what is held back one",
            "take more text for datasets.calibration, or shorter sequences",
        )
    sequences = torch.from_numpy(np.concatenate([training, held_back]))
    return TrainingText(sequences, len(training), p["batchSize"], p["seed"])
