"""Data sets that are files of this machine, looked at before anything runs."""

from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.sources.local import open_local
from pipress.texts.conversations import check_count, what_is_said
from pipress.texts.reading import read_documents


def local_problems(datasets: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What is wrong with each: that it is not there, or another than the recipe means, or holds no conversations.

    datasets: each with `dataset`, a `local` one of a recipe, `use` (`calibration` or `evaluation`), and `where`, its
    place in the recipe, which comes back with its problem.
    """
    problems = []
    for entry in datasets:
        try:
            _check(open_local(entry["dataset"]["local"]), entry["dataset"]["format"], entry["use"])
        except StageError as error:
            problems.append({"where": entry["where"], "what": error.what, "remedy": error.remedy})
    return problems


def _check(path: Path, text_format: str, use: str) -> None:
    if text_format == "chat":
        found = {what_is_said(text) for text in read_documents(path, text_format)}
        if use == "calibration":
            check_count(len(found), path.name)
