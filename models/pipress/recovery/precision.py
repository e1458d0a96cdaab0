"""The number type that a machine trains in fastest."""

import time
from pathlib import Path

import torch

from pipress.atomic import write_text

# In the checkpoint's folder.
FILE = "dtype"
# Sizes of the product that is timed, those of a small model's FFN, and how often.
ROWS, WIDTH, CHANNELS = 512, 768, 2048
ROUNDS = 5


def training_dtype(device: torch.device, folder: Path) -> torch.dtype:
    """bfloat16 or float32, what the device multiplies faster when a training begins; it is noted in `folder`.

    A resumed training goes on in the type it began in, wherever it goes on: the teacher's states and the checkpoints
    are of that type.
    """
    note = folder / FILE
    if note.exists():
        dtype = getattr(torch, note.read_text(encoding="utf-8"))
        assert isinstance(dtype, torch.dtype)
        return dtype
    dtype = faster_dtype(device)
    write_text(note, str(dtype).removeprefix("torch."))
    return dtype


def faster_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU that has it; on a processor by the clock, because its flags do not tell.

    With AMX bfloat16 is several times as fast as float32, with AVX-512's dot products alone it was 0.6 times as fast
    (Emerald Rapids without AMX: 150 beside 250 GFLOPS on two cores), emulated a third (Ice Lake).
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    types = (torch.bfloat16, torch.float32)
    # In turn, and the best of each: whatever else the machine does hits both.
    best = dict.fromkeys(types, float("inf"))
    for _ in range(1 + ROUNDS):  # the first of each prepares what the others use
        for dtype in types:
            best[dtype] = min(best[dtype], _seconds(dtype))
    return min(types, key=lambda dtype: best[dtype])


def _seconds(dtype: torch.dtype) -> float:
    """Of one product."""
    x, weight = torch.ones(ROWS, WIDTH, dtype=dtype), torch.ones(CHANNELS, WIDTH, dtype=dtype)
    began = time.perf_counter()
    torch.mm(x, weight.T)
    return time.perf_counter() - began
