"""Which model wins at equal size, at equal predicted speed, and at equal training: in plain sentences."""

import math
from collections.abc import Mapping
from typing import Any

from pipress.evaluation.scores import Estimate
from pipress.units import format_bytes

Model = dict[str, Any]

# Differences of less than this many standard errors are chance as likely as not.
CLEAR = 2.0

QUESTIONS = {
    "evaluate-baseline": ("equal-size", "At equal size", "the unpruned model"),
    "evaluate-baseline-speed": ("equal-speed", "At equal predicted speed", "the unpruned model"),
    "evaluate-ordinary": ("awareness", "At equal type", "the model without quantization-aware recovery"),
}
# Asked only where the plan has the answer.
OPTIONAL = {"awareness"}


def verdicts(
    models: list[Model],
    fastest_unpruned: dict[str, Any] | None = None,
    differences: Mapping[str, Estimate] | None = None,
    answered: Mapping[str, Estimate] | None = None,
) -> list[dict[str, str]]:
    """One verdict for every baseline: question, winner (`recipe`, `baseline`, `undecided` or `unknown`), sentence.

    fastest_unpruned: type and predicted tokensPerSecond of the fastest that could be had without pruning.
    differences: by name of a baseline's evaluation, the result's KL divergence less the baseline's, on the same tokens.
    answered: likewise, the share of questions that the result answered right less the baseline's, on the same ones.
    """
    by_name = {model["name"]: model for model in models}
    recipe = by_name.get("evaluate")
    answers = []
    for name, (question, when, rival) in QUESTIONS.items():
        if question == "equal-speed" and name not in by_name and _outruns(recipe, fastest_unpruned):
            sentence = (
                f"{when}, this recipe has no rival: it is predicted at {_speed(recipe):.3g} tokens/s on a Pi 4, the "
                f"fastest unpruned model ({fastest_unpruned['type']}) at {fastest_unpruned['tokensPerSecond']:.3g}."
            )
            answers.append({"question": question, "winner": "recipe", "sentence": sentence})
            continue
        if recipe is None or name not in by_name:
            if question in OPTIONAL:
                continue
            sentence = f"{when}: not compared with {rival}, so that this report does not say that pruning pays."
            answers.append({"question": question, "winner": "unknown", "sentence": sentence})
            continue
        winner, how = compare(recipe, by_name[name], (differences or {}).get(name))
        who = {"recipe": "this recipe wins", "baseline": f"{rival} wins", "undecided": "neither is clearly better"}
        sizes = f"{_described(recipe)} against {_described(by_name[name])}"
        sentence = f"{when}, {who[winner]}: {how} ({sizes})."
        if answered and name in answered:
            sentence += f" {by_questions(recipe, by_name[name], answered[name])}"
        answers.append({"question": question, "winner": winner, "sentence": sentence})
    return answers


def recommendation(models: list[Model], differences: Mapping[str, Estimate] | None = None) -> str:
    """Which of the measured files to take, in one sentence; empty where there is but one.

    The recipe's release, unless a baseline that is no larger clearly loses less; of several, the one that loses least.
    """
    by_name = {model["name"]: model for model in models}
    recipe = by_name.pop("evaluate", None)
    rivals = [by_name[name] for name in QUESTIONS if name in by_name]
    if recipe is None or not rivals:
        return ""
    better = [
        rival
        for rival in rivals
        if rival["fileBytes"] <= recipe["fileBytes"]
        and compare(recipe, rival, (differences or {}).get(rival["name"]))[0] == "baseline"
    ]
    if not better:
        return "Take this recipe's release: nothing that was measured and is no larger loses clearly less."
    best = min(better, key=lambda rival: rival.get("kld", rival["perplexity"]))
    kind = f", {best['type']}" if "type" in best else ""
    return (
        f"Take the {best['label']}{kind} ({format_bytes(best['fileBytes'])}) instead of this recipe's release: it is "
        "no larger and loses less."
    )


def compare(recipe: Model, baseline: Model, difference: Estimate | None = None) -> tuple[str, str]:
    """The winner, and the figures that say so.

    By KL divergence from the base model where both have it, else by perplexity; lower is better. Both models read the
    same text, so that their errors go together: the error that counts is that of their difference row by row. Without
    it, what is clear by the root of the errors' squares is clear indeed.
    """
    measure, name = ("kld", "KL divergence") if "kld" in recipe and "kld" in baseline else ("perplexity", "perplexity")
    mine, other = recipe[measure], baseline[measure]
    error = math.hypot(recipe.get(f"{measure}Error", 0), baseline.get(f"{measure}Error", 0))
    how = f"{name} {mine:.4g} ± {recipe.get(f'{measure}Error', 0):.2g} against {other:.4g} ± "
    how += f"{baseline.get(f'{measure}Error', 0):.2g}"
    if difference is not None:
        error = difference.error
        how += f", apart by {abs(difference.value):.3g} ± {error:.2g}"
    if abs(mine - other) < CLEAR * error:
        return "undecided", how
    return ("recipe" if mine < other else "baseline"), how


def by_questions(recipe: Model, baseline: Model, difference: Estimate) -> str:
    """What the questions say of two models, in one sentence: which answers more, where that is clear."""
    shares = f"{recipe['accuracy']:.0%} against {baseline['accuracy']:.0%} right"
    apart = f"apart by {abs(difference.value):.0%} ± {difference.error:.1%}"
    if abs(difference.value) <= CLEAR * difference.error:
        return f"The {recipe['questions']} questions do not tell them apart: {shares}, {apart}."
    more = "more" if difference.value > 0 else "fewer"
    return f"Of {recipe['questions']} questions this recipe answers {more}: {shares}, {apart}."


def _outruns(recipe: Model | None, fastest: dict[str, Any] | None) -> bool:
    speed = recipe and _speed(recipe)
    return bool(speed and fastest and speed > fastest["tokensPerSecond"])


def _speed(model: Model) -> float | None:
    return model.get("predicted", {}).get("tokensPerSecond")


def _described(model: Model) -> str:
    speed = _speed(model)
    size = format_bytes(model["fileBytes"])
    return size if speed is None else f"{size}, about {speed:.3g} tokens/s on a Pi 4"
