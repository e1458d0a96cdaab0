"""Keeping freed memory within the process, and how much there was of it at most."""

import ctypes
import resource
from pathlib import Path

import torch

# Of malloc.h: what of the heap's end goes back to the system, and how many blocks may be mapped beside the heap.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Tells glibc not to give freed tensors back to the system.

    Every layer, or step of training, makes the same thousands of tensors of megabytes; by default each is mapped anew,
    and the system clears its pages at first touch. So none is mapped: all are of the heap, those above the 32 MiB too
    that no M_MMAP_THRESHOLD covers. Elsewhere than on glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def peak_bytes(device: torch.device) -> int:
    """Most memory used so far: of the device where that is a GPU, else resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available_bytes(device: torch.device) -> int:
    """Memory that can be had now without paging: of the GPU, else of this machine (proc_meminfo(5))."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
