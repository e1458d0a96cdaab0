"""One training by several processes of one machine: a GPU each, or some cores.

Each process has the whole student and its own rows of every step; what they add up is the gradient of what is trained,
which is small (decision 18). PyTorch's launcher starts them and ends all when one ends (torchrun,
https://docs.pytorch.org/docs/stable/elastic/run.html); this stage's process waits, and passes on progress and errors.
"""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from torch import distributed

from pipress.atomic import read_json, write_json
from pipress.errors import StageError
from pipress.programs import die_with_parent, run_program
from pipress.spec import Metrics, Spec

# Set to train in so many processes instead of one for each GPU.
COUNT_VARIABLE = "PIPRESS_RECOVERY_PROCESSES"
PACKAGE_ROOT = Path(__file__).parent.parent.parent
# How long one may wait for another, which may be quantizing or reading: one that is gone is noticed at once.
PATIENCE = timedelta(hours=2)
# What they leave in the folder of the checkpoint.
TASK, PROGRESS, FAILURE, RESULT = "task.json", "together.json", "failure.json", "result.json"
POLL_SECONDS = 0.5

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """This process among `count` that train together; the first of them also writes and reports."""

    rank: int = 0
    count: int = 1

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device("cuda", self.rank) if torch.cuda.is_available() else torch.device("cpu")

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This process's part of some rows; the parts of all are the whole."""
        return rows[self.rank :: self.count]

    def add(self, tensors: Iterable[torch.Tensor]) -> None:
        """Puts into each tensor, in place, the sum of what the processes have there; in one message."""
        if self.count == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.flatten().to(self.device, torch.float32) for part in parts])
        distributed.all_reduce(flat)
        for part, summed in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
            part.copy_(summed.view(part.shape))

    def owns(self, index: int) -> bool:
        """Whether the `index`-th piece of a work that is shared out is this process's."""
        return index % self.count == self.rank

    def pass_on(self, tensor: torch.Tensor, index: int) -> None:
        """Gives all processes, in place, what the owner of the `index`-th piece has in `tensor`."""
        if self.count > 1:
            distributed.broadcast(tensor, src=index % self.count)

    def first(self, action: Callable[[], Value]) -> Value:
        """What `action` returns, which the first process has done before the others begin with it."""
        if self.count == 1:
            return action()
        if self.rank > 0:
            distributed.barrier()
            return action()
        value = action()
        distributed.barrier()
        return value


ALONE = Ranks()


def process_count(batch: int) -> int:
    """How many processes train together: one for each GPU, and no more than a step has rows."""
    wanted, gpus = int(os.environ.get(COUNT_VARIABLE, "0")), torch.cuda.device_count()
    return max(1, min(batch, min(wanted or gpus, gpus) if gpus > 0 else wanted))


def run_together(module: str, count: int, spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Runs the module's `run_rank` in `count` processes and returns what the first of them returns.

    Raises StageError for what one of them raises, and where one of them dies.
    """
    folder = spec.checkpoint
    for name in (PROGRESS, FAILURE, RESULT):
        (folder / name).unlink(missing_ok=True)
    task = {
        **{name: getattr(spec, name) for name in ("stage", "name", "params")},
        **{name: str(getattr(spec, name)) for name in ("llama_cpp_bin", "convert_script", "checkpoint")},
        "inputs": {name: str(path) for name, path in inputs.items()},
        "out": str(out),
    }
    write_json(folder / TASK, task)
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    paths = [str(PACKAGE_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
    }
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    ends: list[str] = []

    def notice(line: str) -> None:
        if (match := EXIT.search(line)) is not None:
            ends.append(match[1])

    ended = threading.Event()
    watcher = threading.Thread(target=_pass_on_progress, args=(folder / PROGRESS, spec, ended), daemon=True)
    watcher.start()
    try:
        run_program([sys.executable, *launcher, "-m", module, folder / TASK], notice, environment)
    except StageError as error:
        failure = read_json(folder / FAILURE)
        if failure is None:
            how = _how(ends[-1]) if ends else "ended"
            raise StageError(
                f"one of the {count} processes that train together {how}",
                "the log has its last words; `up` again goes on from the last checkpoint",
            ) from error
        if failure["errno"] is not None:
            raise OSError(failure["errno"], failure["what"]) from error
        raise StageError(failure["what"], failure["remedy"]) from error
    finally:
        ended.set()
        watcher.join()
    return read_json(folder / RESULT)


# torchrun's report on the process that ended first stands last: `exitcode  : -9 (pid: 123)`.
EXIT = re.compile(r"exitcode\s*: (-?\d+)")


def _how(status: str) -> str:
    number = int(status)
    return f"was ended by {signal.Signals(-number).name}" if number < 0 else f"failed with status {number}"


def _pass_on_progress(file: Path, spec: Spec, ended: threading.Event) -> None:
    while not ended.wait(POLL_SECONDS):
        if (progress := read_json(file)) is not None:
            spec.report(*progress)


def run_rank(train: Callable[[Spec, dict[str, Path], Path, Ranks], Metrics]) -> NoReturn:
    """What each process does: its part of the training that the task describes, named on the command line."""
    die_with_parent()
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if ranks.rank > 0:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    task: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(task["checkpoint"])

    def report(*progress: Any) -> None:
        if ranks.rank == 0:
            write_json(folder / PROGRESS, progress, synced=False)

    spec = Spec(
        **{name: task[name] for name in ("stage", "name", "params")},
        **{name: Path(task[name]) for name in ("llama_cpp_bin", "convert_script", "checkpoint")},
        report=report,
    )
    inputs = {name: Path(path) for name, path in task["inputs"].items()}
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(ranks.device)
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
        metrics = train(spec, inputs, Path(task["out"]), ranks)
        if ranks.rank == 0:
            write_json(folder / RESULT, metrics)
    except StageError as error:
        write_json(folder / FAILURE, {"what": error.what, "remedy": error.remedy, "errno": None})
        os._exit(1)
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError):
            raise
        write_json(folder / FAILURE, {"what": str(error), "remedy": "", "errno": error.errno})
        os._exit(1)
    sys.stdout.flush()
    # Not sys.exit: threads of the connection to the other processes, some of which have ended, are not waited for.
    os._exit(0)
