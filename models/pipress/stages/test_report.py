"""The report from manifests written by hand: whatever evaluations a recipe has, one page, all text escaped."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipress.errors import StageError
from pipress.evaluation.accuracy import ANSWERS, Answer, accuracy, save_answers
from pipress.evaluation.scores import SCORES, Estimate, Scores
from pipress.report.learning_curve import describe_flattening
from pipress.report.plots import Axis, Point, curves, frontier, scatter
from pipress.report.verdict import compare, recommendation, verdicts
from pipress.stages import report
from pipress.store.file_store import FileStore

BASE = {"perplexity": 29.25, "perplexityError": 1.2, "fileBytes": 270_885_888, "tokensPerSecondBuilder": 9.0}
RECIPE = {"perplexity": 43.5, "perplexityError": 1.8, "fileBytes": 96_351_296, "kld": 0.43, "kldError": 0.008}
BASELINE = {"perplexity": 31.3, "perplexityError": 1.3, "fileBytes": 93_500_000, "kld": 0.081, "kldError": 0.002}
PREDICTED = {"type": "Q4_K_M", "fileBytes": 96_351_296, "memoryBytes": 2e8, "tokensPerSecond": 36.1}


def make_report(make_spec: Any, out: Path, inputs: dict[str, Path], predicted: Any = None) -> tuple[Any, str]:
    """Runs the stage. Returns report.json and report.html."""
    manifests = {name: json.loads((folder / "manifest.json").read_text()) for name, folder in inputs.items()}
    spec = make_spec("report", recipe="a <recipe>", predicted=predicted or {})
    report.run(replace(spec, manifests=manifests), inputs, out)
    return json.loads((out / "report.json").read_text()), (out / "report.html").read_text()


VOID = {"meta", "circle", "line", "polyline"}


class Page(HTMLParser):
    """Tags that are open at the end, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_recipe_without_baselines_is_not_said_to_be_worth_it(stage: Any, make_spec: Any, tmp_path: Path) -> None:
    inputs = {"evaluate-base": stage("evaluate-base", BASE), "evaluate": stage("evaluate", RECIPE)}
    document, page = make_report(make_spec, tmp_path, inputs)
    assert [verdict["winner"] for verdict in document["verdicts"]] == ["unknown", "unknown"]
    assert "does not say that pruning pays" in page and "<h2>Recovery</h2>" not in page


def test_the_whole_of_it(stage: Any, make_spec: Any, tmp_path: Path) -> None:
    curve = {
        "training": [{"step": 1, "kl": 0.6, "crossEntropy": 4.0}, {"step": 2, "kl": 0.5, "crossEntropy": 3.9}],
        "validation": [
            {"step": 0, "tokens": 0, "kl": 0.6, "crossEntropy": 4.0, "rows": [0.6]},
            {"step": 2, "tokens": 1024, "kl": 0.5, "crossEntropy": 3.9, "rows": [0.5]},
        ],
    }
    license = {"id": "llama3.1", "notice": "Copyright © Meta", "attribution": "Built with Llama"}
    inputs = {
        "recover": stage("recover", {}, loss=curve),
        "quantize": stage("quantize", {"type": "Q4_K_M"}, license=license),
        "evaluate-base": stage("evaluate-base", BASE),
        "evaluate": stage("evaluate", {**RECIPE, "smokeTestAnswer": "<script>Paris</script>"}, "quantize"),
        "evaluate-baseline": stage("evaluate-baseline", BASELINE),
    }
    document, page = make_report(make_spec, tmp_path, inputs, {"evaluate": PREDICTED})
    recipe = next(model for model in document["models"] if model["name"] == "evaluate")
    assert recipe["type"] == "Q4_K_M" and recipe["predicted"]["tokensPerSecond"] == 36.1
    assert document["stages"][0] == {"name": "recover", "key": "7265636f766572".ljust(64, "0"), "seconds": 65.4} | {
        "bytes": 1000
    }
    looks = [{name: look[name] for name in look if name != "rows"} for look in curve["validation"]]
    assert document["recovery"] == {"training": curve["training"], "validation": looks}
    assert document["verdicts"][0]["sentence"] == (
        "At equal size, the unpruned model wins: KL divergence 0.43 ± 0.008 against 0.081 ± 0.002 "
        "(96.4 MB, about 36.1 tokens/s on a Pi 4 against 93.5 MB)."
    )

    parsed = Page()
    parsed.feed(page)
    assert parsed.open == []
    assert "<script>Paris</script>" in parsed.text and "<script" not in page and "a <recipe>" in parsed.text
    assert "1 min 05 s" in parsed.text and "Built with Llama" in parsed.text
    assert not re.search(r"(src|href)=|url\(|@import", page), "the page needs no other file"


