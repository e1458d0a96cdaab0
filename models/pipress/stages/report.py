"""report: what came of a recipe, as report.json and as one self-contained report.html."""

import json
from pathlib import Path

from pipress.atomic import read_json, write_json, write_text
from pipress.report.figures import model_figures, stage_figures
from pipress.report.page import render
from pipress.report.verdict import verdicts
from pipress.spec import Metrics, Spec
from pipress.validation import check_document
from pipress.weights.license import read_license

TOOLS = ()

# All that it reads of its inputs besides their manifests: artifacts of gigabytes need be neither here nor checked.
READS = ("loss.json", "license.json")


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Its inputs are all stages of the recipe, by their names in the plan and in its order."""
    models = model_figures(spec.manifests, spec.params["predicted"])
    report = {
        "recipe": spec.params["recipe"],
        "stages": stage_figures(spec.manifests),
        "models": models,
        "verdicts": verdicts(models, spec.params.get("fastestBaseline")),
    }
    if "recover" in inputs and (curve := read_json(inputs["recover"] / "loss.json")) is not None:
        report["recovery"] = {name: curve[name] for name in ("training", "validation")}
    if license := read_license(inputs["quantize"]) if "quantize" in inputs else {}:
        report["license"] = license
    # Not a number is no JSON, and no figure either.
    check_document("report", json.loads(json.dumps(report, allow_nan=False)), "the report")
    write_json(out / "report.json", report)
    write_text(out / "report.html", render(report))
    return {"verdict": " ".join(verdict["sentence"] for verdict in report["verdicts"])}
