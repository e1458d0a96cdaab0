import subprocess
import sys
import time

from pipress.evaluation.generation import PeakMemory, repetition

MEGABYTES = 64


def test_the_peak_of_a_process_counts_what_it_has_given_back() -> None:
    hold = f"import sys; b = bytearray({MEGABYTES} << 20); del b; print('freed', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    memory = PeakMemory()
    memory.watch(process.pid)
    deadline = time.monotonic() + 20
    while memory.bytes == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.stdin.close()
    process.wait()
    assert MEGABYTES << 20 < memory.bytes < 4 * MEGABYTES << 20


def test_repetition_is_the_share_of_runs_of_four_words_said_before() -> None:
    assert repetition(["a b c d e f g"]) == 0
    assert repetition(["a b c d a b c d"]) == 1 / 5
    assert repetition(["a b", ""]) == 0
