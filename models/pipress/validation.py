"""Checks documents against the JSON Schemas in `models/schemas`, the same that the TypeScript side uses."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from pipress.errors import StageError

SCHEMAS = Path(__file__).parent.parent / "schemas"

# The part of the recipe schema that describes each stage's parameters.
STAGE_PARAMS = {
    "fetch-gguf": "fetch-gguf",
    "fetch-dataset": "datasets",
    "add-chats": "chats",
    "prune": "prune",
    "awq": "awq",
    "convert": "convert",
    "imatrix": "imatrix",
    "quantize": "quantize",
    "baseline": "baseline",
    "report": "report",
    "system-prompt": "system-prompt",
}
# Stages that the plan tells another part of the recipe too: an evaluation runs the smoke test, recovery may know how
# the release will be quantized.
MORE_PARAMS = {"evaluate": "smokeTest", "recover": "quantize"}


def check_document(name: str, document: Any, what: str) -> None:
    """Raises StageError with every problem when `document` does not match `<name>.schema.json`."""
    _check(_schema(name), document, what)


def check_params(stage: str, params: dict[str, Any]) -> dict[str, Any]:
    """Checks a stage's parameters against its part of the recipe schema.

    Returns them with the schema's defaults filled in, as the TypeScript side fills them in before it makes keys.
    """
    definitions = _schema("recipe")["$defs"]
    if stage == "fetch":
        parts = definitions["base"]["properties"]
    elif stage in MORE_PARAMS:
        definition, more = definitions[stage], MORE_PARAMS[stage]
        parts = {**definition["properties"], more: {"$ref": f"#/$defs/{more}"}}
        return _checked({**definition, "properties": parts}, definitions, params, stage)
    else:
        definition = definitions[STAGE_PARAMS[stage]]
        return _checked(definition, definitions, params, stage)
    whole = {"type": "object", "additionalProperties": False, "properties": parts}
    if stage == "fetch":
        whole["required"] = ["source"]
    return _checked(whole, definitions, params, stage)


def _checked(definition: dict[str, Any], definitions: Any, params: Any, stage: str) -> Any:
    _check({**definition, "$defs": definitions}, params, f"the parameters of {stage}")
    return with_defaults(definition, definitions, params)


def with_defaults(schema: dict[str, Any], definitions: dict[str, Any], value: Any) -> Any:
    """`value` with the schema's defaults filled in where it says nothing."""
    if "$ref" in schema:
        return with_defaults(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, value)
    if isinstance(value, list):
        return [with_defaults(schema.get("items", {}), definitions, item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for key, part in schema.get("properties", {}).items():
        if key not in filled and "default" in part:
            filled[key] = part["default"]
        if key in filled:
            filled[key] = with_defaults(part, definitions, filled[key])
    return filled


def _check(schema: dict[str, Any], document: Any, what: str) -> None:
    problems = [
        f"{'.'.join(map(str, error.absolute_path)) or what}: {_message(error)}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]
    if problems:
        raise StageError(f"{what} do not match the schema: " + "; ".join(problems), "fix the recipe")


def _message(error: ValidationError) -> str:
    """What is wrong. Alternatives say in `$comment` what they want: the library only prints the whole document."""
    alternatives = error.validator == "oneOf" and isinstance(error.schema, dict)
    return error.schema.get("$comment", error.message) if alternatives else error.message


@cache
def _schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
