"""How well a GGUF predicts text, token by token: perplexity, and divergence from a reference model.

By `pipress-score` (toolchain/llama-cpp/cmake/score.cpp), which computes what llama-perplexity does, of rows of token
ids that begin as models are served. The second half of every row counts, so that each token has at least that much
context. A reference run keeps the log-probabilities of every counted token; a model measured against them is measured
on the very same tokens, so that two models can be compared row by row.
"""

import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipress.errors import StageError
from pipress.programs import run_program

ROW_DONE = re.compile(r"\[(\d+)\]\d")
# What stands in the log where a reference is of another model, or of other rows.
UNFIT = ("does not hold log-probabilities", "beyond the model's vocabulary")

# In the artifact of every evaluation: `Scores.save`.
SCORES = "scores.npy"

OnRow = Callable[[int], None]


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Scores:
    """nll: negative log-likelihood of every counted token, in nats, (n_rows, n_counted). kld: KL divergence from the
    reference, and same: whether both hold the same token for the likeliest; of the same shape, None in a reference."""

    nll: np.ndarray
    kld: np.ndarray | None = None
    same: np.ndarray | None = None

    @property
    def perplexity(self) -> Estimate:
        """exp of the mean negative log-likelihood."""
        mean = mean_of_rows(self.nll)
        return Estimate(math.exp(mean.value), math.exp(mean.value) * mean.error)

    def save(self, path: Path) -> None:
        """As one array of float32, (1 or 3, n_rows, n_counted)."""
        parts = [part for part in (self.nll, self.kld, self.same) if part is not None]
        np.save(path, np.stack(parts).astype(np.float32))


def load_scores(path: Path) -> Scores:
    """What `Scores.save` wrote."""
    return Scores(*np.load(path))


def mean_of_rows(values: np.ndarray) -> Estimate:
    """The mean of (n_rows, n) values. Its error is that of the mean over rows: tokens of one row go together."""
    means = values.mean(axis=1, dtype=np.float64)
    if len(means) < 2:
        return Estimate(float(means.mean()), 0.0)
    return Estimate(float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means))))


def score_reference(
    llama_cpp_bin: Path, model: Path, rows: np.ndarray, logits: Path, on_row: OnRow = lambda done: None
) -> Scores:
    """Scores rows of token ids, (n_rows, length), and writes log-probabilities to `logits`.

    Raises StageError where there are no rows, or a score is no number.
    """
    if len(rows) == 0:
        raise StageError(
            f"the text has fewer than {rows.shape[1]} tokens", "take more text, or a shorter contextLength"
        )
    return Scores(*_score(llama_cpp_bin, model, rows, "reference", logits, on_row))


def score_against(
    llama_cpp_bin: Path, model: Path, rows: np.ndarray, logits: Path, on_row: OnRow = lambda done: None
) -> Scores:
    """Scores the rows that `logits` came from, and compares with the model that it came from.

    Raises StageError where the two do not fit together, or a score is no number.
    """
    try:
        return Scores(*_score(llama_cpp_bin, model, rows, "compare", logits, on_row))
    except StageError as error:
        if any(word in str(error) for word in UNFIT):
            raise StageError(
                f"{model.name} cannot be compared with the reference: the log-probabilities are of other rows or of "
                "another vocabulary, or damaged",
                "make the reference again, of the same base model",
            ) from error
        raise


def _score(llama_cpp_bin: Path, model: Path, rows: np.ndarray, mode: str, logits: Path, on_row: OnRow) -> np.ndarray:
    length = rows.shape[1]
    counted = length - 1 - length // 2

    def on_line(line: str) -> None:
        for match in ROW_DONE.finditer(line):
            on_row(int(match[1]))

    with tempfile.NamedTemporaryFile() as ids, tempfile.TemporaryFile() as out:
        ids.write(rows.astype("<i4").tobytes())
        ids.flush()
        program = llama_cpp_bin / "pipress-score"
        run_program([program, model, str(length), ids.name, mode, logits], on_line, stdout=out)
        out.seek(0)
        values = np.frombuffer(out.read(), "<f4")
    if len(values) == 0 or not np.isfinite(values).all():
        raise StageError("the perplexity is not a number", "the model is damaged: look at the stages before this one")
    return values.reshape(len(rows), counted, -1).transpose(2, 0, 1)
