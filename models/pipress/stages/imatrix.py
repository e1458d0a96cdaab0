"""imatrix: how strongly each input channel is used on calibration text, for quantization to spare those.

llama.cpp's importance matrix: the mean squared activation of every channel, E[x^2].
"""

import os
import re
import tempfile
from pathlib import Path

from pipress.errors import StageError
from pipress.programs import run_program
from pipress.spec import Metrics, Spec
from pipress.texts.records import spread_order
from pipress.texts.rows import CHARACTERS, read_rows, text_of
from pipress.tokenization import end_of_text

TOOLS = ("llama.cpp",)

CHUNK_DONE = re.compile(r"\[(\d+)\]\d")
TEXT = "calibration.txt"
# Of English, rounded up: a passage of so many characters has about as many tokens as a chunk.
CHARACTERS_PER_TOKEN = 5
MAGIC = b"GGUF"


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Leaves imatrix.gguf, after llama-quantize has taken it once without writing anything."""
    chunks, context = spec.params["chunks"], spec.params["contextLength"]
    model, target = inputs["model"] / "model.gguf", out / "imatrix.gguf"
    end = end_of_text(spec.llama_cpp_bin, model)
    text = calibration_text(inputs["datasets"], end, chunks, context)
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        for match in CHUNK_DONE.finditer(line):
            done = int(match[1])
            spec.report(0.05 + 0.85 * done / chunks, f"chunk {done}/{chunks}")

    with tempfile.TemporaryDirectory() as folder:
        # The text's name becomes metadata of the matrix and of every model made with it: no path of this machine.
        Path(folder, TEXT).write_text(text, encoding="utf-8")
        command = [spec.llama_cpp_bin / "llama-imatrix", "-m", model, "-f", TEXT, "-o", target, "--parse-special"]
        sizes = ["-c", str(context), "--chunks", str(chunks), "-t", str(len(os.sched_getaffinity(0)))]
        # Its perplexities are what its progress is read from.
        run_program([*command, *sizes], on_line, cwd=Path(folder))
    if not target.exists() or target.read_bytes()[:4] != MAGIC:
        raise StageError("llama-imatrix wrote no matrix", "give it more calibration text; the log has its output")

    spec.report(0.95, "checking it with llama-quantize")
    run_program([spec.llama_cpp_bin / "llama-quantize", "--dry-run", "--imatrix", target, model, "Q4_K_M"])
    return {"chunks": done, "contextLength": context}


def calibration_text(datasets: Path, end: str, chunks: int, context: int) -> str:
    """Passages from all over the calibration text, chats among them, each of about a chunk, parted by `end`.

    llama-imatrix takes text, reads it from the beginning and stops after `chunks`: there are more passages than that,
    in an order whose beginning, however long, is spread over the whole.
    """
    rows = read_rows(datasets / "calibration.jsonl", CHARACTERS, context * CHARACTERS_PER_TOKEN, chunks + chunks // 2)
    return end.join(text_of(rows[index], end) for index in spread_order(len(rows)))
