"""The benchmark's own parts: its random models load, its memory is what a process really takes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipress.bench.memory import PeakMemory
from pipress.errors import StageError

MEBIBYTE = 1 << 20
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
}


def test_memory_of_a_process_and_its_children_is_added_up_and_files_are_told_apart() -> None:
    take = "taken = bytearray(b'x') * (64 << 20); import subprocess, sys, time; "
    child = take + "time.sleep(1)"
    script = take + f"subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", script])
    with PeakMemory(process.pid) as memory:
        assert process.wait() == 0
    assert 128 * MEBIBYTE < memory.anonymous < 180 * MEBIBYTE
    assert memory.rss > memory.anonymous  # the interpreter itself is mapped


def test_a_widened_tokenizer_keeps_its_entries_and_gets_as_many_as_are_asked_for() -> None:
    from pipress.bench.random_model import widened

    metadata = {"tokenizer.ggml.tokens": ["a", "b"], "tokenizer.ggml.token_type": [1, 3], "other": 1}
    wide = widened(metadata, 4)
    assert wide["tokenizer.ggml.tokens"] == ["a", "b", "unused0", "unused1"]
    assert wide["tokenizer.ggml.token_type"] == [1, 3, 1, 1] and wide["other"] == 1
    with pytest.raises(StageError, match="has 2 entries, more than 1"):
        widened(metadata, 1)


def test_a_random_model_loads_whole_from_many_shards(tmp_path: Path, tiny_model: Path, monkeypatch: Any) -> None:
    import torch
    from transformers import AutoTokenizer

    from pipress.bench import random_model
    from pipress.weights.folder import load_model

    monkeypatch.setattr(random_model, "SHARD_BYTES", 100_000)
    monkeypatch.setattr(random_model, "GgufFile", lambda path: type("File", (), {"metadata": {}}))
    monkeypatch.setattr(random_model, "widened", lambda metadata, entries: metadata)
    monkeypatch.setattr(
        random_model,
        "build_tokenizer",
        lambda metadata: AutoTokenizer.from_pretrained(tiny_model, local_files_only=True),
    )
    random_model.write_random_model(CONFIG, tmp_path / "any.gguf", tmp_path / "model", lambda *_: None)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 2
    model = load_model(tmp_path / "model", torch.float32)
    assert 0.019 < model.lm_head.weight.std() < 0.021 and (model.model.norm.weight == 1).all()
