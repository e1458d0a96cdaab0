import math
from pathlib import Path

import numpy as np
import pytest

from pipress.evaluation.accuracy import Answer, accuracy, load_answers, paired_difference, save_answers


def answers(*right: bool) -> list[Answer]:
    return [Answer("format", "easy", f"question {index}", "", bool(one)) for index, one in enumerate(right)]


def test_the_error_of_a_share_is_binomial_and_never_nothing() -> None:
    share = accuracy(answers(*[True] * 45, *[False] * 45))
    assert share.value == 0.5 and share.error == pytest.approx(math.sqrt(0.25 / 94))
    none = accuracy(answers(*[False] * 18))
    assert none.value == 0 and none.error == pytest.approx(0.06, abs=0.01)


def test_models_are_compared_question_by_question() -> None:
    """Both find the same questions hard: what they share says nothing of their difference."""
    hard = [index % 2 == 0 for index in range(90)]
    better = [True, True, True, *hard[3:]]
    apart = paired_difference(answers(*better), answers(*hard))
    assert apart is not None and apart.value == pytest.approx(1 / 90)
    assert apart.error < accuracy(answers(*hard)).error / 2
    back = paired_difference(answers(*hard), answers(*better))
    assert back is not None and (back.value, back.error) == (-apart.value, apart.error)
    assert paired_difference(answers(*hard), answers(*hard[1:])) is None and paired_difference([], []) is None


def test_two_errors_hold_the_true_difference_about_as_often_as_they_say() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(1000):
        hardness = random.uniform(0, 1, 90)
        own, other = hardness < 0.6, np.where(random.uniform(0, 1, 90) < 0.3, random.uniform(0, 1, 90), hardness) < 0.5
        apart = paired_difference(answers(*own), answers(*other))
        assert apart is not None
        held += abs(apart.value - 0.1) < 2 * apart.error
    assert 930 < held < 990


def test_answers_come_back_as_they_were_saved(tmp_path: Path) -> None:
    saved = [Answer("json", "hard", "question", 'an "answer" ✓\n', True)]
    save_answers(saved, tmp_path / "answers.json")
    assert load_answers(tmp_path / "answers.json") == saved
