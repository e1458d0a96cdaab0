"""File locks (flock). The kernel drops them when their holder dies, however it dies: no stale state to clean up."""

import fcntl
import os
import time
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Takes the lock at once or not at all. Returns its file descriptor; closing it gives the lock back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def try_lock_patiently(path: Path) -> int | None:
    """Like `try_lock`, but not put off by somebody who is only looking (`is_locked` holds the lock for an instant)."""
    for _ in range(4):
        descriptor = try_lock(path)
        if descriptor is not None:
            return descriptor
        time.sleep(0.03)
    return None


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. Looks with a shared lock, so that lookers do not see each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
