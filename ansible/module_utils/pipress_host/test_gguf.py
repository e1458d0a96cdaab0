"""The reader against files that llama.cpp's own package writes."""

from __future__ import annotations

import re

import gguf
import numpy as np
import pytest

from pipress_host.errors import HostError
from pipress_host.gguf import FILE_TYPES, TYPES, describe_model, size_text


def write(path, *, tied):
    """A model of two layers whose attention is narrower than its rows."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_size_label("1.2M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([0.0, 1.0, 2.0])
    quantized = gguf.quants.quantize(np.ones((96, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    for layer in range(2):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(64, np.float32))
        query = np.ones((32, 64), np.float16)
        writer.add_tensor(f"blk.{layer}.attn_q.weight", query)
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("token_embd.weight", np.ones((3, 64), np.float32))
    if not tied:
        writer.add_tensor("output.weight", np.ones((3, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_model_tells_what_its_speed_depends_on(tmp_path):
    path = write(tmp_path / "model.gguf", tied=False)
    assert describe_model(path) == {
        "name": "llama 1.2M",
        "type": "Q8_0",
        "parameters": 2 * (64 + 32 * 64 + 96 * 64) + 2 * 3 * 64,
        "fileBytes": path.stat().st_size,
        "layers": 2,
        "attentionWidth": 32,
        "blocks": {"F16": 2 * 32 * 64, "Q8_0": 2 * 96 * 64},
        "output": {"F16": 3 * 64},
    }


def test_a_model_without_a_label_has_the_size_of_its_parameters():
    assert [size_text(parameters) for parameters in (134_515_008, 8_030_261_312)] == ["135M", "8.0B"]


def test_an_embedding_may_be_the_output_matrix(tmp_path):
    assert describe_model(write(tmp_path / "model.gguf", tied=True))["output"] == {"F32": 3 * 64}


@pytest.mark.parametrize("content", [b"", b"no GGUF at all", b"GGUF\3\0\0\0\1"])
def test_what_is_no_model_is_a_mistake_with_a_remedy(tmp_path, content):
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(HostError, match="cannot be read as a GGUF: .* — roll it out again"):
        describe_model(tmp_path / "model.gguf")


def test_the_numbers_of_types_are_llama_cpps():
    # The package may be older than the pinned build, and not know its latest.
    names = {entry.value: entry.name for entry in gguf.GGMLQuantizationType}
    assert {number: names.get(number, name) for number, name in TYPES.items()} == TYPES
    names = {entry.value: re.sub("^(MOSTLY|ALL)_", "", entry.name) for entry in gguf.LlamaFileType}
    assert {number: names.get(number, name) for number, name in FILE_TYPES.items()} == FILE_TYPES