def test_the_runner_hands_it_the_manifests_of_its_inputs(job_spec: Any, attach: Any, tmp_path: Path) -> None:
    key, store = "ef" * 32, FileStore((tmp_path / "store").as_uri())
    (store.begin(key) / "evaluation.json").write_text("{}")
    store.commit(key, {"key": key, "seconds": 9, "metrics": BASE, "inputs": {}})
    process = attach(job_spec("report", {"recipe": "r", "predicted": {}}, {"evaluate-base": key}))
    result = json.loads(process.communicate(timeout=60)[0])
    assert set(result["files"]) == {"report.json", "report.html"}
    assert "does not say that pruning pays" in result["metrics"]["verdict"]


def test_a_prediction_for_another_type_is_left_out(stage: Any, make_spec: Any, tmp_path: Path) -> None:
    inputs = {
        "quantize": stage("quantize", {"type": "Q3_K_M"}),
        "evaluate": stage("evaluate", RECIPE, "quantize"),
    }
    document, _ = make_report(make_spec, tmp_path, inputs, {"evaluate": PREDICTED})
    assert "predicted" not in document["models"][0]


def test_a_measurement_that_is_no_number_is_refused(stage: Any, make_spec: Any, tmp_path: Path) -> None:
    inputs = {"evaluate": stage("evaluate", {**RECIPE, "perplexity": 0.5})}
    with pytest.raises(StageError, match=r"perplexity: 0\.5 is less than the minimum of 1"):
        make_report(make_spec, tmp_path, inputs)


def test_a_difference_within_two_standard_errors_has_no_winner() -> None:
    close = {**BASELINE, "kld": 0.42, "kldError": 0.008}
    assert compare(RECIPE, close)[0] == "undecided"
    assert compare({**RECIPE, "kld": 0.01}, close)[0] == "recipe"
    # Without a KL divergence of both, perplexity decides.
    assert compare({**RECIPE, "perplexity": 20.0}, BASE)[0] == "recipe"


def test_equal_speed_is_a_question_of_its_own() -> None:
    models = [{"name": "evaluate", **RECIPE}, {"name": "evaluate-baseline-speed", **BASELINE}]
    assert [verdict["winner"] for verdict in verdicts(models)] == ["unknown", "baseline"]


def test_a_recipe_that_no_unpruned_model_keeps_up_with_wins_at_its_speed() -> None:
    models = [{"name": "evaluate", **RECIPE, "predicted": PREDICTED}]
    _, verdict = verdicts(models, {"type": "Q2_K", "tokensPerSecond": 30.5})
    assert (
        verdict["winner"] == "recipe"
        and "at 36.1 tokens/s on a Pi 4, the fastest unpruned model (Q2_K) at 30.5" in (verdict["sentence"])
    )
    assert verdicts(models, {"type": "Q2_K", "tokensPerSecond": 40})[1]["winner"] == "unknown"


def test_ticks_are_round_and_lie_on_the_axis() -> None:
    axis = Axis("x", 88, 301)
    assert [axis.format(tick) for tick in axis.ticks()] == ["100", "200", "300"]
    assert [Axis("x", 0, 0.63).format(tick) for tick in Axis("x", 0, 0.63).ticks()] == ["0.0", "0.2", "0.4", "0.6"]


def test_labels_of_points_at_one_place_do_not_lie_on_each_other() -> None:
    names = ["one", "two", "three", "four", "five"]
    plot = scatter([*(Point(1, 1, name, "step") for name in names), Point(9, 9, "<far>", "recipe")], "x", "y", "")
    places = re.findall(r'class="label" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)"', plot)
    assert len(places) == 6 and "&lt;far&gt;" in plot
    for side in ("start", "end"):
        heights = sorted(float(y) for _, y, anchor in places if anchor == side)
        assert all(below - above >= 16 for above, below in pairwise(heights))


def test_a_label_wider_than_the_plot_begins_in_it() -> None:
    plot = scatter([Point(1, 1, "w" * 80, "step"), Point(2, 2, "b", "step")], "x", "y", "")
    assert re.search(r'class="label" x="0.0" y="[\d.]+" text-anchor="start">w{80}<', plot)


