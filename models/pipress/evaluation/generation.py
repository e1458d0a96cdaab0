"""What a model costs to load and run, and whether it says anything sensible."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipress.errors import StageError
from pipress.gguf_file import generate

LOAD_TIME = re.compile(r"load time =\s*([\d.]+) ms")
HIGH_WATER = re.compile(r"VmHWM:\s*(\d+) kB")
SAMPLE_SECONDS = 0.02
NGRAM = 4


@dataclass(frozen=True)
class Loading:
    """Seconds from start to the first token, its weights read; memory at its highest, in bytes."""

    seconds: float
    peak_bytes: int


def measure_loading(llama_cpp_bin: Path, model: Path) -> Loading:
    """Loads a model and has it say one token. Its file is likely in the page cache: no disk is measured."""
    load_ms = 0.0
    memory = PeakMemory()

    def on_line(line: str) -> None:
        nonlocal load_ms
        if match := LOAD_TIME.search(line):
            load_ms = float(match[1])

    generate(llama_cpp_bin, model, "The", 1, on_line, memory.watch)
    if load_ms == 0 or memory.bytes == 0:
        raise StageError(f"llama.cpp did not say how long it loaded {model.name}", "the log has its output")
    return Loading(round(load_ms / 1000, 3), memory.bytes)


class PeakMemory:
    """The most memory a process ever had resident, mapped weights included, as its kernel counts it (VmHWM).

    `ru_maxrss` would not do: it also counts what this process had when it forked.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def watch(self, pid: int) -> None:
        """Reads the mark at once, for what ends before a thread begins, and then in a thread until the process ends."""
        if self._look(pid):
            threading.Thread(target=self._go_on, args=(pid,), daemon=True).start()

    def _go_on(self, pid: int) -> None:
        pause = threading.Event()
        while self._look(pid):
            pause.wait(SAMPLE_SECONDS)

    def _look(self, pid: int) -> bool:
        """Whether there was something to read: of a process that has ended only its exit status is left."""
        try:
            match = HIGH_WATER.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
        except (FileNotFoundError, ProcessLookupError):
            return False
        if match is not None:
            self.bytes = max(self.bytes, 1024 * int(match[1]))
        return match is not None


def repetition(texts: Sequence[str]) -> float:
    """Share of word 4-grams that the same text said before, 0 to 1: seq-rep-4.

    Welleck et al., "Neural Text Generation with Unlikelihood Training" (arXiv:1908.04319), there over tokens. Greedy
    decoding of a damaged model runs in circles, which perplexity hardly shows.
    """
    total = repeated = 0
    for text in texts:
        words = text.split()
        ngrams = [tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]
        total += len(ngrams)
        repeated += len(ngrams) - len(set(ngrams))
    return repeated / total if total else 0.0
