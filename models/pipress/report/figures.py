"""The figures of a recipe, collected from the manifests of its stages."""

from typing import Any

from pipress.evaluation.questions import KINDS

Manifest = dict[str, Any]

# What is measured, in the order in which the model goes through it, then what it is compared with.
LABELS = {
    "evaluate-base": "base",
    "evaluate-pruned": "pruned",
    "evaluate-recovered": "recovered",
    "evaluate": "this recipe",
    "evaluate-baseline": "baseline, same size",
    "evaluate-baseline-speed": "baseline, same speed",
    "evaluate-control": "unpruned, same training",
    "evaluate-ordinary": "same type, not quantization-aware",
}
MEASURED = (
    "fileBytes",
    "perplexity",
    "perplexityError",
    "kld",
    "kldError",
    "topAgreement",
    "repetition",
    "questions",
    *(f"accuracy{kind}{error}" for kind in ("", *map(str.capitalize, KINDS)) for error in ("", "Error")),
    "tokensPerSecondBuilder",
    "loadSeconds",
    "peakRssBytes",
    "smokeTestAnswer",
    "smokeTestMatches",
)


def stage_figures(manifests: dict[str, Manifest]) -> list[dict[str, Any]]:
    """Name, key, time at work and size of every stage, in the order of the plan."""
    return [
        {
            "name": name,
            "key": manifest["key"],
            "seconds": manifest["seconds"],
            "bytes": sum(file["bytes"] for file in manifest["files"].values()),
        }
        for name, manifest in manifests.items()
    ]


def model_figures(manifests: dict[str, Manifest], predicted: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What was measured of each model, and what was predicted of it.

    predicted: by name of the evaluation: type, fileBytes, memoryBytes, tokensPerSecond. A prediction for another type
    than the model turned out to be of is left out.
    """
    models = []
    for name, label in LABELS.items():
        if name not in manifests:
            continue
        metrics = manifests[name]["metrics"]
        kind = _type_of(manifests, name)
        model = {"name": name, "label": label, **({"type": kind} if kind else {})}
        model |= {key: metrics[key] for key in MEASURED if metrics.get(key) is not None}
        guess = predicted.get(name)
        if guess and (kind is None or kind.upper() in (guess["type"], "MIX")):
            model["predicted"] = {key: value for key, value in guess.items() if key != "type"}
        models.append(model)
    return models


def _type_of(manifests: dict[str, Manifest], evaluation: str) -> str | None:
    """The type that the evaluated model was converted or quantized to."""
    key = manifests[evaluation]["inputs"].get("model")
    made_by = next((manifest for manifest in manifests.values() if manifest["key"] == key), None)
    return made_by and made_by["metrics"].get("type")
