"""report.html: one file that shows what came of a recipe, on a phone as well as on a desktop, by day and by night."""

from html import escape
from typing import Any

from pipress.evaluation.questions import KINDS as QUESTION_KINDS
from pipress.report.plots import Point, curves, scatter, thinned
from pipress.report.style import STYLE
from pipress.units import format_bytes, format_duration

Report = dict[str, Any]

KINDS = {"evaluate": "recipe", "evaluate-baseline": "baseline", "evaluate-baseline-speed": "baseline"}
NOTHING = '<span class="none">–</span>'


def render(report: Report) -> str:
    """The page for a report.json. Every text from outside is escaped."""
    sections = [
        f'<p class="recommendation">{escape(report["recommendation"])}</p>\n' if report["recommendation"] else "",
        _verdicts(report),
        _section("Models", _models(report["models"]) + _answers(report["models"])),
        _section("Questions answered", _questions(report["models"])),
        _section("Quality against size and speed", _plots(report["models"])),
        _section("Recovery", _loss_curve(report["recovery"])) if "recovery" in report else "",
        _section("Stages", _stages(report["stages"])),
        _license(report.get("license", {})),
    ]
    title = escape(report["recipe"])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title} – report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n" if body else ""


def _verdicts(report: Report) -> str:
    lines = [
        f'<p class="verdict {escape(verdict["winner"])}">{escape(verdict["sentence"])}</p>\n'
        for verdict in report["verdicts"]
    ]
    return "".join(lines)


def _models(models: list[Report]) -> str:
    base = next((model for model in models if model["name"] == "evaluate-base"), {})
    columns = [
        ("file", lambda m: format_bytes(m["fileBytes"])),
        ("perplexity", lambda m: _with_error(m, "perplexity", ".2f")),
        ("KL divergence", lambda m: _with_error(m, "kld", ".4f")),
        ("same top token", lambda m: f"{m['topAgreement']:.1%}"),
        ("of base", lambda m: f"{m['fileBytes'] / base['fileBytes']:.0%}"),
        ("memory, builder", lambda m: format_bytes(m["peakRssBytes"])),
        ("load, builder", lambda m: f"{m['loadSeconds']:.1f} s"),
        ("tokens/s, builder", lambda m: f"{m['tokensPerSecondBuilder']:.1f}"),
        ("tokens/s, Pi 4, predicted", lambda m: f"{m['predicted']['tokensPerSecond']:.3g}"),
        ("memory, host, predicted", lambda m: format_bytes(m["predicted"]["memoryBytes"])),
    ]
    return _figures(models, columns)


def _questions(models: list[Report]) -> str:
    """Shares of questions answered right. Of small shares the errors are wide: they are told with each."""
    asked = [model for model in models if "accuracy" in model]
    if not asked:
        return ""
    kinds = [(kind, f"accuracy{kind.capitalize()}") for kind in QUESTION_KINDS]
    columns = [
        ("all", lambda m: _share(m, "accuracy")),
        ("against base", lambda m: _share(m, "accuracyChange", "+")),
        *((kind, lambda m, measure=measure: _share(m, measure)) for kind, measure in kinds),
    ]
    words = (
        f"Share right of {asked[0]['questions']} questions, and its standard error. Against base: question by question."
    )
    return _figures(asked, columns) + f"<p><small>{words}</small></p>\n"


def _share(model: Report, measure: str, sign: str = "") -> str:
    return f"{model[measure]:{sign}.0%} ± {model[f'{measure}Error']:.0%}"


def _figures(models: list[Report], columns: list[tuple[str, Any]]) -> str:
    """A row for every model. columns: title, and what makes a cell of a model."""
    rows = [[_cell(value, model) for _, value in columns] for model in models]
    # A column that nobody has a figure for says nothing.
    used = [index for index in range(len(columns)) if any(row[index] != NOTHING for row in rows)]
    names = [
        escape(model["label"]) + (f"<small>{escape(model['type'])}</small>" if "type" in model else "")
        for model in models
    ]
    return _table(
        ["model", *(columns[index][0] for index in used)],
        [[name, *(row[index] for index in used)] for name, row in zip(names, rows, strict=True)],
    )


