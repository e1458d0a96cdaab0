"""The number type that a machine trains in fastest."""

import platform
from pathlib import Path

import torch

# Processors that multiply bfloat16 themselves. The others emulate it, at a third of their float32 speed (Ice Lake).
NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}


def training_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has it in hardware, else float32.

    Decided by what the machine is, not by a stopwatch: a resumed job must go on in the type it began in.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if _processor_flags() & NATIVE else torch.float32


def _processor_flags() -> set[str]:
    if platform.system() != "Linux":
        return set()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = [line.split(":", 1)[1].split() for line in lines if line.lower().startswith(("flags", "features"))]
    return set(flags[0]) if flags else set()
