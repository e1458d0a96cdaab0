"""What the teacher says about the text: kept in a file where that is small, asked anew at every step where it is not.

Its hidden states before the output layer: `hidden` numbers a token instead of `vocabulary`, and the logits that one
product with the output layer makes of them are exact (the best 64 logits of each token take a quarter of the room, but
finding them costs as much as that product). Training needs the teacher's output layer besides.

Up to `KEPT_BYTES` the states are computed before the training and kept: one model at a time is in memory, another pass
over the text costs no teacher, and a resumed job does not ask it again. 50M tokens of an 8B would take 410 GB: there
the teacher stays beside the student, and a step asks it about its own rows. That costs no disk, and on a GPU no time.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from transformers import PreTrainedModel

from pipress.errors import StageError
from pipress.memory import available_bytes
from pipress.texts.rows import spread
from pipress.units import format_bytes
from pipress.weights.files import read_config
from pipress.weights.folder import load_model
from pipress.weights.shards import ShardReader

FILE = "teacher.bin"
# States that are kept: 3.5M tokens of SmolLM2-135M in float32, 1M of an 8B in bfloat16.
KEPT_BYTES = 8_000_000_000
# Tokens in one pass.
BATCH_TOKENS = 2048


class Teacher(Protocol):
    """The unpruned model, as training needs it."""

    @property
    def head(self) -> torch.Tensor:
        """Its output layer, (vocabulary, hidden), on the device of the training."""

    def states(self, rows: torch.Tensor) -> torch.Tensor:
        """Its last hidden states of rows of the text, (n, length, hidden), on that device."""

    def sample(self, tokens: int) -> torch.Tensor:
        """Its last hidden states of so many tokens or more from all over the text, (n, length, hidden)."""


@dataclass(frozen=True)
class KeptTeacher:
    """kept: the states of all rows, (n, length, hidden)."""

    head: torch.Tensor
    kept: torch.Tensor

    def states(self, rows: torch.Tensor) -> torch.Tensor:
        """See `Teacher`."""
        return self.kept[rows].to(self.head.device)

    def sample(self, tokens: int) -> torch.Tensor:
        """See `Teacher`."""
        return self.kept


@dataclass(frozen=True)
class ResidentTeacher:
    """sequences: the text, (n, length) token ids."""

    model: PreTrainedModel
    sequences: torch.Tensor

    @property
    def head(self) -> torch.Tensor:
        """See `Teacher`."""
        return self.model.lm_head.weight

    def states(self, rows: torch.Tensor) -> torch.Tensor:
        """See `Teacher`."""
        batch = max(1, BATCH_TOKENS // self.sequences.shape[1])
        return torch.cat([_states(self.model, ids) for ids in self.sequences[rows].split(batch)])

    def sample(self, tokens: int) -> torch.Tensor:
        """See `Teacher`."""
        count = math.ceil(tokens / self.sequences.shape[1])
        return self.states(spread(torch.arange(len(self.sequences)), count))


def fits_file(folder: Path, sequences: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether the states of all sequences are few enough to be kept."""
    return sequences.numel() * read_config(folder)["hidden_size"] * dtype.itemsize <= KEPT_BYTES


def kept_teacher(
    folder: Path,
    sequences: torch.Tensor,
    dtype: torch.dtype,
    device: torch.device,
    scratch: Path,
    report: Callable[[float], None],
) -> KeptTeacher:
    """Asks the model in `folder` about all sequences, and keeps what it says in `scratch`; see `teacher_states`."""
    teacher = load_model(folder, dtype).requires_grad_(False).to(device)
    states = teacher_states(teacher, sequences, scratch, report)
    return KeptTeacher(teacher.lm_head.weight.detach().clone(), states)


def resident_teacher(
    folder: Path, student: Path, sequences: torch.Tensor, dtype: torch.dtype, device: torch.device
) -> ResidentTeacher:
    """The model in `folder` on the device of the training. Raises StageError where the student would not fit beside it.

    student: the folder that the student will be loaded from.
    """
    needed = sum(_weight_bytes(model, dtype) for model in (folder, student))
    if needed > (free := available_bytes(device)):
        most = KEPT_BYTES // (read_config(folder)["hidden_size"] * dtype.itemsize)
        raise StageError(
            f"teacher and student take {format_bytes(needed)} together, and {format_bytes(free)} "
            f"of {'GPU memory' if device.type == 'cuda' else 'memory'} are free",
            f"take a machine with more; or train on less than {most // 100_000 / 10:.1f}M tokens of text "
            "(recover.tokens / recover.epochs): then the teacher is asked beforehand, and goes",
        )
    return ResidentTeacher(load_model(folder, dtype).requires_grad_(False).to(device), sequences)


def _weight_bytes(folder: Path, dtype: torch.dtype) -> int:
    return dtype.itemsize * sum(math.prod(shape) for shape in ShardReader(folder).shapes().values())


@torch.no_grad()
def teacher_states(
    teacher: PreTrainedModel, sequences: torch.Tensor, folder: Path, report: Callable[[float], None]
) -> torch.Tensor:
    """The teacher's last hidden states of the sequences, in its type, mapped from a file in `folder`.

    (n, length) token ids -> (n, length, hidden). What a killed job left in the file is gone on from. Raises StageError
    where the states are not finite.
    """
    file, shape = folder / FILE, (*sequences.shape, teacher.config.hidden_size)
    row = sequences.shape[1] * teacher.config.hidden_size * teacher.dtype.itemsize
    batch = max(1, BATCH_TOKENS // sequences.shape[1])
    done = min(len(sequences), file.stat().st_size // row) if file.exists() else 0
    if done < len(sequences):
        done -= done % batch  # whole batches, so that each sequence is in the same company whenever it is computed
        with open(file, "r+b" if file.exists() else "wb") as stream:
            stream.truncate(done * row)
            stream.seek(0, os.SEEK_END)
            for start in range(done, len(sequences), batch):
                states = _states(teacher, sequences[start : start + batch])
                stream.write(states.cpu().contiguous().view(torch.uint8).numpy())
                stream.flush()
                os.fsync(stream.fileno())
                report(min(1.0, (start + batch) / len(sequences)))
    return torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=teacher.dtype).view(shape)


@torch.no_grad()
def _states(teacher: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    states = teacher.model(ids.to(teacher.device), use_cache=False).last_hidden_state
    if not torch.isfinite(states).all():
        raise StageError("the teacher computes values that are not finite", "its weights are damaged")
    return states