def looks(*losses: float, noise: float = 0.01) -> list[dict[str, Any]]:
    """At every tenth of the way, rows that differ much among each other, and little between looks."""
    rows = [0.1 + 0.2 * (row % 7) for row in range(50)]
    return [
        {
            "step": 10 * index,
            "tokens": 1000 * index,
            "kl": loss,
            "crossEntropy": 4.0,
            "rows": [loss * row + noise * (-1) ** (row_index + index) for row_index, row in enumerate(rows)],
        }
        for index, loss in enumerate(losses)
    ]


def test_the_curve_says_whether_more_tokens_should_gain_more_or_since_when_they_do_not() -> None:
    falling = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25]
    assert describe_flattening(looks(*falling)).startswith(
        "From 9,000 to 10,000 tokens the held-back loss fell by 0.03"
    )
    assert describe_flattening(looks(*falling)).endswith(": more tokens should gain more.")
    flat = [1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3]
    assert describe_flattening(looks(*flat)).endswith("no more than its error: flat from 6,000 tokens on.")
    rising = describe_flattening(looks(1.0, 0.5, 0.6))
    assert "fell by -0.06" in rising and rising.endswith("flat from 1,000 tokens on.")
    assert describe_flattening(looks(1.0)) == ""
    assert describe_flattening([{**look, "rows": look["rows"][:1]} for look in looks(1.0, 0.5)]) == ""


def test_the_report_shows_the_curve_by_tokens_and_says_where_it_flattens(
    stage: Any, make_spec: Any, tmp_path: Path
) -> None:
    training = [{"step": step, "kl": 1 / step, "crossEntropy": 4.0} for step in range(1, 1001)]
    curve = {"training": training, "validation": looks(1.0, 0.5, 0.4)}
    inputs = {"recover": stage("recover", {}, loss=curve), "evaluate": stage("evaluate", RECIPE)}
    document, page = make_report(make_spec, tmp_path, inputs)
    assert document["recovery"]["flattening"] in page and "tokens trained on, thousands" in page
    assert document["recovery"]["validation"][2] == {"step": 20, "tokens": 2000, "kl": 0.4, "crossEntropy": 4.0}
    assert len(document["recovery"]["training"]) == 1000
    points = re.search(r'polyline class="training" points="([^"]*)"', page)
    assert points is not None and 200 < len(points[1].split()) <= 300


def test_a_curve_of_one_step_is_drawn() -> None:
    assert "polyline" in curves([("training", [(1, 0.5)])], "step", "loss", "")


@pytest.mark.parametrize(("noise", "winner"), [(0.0, "recipe"), (3.0, "undecided")])
def test_models_are_compared_row_by_row(noise: float, winner: str, stage: Any, make_spec: Any, tmp_path: Path) -> None:
    """Rows differ much in how hard they are, and both find the same ones hard: only what they differ by counts."""
    random = np.random.default_rng(0)
    hard = random.uniform(0.1, 2, (12, 1)) * np.ones((12, 30))
    own, other = hard + noise * random.standard_normal((12, 1)), hard + 0.02
    inputs = {"evaluate-base": stage("evaluate-base", BASE)}
    for name, kld in (("evaluate", own), ("evaluate-baseline", other)):
        figures = {"kld": float(kld.mean()), "kldError": 0.5}
        inputs[name] = stage(name, {**RECIPE, **figures})
        Scores(kld, kld, kld).save(inputs[name] / SCORES)
    document, _ = make_report(make_spec, tmp_path, inputs)
    verdict = document["verdicts"][0]
    assert verdict["winner"] == winner
    assert noise > 0 or "apart by 0.02 ± " in verdict["sentence"]


def test_a_quantization_aware_recovery_is_compared_with_its_type_as_it_is_where_the_plan_measured_both() -> None:
    aware = {"name": "evaluate", **RECIPE, "kld": 0.2}
    ordinary = {"name": "evaluate-ordinary", **RECIPE, "kld": 0.4}
    asked = {verdict["question"]: verdict for verdict in verdicts([aware, ordinary])}
    assert asked["awareness"]["winner"] == "recipe"
    assert asked["awareness"]["sentence"].startswith(
        "At equal type, this recipe wins: KL divergence 0.2 ± 0.008 against"
    )
    other = {verdict["question"]: verdict for verdict in verdicts([{**aware, "kld": 0.5}, ordinary])}
    assert "the model without quantization-aware recovery wins" in other["awareness"]["sentence"]
    assert "awareness" not in {verdict["question"] for verdict in verdicts([aware])}


