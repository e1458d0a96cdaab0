"""report: what came of a recipe, as report.json and as one self-contained report.html."""

import json
from pathlib import Path

from pipress.atomic import read_json, write_json, write_text
from pipress.evaluation.accuracy import ANSWERS, Answer, load_answers, paired_difference
from pipress.evaluation.scores import SCORES, Estimate, load_scores, mean_of_rows
from pipress.report.figures import model_figures, stage_figures
from pipress.report.learning_curve import describe_flattening
from pipress.report.page import render
from pipress.report.verdict import recommendation, verdicts
from pipress.spec import Metrics, Spec
from pipress.validation import check_document
from pipress.weights.license import read_license

TOOLS = ()

# All that it reads of its inputs besides their manifests: artifacts of gigabytes need be neither here nor checked.
READS = ("loss.json", "license.json", SCORES, ANSWERS)


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Its inputs are all stages of the recipe, by their names in the plan and in its order."""
    differences = _differences(inputs)
    answers = {
        name: load_answers(folder / ANSWERS)
        for name, folder in inputs.items()
        if name.startswith("evaluate") and (folder / ANSWERS).is_file()
    }
    models = model_figures(spec.manifests, spec.params["predicted"])
    for name, apart in _answered(answers, "evaluate-base").items():
        model = next(model for model in models if model["name"] == name)
        model |= {"accuracyChange": round(-apart.value, 4), "accuracyChangeError": round(apart.error, 4)}
    report = {
        "recipe": spec.params["recipe"],
        "stages": stage_figures(spec.manifests),
        "models": models,
        "recommendation": recommendation(models, differences),
        "verdicts": verdicts(models, spec.params.get("fastestBaseline"), differences, _answered(answers, "evaluate")),
    }
    if "recover" in inputs and (curve := read_json(inputs["recover"] / "loss.json")) is not None:
        looks = [{name: look[name] for name in look if name != "rows"} for look in curve["validation"]]
        report["recovery"] = {"training": curve["training"], "validation": looks}
        if flattening := describe_flattening(curve["validation"]):
            report["recovery"]["flattening"] = flattening
    if license := read_license(inputs["quantize"]) if "quantize" in inputs else {}:
        report["license"] = license
    # Not a number is no JSON, and no figure either.
    check_document("report", json.loads(json.dumps(report, allow_nan=False)), "the report")
    write_json(out / "report.json", report)
    write_text(out / "report.html", render(report))
    sentences = [report["recommendation"], *(verdict["sentence"] for verdict in report["verdicts"])]
    return {"verdict": " ".join(filter(None, sentences))}


def _differences(inputs: dict[str, Path]) -> dict[str, Estimate]:
    """By how much the result's KL divergence lies above each other model's, row by row: nats per token, by its name."""
    divergences = {}
    for name, folder in inputs.items():
        if name.startswith("evaluate") and (folder / SCORES).is_file():
            scores = load_scores(folder / SCORES)
            if scores.kld is not None:
                divergences[name] = scores.kld
    own = divergences.pop("evaluate", None)
    if own is None:
        return {}
    return {name: mean_of_rows(own - other) for name, other in divergences.items() if other.shape == own.shape}


def _answered(answers: dict[str, list[Answer]], own: str) -> dict[str, Estimate]:
    """By how much the share of questions that one model answered right lies above each other's, by its evaluation."""
    pairs = {name: paired_difference(answers.get(own, []), other) for name, other in answers.items() if name != own}
    return {name: difference for name, difference in pairs.items() if difference is not None}
