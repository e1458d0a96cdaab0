"""License and shape of a model folder, on files written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipress.errors import StageError
from pipress.validation import check_params
from pipress.weights.license import carry_license, read_license, write_license
from pipress.weights.shape import check_shape, read_shape, trained_context

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 3,
}
LICENSE = {"id": "llama3.1", "notice": "Licensed.\n", "attribution": "Built with Llama", "modelName": "Llama-small"}
SOURCE = {"huggingFace": {"repo": "a/b", "revision": "0" * 40}}


def folder_with(tmp_path: Path, **tokenizer: Any) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return tmp_path


def test_the_shape_says_what_the_tokenizer_takes_in_a_gguf(tmp_path: Path) -> None:
    model = {"vocab": {"a": 0, "é": 1}, "merges": ["a a", ["a", "é"]]}
    shape = read_shape(folder_with(tmp_path, model=model, added_tokens=[{"content": "<e>"}]))
    # tokens of 1, 2 and 3 bytes, merges of 3 and 4, each with its length; three token types
    assert shape["tokenizerBytes"] == 6 + 7 + 5 * 8 + 3 * 4
    assert shape["headDim"] == 2 and shape["tied"] is False


def test_a_sentencepiece_tokenizer_has_scores_and_no_merges_in_a_gguf(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").touch()
    model = {"vocab": {"a": 0, "bc": 1, "d": 2}, "merges": ["a a"]}
    assert read_shape(folder_with(tmp_path, model=model))["tokenizerBytes"] == 4 + 3 * (8 + 4 + 4)


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({}, 2048),
        ({"max_position_embeddings": 4096}, 4096),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 8.0}}, 32768),
        (
            {
                "max_position_embeddings": 131072,
                "rope_parameters": {"rope_type": "yarn", "factor": 32, "original_max_position_embeddings": 4096},
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
            },
            131072,
        ),
    ],
)
def test_the_context_that_a_model_was_trained_for_counts_rope_scaling(config: dict[str, Any], context: int) -> None:
    assert trained_context(config) == context
    check_shape(CONFIG | config, {"max_position_embeddings": context})


def test_a_model_that_is_not_what_the_recipe_says_is_refused_with_every_difference() -> None:
    check_shape(CONFIG, {"hidden_size": 8, "head_dim": 2, "tie_word_embeddings": False})
    with pytest.raises(StageError, match="vocab_size is 3, not 4; head_dim is 2, not 64 — put what"):
        check_shape(CONFIG, {"hidden_size": 8, "vocab_size": 4, "head_dim": 64})


def test_the_license_goes_along_from_artifact_to_artifact(tmp_path: Path) -> None:
    first, last = tmp_path / "fetch", tmp_path / "quantize"
    first.mkdir(), last.mkdir()
    (first / "LICENSE").write_text("all of it")
    write_license(LICENSE, first)
    carry_license(first, last)
    assert (last / "LICENSE").read_text() == "all of it"
    assert (last / "NOTICE").read_text() == "Licensed.\n\nBuilt with Llama\n"
    assert read_license(last) == LICENSE and read_license(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modelName": "Small-Llama"}, "'Small-Llama' does not match '\\^Llama'"),
        ({"attribution": "made by me"}, "does not match 'Built with"),
        ({"notice": ""}, "notice"),
    ],
)
def test_a_llama_is_named_and_attributed_as_its_license_asks(change: dict, message: str) -> None:
    check_params("fetch", {"source": SOURCE, "license": LICENSE})
    check_params("fetch", {"source": SOURCE, "license": {"id": "mit", "notice": "MIT", "modelName": "anything"}})
    with pytest.raises(StageError, match=message):
        check_params("fetch", {"source": SOURCE, "license": LICENSE | change})