def test_the_frontier_is_what_nothing_beats_in_both() -> None:
    points = [Point(x, y, "", "step") for x, y in ((1, 5), (2, 3), (3, 4), (4, 1), (4, 2), (5, 1))]
    assert [(point.x, point.y) for point in frontier(points, larger_is_better=False)] == [(1, 5), (2, 3), (4, 1)]
    # Of speeds the larger is better: what is slower has to lose less.
    assert [(point.x, point.y) for point in frontier(points, larger_is_better=True)] == [(5, 1)]
    slower = [Point(9, 5, "", "step"), Point(6, 4, "", "step"), Point(7, 6, "", "step")]
    assert [point.x for point in frontier(slower, larger_is_better=True)] == [6, 9]


def test_a_plot_shows_errors_and_the_frontier() -> None:
    plot = scatter([Point(1, 5, "a", "step", 0.5), Point(2, 3, "b", "recipe")], "x", "y", "")
    assert plot.count('class="error"') == 1 and plot.count('<polyline class="frontier"') == 1
    assert 'class="frontier"' not in scatter([Point(1, 5, "a", "step"), Point(2, 6, "b", "step")], "x", "y", "")


def test_one_sentence_says_what_to_take() -> None:
    recipe = {"name": "evaluate", "label": "this recipe", **RECIPE, "kld": 0.4, "kldError": 0.01}
    rival = {"name": "evaluate-baseline", "label": "baseline, same size", "type": "Q3_K_M", **BASELINE}
    small = {
        "name": "evaluate-baseline-speed",
        "label": "baseline, same speed",
        "type": "IQ4_XS",
        **BASELINE,
        "kld": 0.05,
    }
    assert recommendation([recipe]) == ""
    assert recommendation([recipe, rival]).startswith("Take the baseline, same size, Q3_K_M (93.5 MB) instead of")
    assert "IQ4_XS" in recommendation([recipe, rival, small]), "of several, the one that loses least"
    larger = {**rival, "fileBytes": recipe["fileBytes"] + 1}
    close = {**rival, "kld": 0.39, "kldError": 0.01}
    for other in (larger, close):
        assert recommendation([recipe, other]).startswith("Take this recipe's release")
    # Row by row the same difference is clear.
    assert "instead" in recommendation([recipe, close], {"evaluate-baseline": Estimate(0.01, 0.001)})


def asked(folder: Path, right: int, total: int = 90) -> Path:
    """Adds the answers of a model that gets the first so many questions right to its evaluation."""
    answers = [Answer("json", "easy", f"question {index}", "", index < right) for index in range(total)]
    save_answers(answers, folder / ANSWERS)
    manifest = json.loads((folder / "manifest.json").read_text())
    share = accuracy(answers)
    figures = {"questions": total, "accuracy": share.value, "accuracyError": share.error, "accuracyJson": share.value}
    manifest["metrics"] |= {**figures, "accuracyJsonError": share.error}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        (30, "Of 90 questions this recipe answers fewer: 33% against 67% right, apart by 33% ± 5.0%."),
        (57, "The 90 questions do not tell them apart: 63% against 67% right, apart by 3% ± 2.1%."),
        (75, "Of 90 questions this recipe answers more: 83% against 67% right, apart by 17% ± 4.0%."),
    ],
)
def test_questions_are_compared_pair_by_pair(
    right: int, sentence: str, stage: Any, make_spec: Any, tmp_path: Path
) -> None:
    inputs = {
        "evaluate-base": asked(stage("evaluate-base", BASE), 72),
        "evaluate": asked(stage("evaluate", RECIPE), right),
        "evaluate-baseline": asked(stage("evaluate-baseline", BASELINE), 60),
    }
    document, page = make_report(make_spec, tmp_path, inputs)
    assert document["verdicts"][0]["sentence"].endswith(f"against 93.5 MB). {sentence}")
    assert "questions" not in document["verdicts"][1]["sentence"], "of equal speed nothing was measured"
    base, recipe, _ = document["models"]
    assert recipe["accuracyChange"] == pytest.approx((right - 72) / 90, abs=1e-4) and recipe["accuracyChangeError"] > 0
    assert "accuracyChange" not in base and "<td>80% ± 4%</td>" in page and ">against base</th>" in page
    # Kinds that nobody was asked are no column.
    assert ">json</th>" in page and ">copying</th>" not in page


def test_other_questions_are_not_compared(stage: Any, make_spec: Any, tmp_path: Path) -> None:
    inputs = {
        "evaluate": asked(stage("evaluate", RECIPE), 30, 60),
        "evaluate-baseline": asked(stage("evaluate-baseline", BASELINE), 60),
    }
    document, page = make_report(make_spec, tmp_path, inputs)
    assert "question" not in document["verdicts"][0]["sentence"] and "Questions answered" in page
