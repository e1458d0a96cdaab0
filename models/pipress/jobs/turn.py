"""Whose turn it is: one heavy job at a time, and those that the release waits for before those that only measure.

Two heavy jobs at once would each take more than twice as long, and twice the memory. The next job that the release
waits for is not there yet when the one before it ends: Pulumi submits it a few seconds later. Measuring jobs leave them
that long.
"""

import os
import time
from pathlib import Path

from pipress.atomic import read_json, write_json
from pipress.jobs.locks import try_lock
from pipress.jobs.progress import Progress

POLL_SECONDS = 0.5
# From the end of a job to the submission of the next, as seen on two busy cores, with room to spare.
HEAD_START_SECONDS = 8


class Turn:
    """A turn on the builder whose slot is the lock file `slot`; it ends with `end`, or with the process."""

    def __init__(self, slot: Path, name: str, for_release: bool) -> None:
        self.slot, self.name, self.for_release = slot, name, for_release
        self.holder = slot.with_name("slot.json")
        self.lock: int | None = None

    def wait(self, progress: Progress) -> None:
        """Returns when it is this job's turn, saying meanwhile what it waits for."""
        while (waits_for := self._try()) is not None:
            progress.write(None, f"waiting for {waits_for}")
            time.sleep(POLL_SECONDS)
        self._note({})

    def end(self) -> None:
        """Lets the next one begin."""
        if self.lock is not None:
            self._note({"ended": time.time()})
            os.close(self.lock)
            self.lock = None

    def _try(self) -> str | None:
        """Takes the slot; or says what there is to wait for."""
        self.lock = try_lock(self.slot)
        holder = read_json(self.holder) or {}
        if self.lock is None:
            return f"{holder.get('name', 'another job')} (builder is busy)"
        since = time.time() - holder.get("ended", 0)
        if not self.for_release and holder.get("forRelease") and 0 <= since < HEAD_START_SECONDS:
            os.close(self.lock)
            self.lock = None
            return "what the release needs"
        return None

    def _note(self, more: dict[str, float]) -> None:
        write_json(self.holder, {"name": self.name, "forRelease": self.for_release, **more})
