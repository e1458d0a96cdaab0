"""What the teacher says about the text, computed once and kept in a file.

Kept are its hidden states before the output layer: `hidden` numbers a token instead of `vocabulary`, and the logits
that one product with the output layer makes of them are exact (the best 64 logits of each token take a quarter of the
room, but finding them costs as much as that product). Training then needs the teacher's output layer only: one model
at a time is in memory, another pass over the text costs no teacher, and a resumed job does not ask it again.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError

FILE = "teacher.bin"
# Tokens in one pass.
BATCH_TOKENS = 2048


@torch.no_grad()
def teacher_states(
    teacher: LlamaForCausalLM, sequences: torch.Tensor, folder: Path, report: Callable[[float], None]
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
                ids = sequences[start : start + batch].to(teacher.device)
                states = teacher.model(ids, use_cache=False).last_hidden_state
                if not torch.isfinite(states).all():
                    raise StageError("the teacher computes values that are not finite", "its weights are damaged")
                stream.write(states.cpu().contiguous().view(torch.uint8).numpy())
                stream.flush()
                os.fsync(stream.fileno())
                report(min(1.0, (start + batch) / len(sequences)))
    return torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=teacher.dtype).view(shape)
