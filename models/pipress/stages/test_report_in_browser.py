"""The report as a reader has it: on a phone's screen and on a desktop's, drawn by a real browser."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipress.evaluation.questions import KINDS
from pipress.stages import report
from pipress.testing.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; install the package chromium")

SCREENS = {"phone": (390, 844, True), "small phone": (360, 640, True), "desktop": (1280, 900, False)}
# Smaller text is not read on a phone without zooming.
SMALLEST_TEXT = 12.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


# A run of models/recipes/smollm2-135m.yaml: made by, type, bytes, perplexity, KL divergence, predicted tokens/s.
MODELS = {
    "evaluate-base": ("convert-base", "F16", 270_885_888, 24.32, None, 11.3),
    "evaluate-pruned": ("convert-pruned", "F16", 243_909_000, 39.35, 0.548, 12.6),
    "evaluate-recovered": ("convert", "F16", 243_909_000, 36.21, 0.445, 12.6),
    "evaluate": ("quantize", "Q4_K_M", 96_351_296, 38.18, 0.484, 26.0),
    "evaluate-baseline": ("baseline", "Q3_K_M", 93_500_000, 26.57, 0.089, 25.2),
    "evaluate-baseline-speed": ("baseline-speed", "IQ4_XS", 90_900_000, 25.57, 0.094, 27.1),
}


@pytest.fixture
def page(stage: Any, make_spec: Any, tmp_path: Path) -> Path:
    """The report of that run, by the stage's own code."""
    steps = range(0, 40)
    curve = {
        "training": [{"step": step, "kl": 0.6 - 0.004 * step, "crossEntropy": 4.0} for step in steps],
        "validation": [
            {"step": step, "tokens": 1024 * step, "kl": 0.58 - 0.003 * step, "crossEntropy": 4.0, "rows": [0.5]}
            for step in (0, 13, 26, 39)
        ],
    }
    license = {"id": "apache-2.0", "notice": "SmolLM2 is licensed under the Apache License 2.0.", "attribution": "–"}
    inputs, predicted = {"recover": stage("recover", {}, loss=curve)}, {}
    for name, (made_by, kind, size, perplexity, kld, speed) in MODELS.items():
        inputs[made_by] = stage(made_by, {"type": kind}, license=license)
        divergence = {} if kld is None else {"kld": kld, "kldError": 0.05 * kld, "topAgreement": 1 - kld}
        metrics = {
            **{"fileBytes": size, "perplexity": perplexity, "perplexityError": 1.7, **divergence},
            **{"peakRssBytes": 1.4 * size, "loadSeconds": 0.8, "tokensPerSecondBuilder": 41.2},
            **{"questions": 45, "accuracy": 0.4, "accuracyError": 0.07},
            **{f"accuracy{kind.capitalize()}": 0.4 for kind in KINDS},
            **{"smokeTestAnswer": "The capital of France is Paris, the largest city.", "smokeTestMatches": True},
        }
        inputs[name] = stage(name, metrics, made_by)
        predicted[name] = {"type": kind, "fileBytes": size, "memoryBytes": 2 * size, "tokensPerSecond": speed}
    manifests = {name: json.loads((folder / "manifest.json").read_text()) for name, folder in inputs.items()}
    spec = make_spec("report", recipe="smollm2-135m", predicted=predicted)
    report.run(replace(spec, manifests=manifests), inputs, tmp_path)
    return tmp_path / "report.html"


MEASURE = """(() => {
  const shown = element => element.getClientRects().length > 0;
  const box = element => element.getBoundingClientRect().toJSON();
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (text === "" || !shown(parent)) continue;
    const scale = parent instanceof SVGElement ? parent.getScreenCTM().a : 1;
    texts.push([text, scale * parseFloat(getComputedStyle(parent).fontSize)]);
  }
  const outside = [...document.querySelectorAll("main *")]
    .filter(element => !element.parentElement.closest(".scroll") && shown(element))
    .filter(element => box(element).right > innerWidth + 0.5 || box(element).left < -0.5)
    .map(element => element.outerHTML.slice(0, 120));
  const plots = [...document.querySelectorAll("svg")].map(plot => ({
    ...box(plot),
    about: plot.getAttribute("aria-label"),
    marks: [...plot.querySelectorAll("circle, polyline")].filter(shown).length,
    frontier: [...plot.querySelectorAll(".frontier")]
      .filter(line => getComputedStyle(line).stroke !== "none" && box(line).width > 10).length,
    dots: [...plot.querySelectorAll("circle")].map(box),
    labels: [...plot.querySelectorAll("text")]
      .map(label => [label.textContent, label.getAttribute("class"), box(label)]),
  }));
  return {
    width: innerWidth, height: innerHeight, scrollWidth: document.documentElement.scrollWidth,
    texts, outside, plots, recommendation: box(document.querySelector(".recommendation")),
  };
})()"""


@pytest.mark.parametrize("screen", SCREENS)
def test_the_report_is_readable(screen: str, browser: Browser, page: Path) -> None:
    width, height, mobile = SCREENS[screen]
    browser.open(page.as_uri(), width, height, mobile)
    # A phone lays out a wider page on a wider screen than its own, in smaller print.
    seen = browser.evaluate(MEASURE)
    assert (seen["width"], seen["height"]) == (width, height), "as wide as the screen, so not zoomed out"
    assert seen["scrollWidth"] <= width and seen["outside"] == []
    assert [(text, size) for text, size in seen["texts"] if size < SMALLEST_TEXT] == []
    assert browser.errors() == []

    assert [plot["about"] for plot in seen["plots"]] == [
        "KL divergence against file size",
        "KL divergence against predicted speed",
        "Loss of recovery",
    ]
    for plot in seen["plots"]:
        assert 250 < plot["width"] <= width and 150 < plot["height"] <= height, "all of it on the screen at once"
        assert plot["marks"] > 0
    assert [plot["frontier"] for plot in seen["plots"]] == [1, 1, 0]

    assert "Take the baseline, same size, Q3_K_M (93.5 MB) instead" in seen["texts"][1][0]
    assert seen["recommendation"]["bottom"] < height, "seen without scrolling"


@pytest.mark.parametrize("screen", SCREENS)
def test_every_label_of_a_plot_is_read(screen: str, browser: Browser, page: Path) -> None:
    browser.open(page.as_uri(), *SCREENS[screen])
    for plot in browser.evaluate(MEASURE)["plots"]:
        for text, _, box in plot["labels"]:
            assert plot["left"] - 0.5 <= box["left"] and box["right"] <= plot["right"] + 0.5, f"{text} is cut off"
            assert plot["top"] - 0.5 <= box["top"] and box["bottom"] <= plot["bottom"] + 0.5, f"{text} is cut off"
        dots = [("a dot", box) for box in plot["dots"]]
        names = [(text, box) for text, kind, box in plot["labels"] if kind == "label"]
        for index, (text, box) in enumerate(names):
            for other, beside in names[index + 1 :] + dots:
                across = min(box["right"], beside["right"]) - max(box["left"], beside["left"])
                down = min(box["bottom"], beside["bottom"]) - max(box["top"], beside["top"])
                assert min(across, down) < 3, f"{text} lies on {other}"
