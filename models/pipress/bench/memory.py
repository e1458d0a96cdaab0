"""Peak memory of a process and everything it starts."""

import threading
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.1
KIBIBYTE = 1024


class PeakMemory:
    """Watches a process and its descendants while the `with` block runs.

    `rss`: most bytes resident at a time, pages mapped from files included, which the kernel can take back at any time;
    `anonymous`: most bytes without those, which it cannot.
    """

    def __init__(self, pid: int) -> None:
        self.rss = self.anonymous = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            sizes = [_memory(pid) for pid in _tree(self._pid)]
            self.rss = max(self.rss, sum(rss for rss, _ in sizes))
            self.anonymous = max(self.anonymous, sum(anonymous for _, anonymous in sizes))


def _tree(pid: int) -> list[int]:
    """The process and its descendants, as far as they live."""
    pids = [pid]
    for parent in pids:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids += [int(child) for child in children.read_text().split()]
            except OSError:
                continue  # it ended meanwhile
    return pids


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a process, and of those the ones that belong to no file; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {
        key: int(value.split()[0]) * KIBIBYTE
        for key, _, value in (line.partition(":") for line in lines)
        if key in FIELDS
    }
    return sizes.get("VmRSS", 0), sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)


FIELDS = {"VmRSS", "RssAnon", "RssShmem"}