def _cell(value: Any, model: Report) -> str:
    try:
        return escape(value(model))
    except KeyError:
        return NOTHING


def _with_error(model: Report, measure: str, form: str) -> str:
    error = f" ± {model[f'{measure}Error']:{form}}" if f"{measure}Error" in model else ""
    return f"{model[measure]:{form}}{error}"


def _answers(models: list[Report]) -> str:
    rows = []
    for model in models:
        if "smokeTestAnswer" in model:
            verdict = "as expected" if model.get("smokeTestMatches") else "not as expected"
            rows.append(f"<dt>{escape(model['label'])}, {verdict}</dt><dd>{escape(model['smokeTestAnswer'])}</dd>\n")
    return (
        f"<details><summary>Answers to the smoke test</summary>\n<dl>\n{''.join(rows)}</dl></details>\n" if rows else ""
    )


def _plots(models: list[Report]) -> str:
    # Of the divergence from the base the base has none; without one, there is nothing but perplexity.
    measure, name = (
        ("kld", "KL divergence") if any("kld" in model for model in models) else ("perplexity", "perplexity")
    )

    def point(model: Report, x: float) -> Point:
        return Point(x, model.get(measure, 0), model["label"], _kind(model), model.get(f"{measure}Error", 0))

    by_size = [point(model, model["fileBytes"] / 1e6) for model in models]
    by_speed = [point(model, model["predicted"]["tokensPerSecond"]) for model in models if "predicted" in model]
    y_title, plots = f"{name}, lower is better", []
    if len(by_size) > 1:
        plots.append(scatter(by_size, "file, MB", y_title, f"{name} against file size"))
    if len(by_speed) > 1:
        title = "tokens/s on a Pi 4, predicted"
        plots.append(scatter(by_speed, title, y_title, f"{name} against predicted speed", larger_is_better=True))
    if not plots:
        return ""
    words = "Bars: two standard errors up and down. Dashed: the best of each size, or of each speed."
    caption = f"<figcaption>{words}</figcaption>"
    figures = "".join(f"<figure>{plot}{caption}</figure>" for plot in plots)
    return f'<div class="plots">{figures}</div>\n'


def _kind(model: Report) -> str:
    return KINDS.get(model["name"], "step")


def _loss_curve(recovery: Report) -> str:
    looks = recovery["validation"]
    scale = looks[-1]["tokens"] / max(looks[-1]["step"], 1) / 1000
    training = thinned([(entry["step"] * scale, entry["kl"]) for entry in recovery["training"]])
    held_back = [(look["step"] * scale, look["kl"]) for look in looks]
    lines = [line for line in (("training", training), ("validation", held_back)) if line[1]]
    if not lines:
        return ""
    y_title = "KL divergence from the teacher, nats per token"
    plot = curves(lines, "tokens trained on, thousands", y_title, "Loss of recovery")
    words = "Thin: training. Thick: held-back text, which recovery does not train on."
    flattening = f"<p>{escape(recovery['flattening'])}</p>\n" if "flattening" in recovery else ""
    return f'<div class="plots"><figure>{plot}<figcaption>{words}</figcaption></figure></div>\n{flattening}'


def _stages(stages: list[Report]) -> str:
    rows = [
        [
            escape(stage["name"]),
            format_duration(stage["seconds"]),
            format_bytes(stage["bytes"]),
            f"<code>{escape(stage['key'][:12])}</code>",
        ]
        for stage in stages
    ]
    total = [
        "all",
        format_duration(sum(stage["seconds"] for stage in stages)),
        format_bytes(sum(s["bytes"] for s in stages)),
        "",
    ]
    return _table(["stage", "took", "artifact", "key"], [*rows, total])


def _license(license: dict[str, str]) -> str:
    lines = [license[name] for name in ("attribution", "notice") if name in license]
    return f"<footer>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</footer>\n" if lines else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Cells are HTML already. On a narrow screen the table scrolls by itself, the page does not."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>\n' for row in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'
