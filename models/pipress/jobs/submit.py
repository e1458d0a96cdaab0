"""Starting a job that outlives whoever started it."""

import os
import sys
from pathlib import Path
from typing import Any

from pipress.jobs.job import Job
from pipress.jobs.locks import try_lock_patiently

PACKAGE_ROOT = Path(__file__).parent.parent.parent


def submit(job: Job, spec: dict[str, Any], action: str = "work") -> bool:
    """Starts the job unless it is at work already. Returns whether it was started.

    action: what its process does, a hidden verb of `python -m pipress jobs`.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    lock = try_lock_patiently(job.lock)
    if lock is None:
        return False
    job.prepare(spec)
    # The lock goes over to the job: it belongs to the open file, which the job inherits. So there is no moment at
    # which a job is on its way and nobody holds its lock.
    _detach(job, lock, action)
    os.close(lock)
    return True


def _detach(job: Job, lock: int, action: str) -> None:
    """Forks twice, with a session of its own: neither a signal to the caller's group nor its death reaches the job."""
    child = os.fork()
    if child > 0:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        _become_worker(job, lock, action)
    finally:
        os._exit(127)


def _become_worker(job: Job, lock: int, action: str) -> None:
    os.setpgid(0, 0)  # a group of its own, so that `jobs stop` reaches its programs and nobody else's
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # A pipe of the caller's left open would keep its reader waiting for as long as the job works.
    kept = os.dup2(lock, 3) if lock != 3 else lock
    os.set_inheritable(kept, True)
    os.closerange(4, 4096)
    os.chdir("/")
    arguments = [sys.executable, "-m", "pipress", "jobs", action, str(job.folder), "--lock", str(kept)]
    os.execve(sys.executable, arguments, _environment())


def _environment() -> dict[str, str]:
    """The caller's environment, with threads that sleep while they wait.

    Spinning threads lose their time slices to whatever else is busy: beside another process, training on two cores
    drops to an eighth of its speed.
    """
    cores = str(len(os.sched_getaffinity(0)))
    paths = [str(PACKAGE_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "OMP_NUM_THREADS": cores,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "KMP_BLOCKTIME": "0",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "warning",
    }
