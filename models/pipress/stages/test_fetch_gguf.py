"""Models that are ready: each is loaded and asked before a host gets it, or refused with the reason. Real llama.cpp."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import EXPERTS, FFN, HEADS, HIDDEN, KV_HEADS, LAYERS, USED, write_bert, write_qwen
from pipress.digests import tree_sha256
from pipress.errors import StageError
from pipress.spec import Metrics
from pipress.stages import fetch_gguf
from pipress.validation import check_params
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.gguf_shape import read_gguf_shape

TALKS = {"prompt": "Hello", "expect": ".", "maxTokens": 8}


@pytest.fixture
def fetched(real_spec: Any, tmp_path: Path) -> Callable[..., tuple[Path, Metrics]]:
    """Runs the stage on a GGUF of this machine; returns the folder it made, and its metrics."""

    def run(path: Path, smoke_test: dict[str, Any] = TALKS, **more: Any) -> tuple[Path, Metrics]:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        source = {"local": {"path": str(path), "sha256": tree_sha256(path)}}
        params = check_params("fetch-gguf", {"source": source, "smokeTest": smoke_test, **more})
        return out, fetch_gguf.run(real_spec("fetch-gguf", **params), {}, out)

    return run


def test_another_architecture_than_llama_is_loaded_asked_and_measured(fetched: Any, tmp_path: Path) -> None:
    path = write_qwen(tmp_path / "qwen.gguf", "qwen2")
    out, metrics = fetched(path)
    assert (out / "model.gguf").read_bytes() == path.read_bytes() and metrics["fileBytes"] == path.stat().st_size
    assert metrics["architecture"] == "qwen2" and metrics["type"] == "F16" and metrics["answer"]
    attention = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * HIDDEN // HEADS * KV_HEADS
    assert metrics["blocks"] == f"F16={LAYERS * (attention + 3 * FFN * HIDDEN)}"
    assert metrics["output"] == f"F16={metrics['vocabulary'] * HIDDEN}" and metrics["tied"] is True
    sizes = ("layers", "heads", "kvHeads", "headDim", "trainedContext")
    assert [metrics[name] for name in sizes] == [LAYERS, HEADS, KV_HEADS, HIDDEN // HEADS, 4096]


def test_of_experts_those_count_that_a_token_takes(fetched: Any, tmp_path: Path) -> None:
    path = write_qwen(tmp_path / "experts.gguf", "qwen3moe")
    _, metrics = fetched(path)
    one_layer = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * HIDDEN // HEADS * KV_HEADS + EXPERTS * HIDDEN
    one_layer += 3 * FFN * HIDDEN * USED
    # The router's matrix is F16 here, as everything is.
    assert metrics["blocks"] == f"F16={LAYERS * one_layer}"
    assert metrics["parameters"] > LAYERS * 3 * FFN * HIDDEN * EXPERTS


def test_layers_that_differ_count_in_the_mean(tiny_gguf: Path) -> None:
    file = GgufFile(tiny_gguf / "model.gguf")
    file.metadata["llama.attention.head_count_kv"] = [0, 4]
    file.metadata["llama.attention.key_length"] = 48
    file.metadata["llama.attention.value_length"] = 16
    shape = read_gguf_shape(file)
    assert (shape["kvHeads"], shape["headDim"]) == (2, 32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"junk" + data[4:], "is no GGUF — name a .gguf file"),
        (lambda data: data[:-4000], r"it ends inside the tensor .* cut off or damaged"),
        (lambda data: data.replace(b"qwen2", b"llamb"), "unknown model architecture"),
        (lambda data: data.replace(b"blk.1.attn_q.weight", b"blk.1.attn_Q.weight"), "attn_q.weight"),
    ],
)
def test_a_broken_one_is_refused_with_the_reason(fetched: Any, tmp_path: Path, spoil: Any, message: str) -> None:
    path = write_qwen(tmp_path / "whole.gguf", "qwen2")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StageError, match=message):
        fetched(broken)


def test_one_part_of_several_is_refused(fetched: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="one of 3 parts of a GGUF — put them together"):
        fetched(write_qwen(tmp_path / "part.gguf", "qwen2", **{"split.count": 3}))


def test_one_that_answers_something_else_is_refused(fetched: Any, tmp_path: Path) -> None:
    path = write_qwen(tmp_path / "qwen.gguf", "qwen2")
    with pytest.raises(StageError, match=r"answers 'Hello' with .*, which does not match /no model says this/"):
        fetched(path, {**TALKS, "expect": "no model says this"})


def test_an_embedding_model_is_known_by_its_header_and_gives_a_vector(fetched: Any, tmp_path: Path) -> None:
    _, metrics = fetched(write_bert(tmp_path / "bert.gguf"))
    vector = [float(value) for value in metrics["vector"].split()]
    assert len(vector) == HIDDEN and math.isclose(math.hypot(*vector), 1, rel_tol=0.01)
    assert metrics["pooling"] == "mean" and "answer" not in metrics
    assert metrics["kvHeads"] == 0, "it keeps no keys and values"
    assert metrics["blocks"] == f"F16={LAYERS * (4 * HIDDEN * HIDDEN + 2 * FFN * HIDDEN)}"


def test_a_model_of_a_known_architecture_that_pools_embeds(fetched: Any, tmp_path: Path) -> None:
    _, metrics = fetched(write_qwen(tmp_path / "embeds.gguf", "qwen2", **{"qwen2.pooling_type": 3}))
    assert (metrics["pooling"], metrics["kvHeads"]) == ("last", KV_HEADS)


def test_what_the_header_does_not_say_can_be_told(fetched: Any, tmp_path: Path) -> None:
    silent = write_bert(tmp_path / "silent.gguf", pooling=None)
    with pytest.raises(StageError, match=r"is an embedding model, but does not say how .* set `pooling`"):
        fetched(silent)
    first, mean = (fetched(silent, pooling=pooling)[1]["vector"] for pooling in ("cls", "mean"))
    assert first != mean


def test_a_reranker_is_refused(fetched: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="is a reranker"):
        fetched(write_bert(tmp_path / "ranks.gguf", pooling=4))


def test_an_embedding_model_without_a_direction_is_refused(fetched: Any, tmp_path: Path) -> None:
    path = write_bert(tmp_path / "bert.gguf")
    file = GgufFile(path)
    spoiled = bytearray(path.read_bytes())
    tensor = file.tensors[f"blk.{LAYERS - 1}.layer_output_norm.weight"]
    spoiled[tensor.offset : tensor.offset + tensor.bytes] = bytes(tensor.bytes)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(spoiled)
    with pytest.raises(StageError, match="a vector without a direction"):
        fetched(broken)
