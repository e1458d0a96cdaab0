import json
from pathlib import Path

import pytest
import yaml

from pipress.errors import StageError
from pipress.validation import SCHEMAS, check_document, check_params

RECIPES = sorted((SCHEMAS.parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_matches_the_schema_and_is_named_like_its_file(path: Path) -> None:
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    check_document("recipe", recipe, path.name)
    assert recipe["name"] == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_calibration_and_evaluation_come_from_different_files(path: Path) -> None:
    default = json.loads((SCHEMAS / "recipe.schema.json").read_text(encoding="utf-8"))["properties"]["datasets"][
        "default"
    ]
    texts = yaml.safe_load(path.read_text(encoding="utf-8")).get("datasets", default)
    assert not [text for text in texts["evaluation"] if text in texts["calibration"]]


def test_defaults_are_filled_in_at_every_depth() -> None:
    params = check_params("recover", {"tokens": 1024, "distillation": {"klWeight": 0.5}})
    assert params["rank"] == 16 and params["distillation"] == {
        "klWeight": 0.5,
        "temperature": 1,
        "vocabularyShare": 1,
    }


@pytest.mark.parametrize(
    ("stage", "params", "message"),
    [
        ("quantize", {"type": "Q4"}, "'Q4' is not one of"),
        ("quantize", {"type": "Q4_0", "objective": {"maxFileSize": "1 MB"}}, "exactly one of `type` and `objective`"),
        (
            "quantize",
            {"objective": {"maxFileSize": "1 MB", "quality": {"kld": 1}}},
            "objective: exactly one of `maxFileSize` and `quality`",
        ),
        ("quantize", {"objective": {"maxFileSize": "1 megabyte"}}, "'1 megabyte' does not match"),
        ("quantize", {"type": "Q4_0", "tensorTypes": {"attn_v": "Q9_0"}}, r"tensorTypes.attn_v: 'Q9_0' is not one of"),
        ("prune", {"pruningRatio": 1.5}, "pruningRatio: 1.5"),
        ("prune", {"pruningRatio": 0.1, "ratio": 1}, "'ratio' was unexpected"),
        ("fetch", {"source": {"huggingFace": {"repo": "a/b", "revision": "main"}}}, "'main' does not match"),
        ("fetch", {"source": {}}, "source"),
        ("evaluate", {"chunk": 3}, "'chunk' was unexpected"),
    ],
)
def test_wrong_parameters_are_refused_by_name(stage: str, params: dict, message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_params(stage, params)
