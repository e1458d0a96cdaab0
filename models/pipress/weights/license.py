"""The base model's license, carried along with everything made from it."""

import json
from pathlib import Path
from typing import Any

# What the recipe says about the license, for the stages after fetch.
RECORD = "license.json"
CARRIED = ("LICENSE*", "USE_POLICY*", "NOTICE*", RECORD)


def write_license(license: dict[str, Any], folder: Path) -> None:
    """Writes NOTICE and license.json into a model folder; the license's own text came with the model.

    license: `base.license` of the recipe.
    """
    lines = [license["notice"].strip()]
    if "attribution" in license:
        lines.append(license["attribution"])
    (folder / "NOTICE").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    (folder / RECORD).write_text(json.dumps(license, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_license(folder: Path) -> dict[str, Any]:
    """What the recipe said about the license; empty where it said nothing."""
    path = folder / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def carry_license(source: Path, target: Path) -> None:
    """Copies license, use policy and notice from one artifact to the one made from it."""
    for pattern in CARRIED:
        for file in source.glob(pattern):
            (target / file.name).write_bytes(file.read_bytes())
