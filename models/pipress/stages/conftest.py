"""What tests of stages share: artifacts written by hand, and a tiny model that is served chats."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def chatty(tiny_llama_2: Path, tmp_path: Path) -> Path:
    """A model with a chat template and a token that begins every text."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama_2, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    return folder


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
