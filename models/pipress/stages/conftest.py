"""What tests of stages share: artifacts written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    """Writes a manifest, and what else is given, as the artifact of a stage; returns its folder."""

    def write(name: str, metrics: dict[str, Any], made_from: str = "", **documents: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        key = name.encode().hex().ljust(64, "0")[:64]
        manifest = {
            "key": key,
            "seconds": 65.4,
            "files": {"model.gguf": {"sha256": "0" * 64, "bytes": 1000}},
            "metrics": metrics,
            "inputs": {"model": made_from.encode().hex().ljust(64, "0")[:64]} if made_from else {},
        }
        for file, document in {"manifest": manifest, **documents}.items():
            (folder / f"{file}.json").write_text(json.dumps(document))
        return folder

    return write
