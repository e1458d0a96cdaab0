"""Shares of questions answered right, and how far two models are apart on the same questions."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipress.atomic import write_json
from pipress.evaluation.scores import Estimate

# In the artifact of every evaluation that asked questions.
ANSWERS = "answers.json"


@dataclass(frozen=True)
class Answer:
    """What a model said to a question, and whether that is right."""

    kind: str
    difficulty: str
    question: str
    answer: str
    right: bool


def save_answers(answers: Sequence[Answer], path: Path) -> None:
    """As an array of objects, in the order of the questions."""
    write_json(path, [vars(answer) for answer in answers])


def load_answers(path: Path) -> list[Answer]:
    """What `save_answers` wrote."""
    return [Answer(**answer) for answer in json.loads(path.read_text(encoding="utf-8"))]


def accuracy(answers: Sequence[Answer]) -> Estimate:
    """Share right, and its standard error: binomial, with two right and two wrong answers added for the error.

    Agresti and Coull, "Approximate Is Better than Exact for Interval Estimation of Binomial Proportions" (The American
    Statistician 52, 1998): without them, no right answer out of ten would have no error at all.
    """
    right, n = sum(answer.right for answer in answers), len(answers)
    share = (right + 2) / (n + 4)
    return Estimate(right / n, math.sqrt(share * (1 - share) / (n + 4)))


def paired_difference(own: Sequence[Answer], other: Sequence[Answer]) -> Estimate | None:
    """By how much the own share right lies above the other's, on the same questions; None where they are others.

    Only questions that one of both got right count for the error, as in McNemar's test; half a question is added to
    each of the four cells: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions"
    (Statistics in Medicine 24, 2005).
    """
    if [answer.question for answer in own] != [answer.question for answer in other] or not own:
        return None
    pairs = list(zip(own, other, strict=True))
    better = sum(mine.right and not theirs.right for mine, theirs in pairs)
    worse = sum(theirs.right and not mine.right for mine, theirs in pairs)
    n = len(pairs) + 2
    spread = better + worse + 1 - (better - worse) ** 2 / n
    return Estimate((better - worse) / len(pairs), math.sqrt(spread) / n)
