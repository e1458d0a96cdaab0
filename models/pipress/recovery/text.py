"""The text of a training: packed, a part of it held back, in an order that follows from the seed alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipress.errors import StageError
from pipress.weights.folder import load_tokenizer
from pipress.weights.packing import pack, spread


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
        return torch.stack(
            [self._order(int(position) // self.n_training)[position % self.n_training] for position in positions]
        )

    def _order(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.n_training, generator=generator)


def read_training_text(texts: Path, model: Path, p: dict[str, Any]) -> TrainingText:
    """Packs the calibration text; no document is both trained on and held back.

    Raises StageError where it is too little for the parameters of the recipe.
    """
    length = p["sequenceLength"]
    text = (texts / "calibration.txt").read_text(encoding="utf-8")
    tokenizer = load_tokenizer(model)
    packed = pack(text, tokenizer, length)
    held_back = max(1, p["validationTokens"] // length)
    needed = max(p["batchSize"], p["tokens"] // p["epochs"] // length)
    before = max(0, len(packed) - held_back)
    apart = _sequences_apart(packed[:before], tokenizer.eos_token_id)
    if apart < p["batchSize"]:
        raise StageError(
            f"the calibration text gives {len(packed)} sequences of {length} tokens; {held_back} are held back, "
            f"{before - apart} left out because they hold a document that is held back in part, and one step needs "
            f"{p['batchSize']}",
            "take more text for datasets.calibration, or shorter sequences; an empty line parts documents",
        )
    training = spread(packed[:apart], needed)
    return TrainingText(torch.cat([training, packed[before:]]), len(training), p["batchSize"], p["seed"])


def _sequences_apart(sequences: torch.Tensor, end: int | None) -> int:
    """How many of the sequences hold nothing of the document that goes on after them.

    end: the token that ends a document; without one, documents are taken to be no longer than a sequence.
    """
    if end is None:
        return max(0, len(sequences) - 1)
    ends = (sequences.flatten() == end).nonzero()
    return (int(ends[-1]) + 1) // sequences.shape[1] if len(ends) else 0
