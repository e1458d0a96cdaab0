"""Prune on a tiny model: the real stage, seconds instead of minutes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.pruning import ffn_activation
from pipress.stages import prune
from pipress.validation import check_params
from pipress.weights.folder import check_loads, load_model


@pytest.fixture
def pruned(make_spec: Any, tiny_model: Path, tiny_texts: Path, tmp_path: Path) -> Path:
    out = tmp_path / "pruned"
    out.mkdir()
    params = check_params("prune", {"parametersRemoved": 0.15, "calibrationTokens": 2048, "sequenceLength": 64})
    prune.run(make_spec("prune", **params), {"model": tiny_model, "texts": tiny_texts}, out)
    return out


def test_pruning_makes_every_layer_narrower_and_the_result_loads(pruned: Path) -> None:
    config = LlamaForCausalLM.from_pretrained(pruned).config
    assert config.intermediate_size == 96
    check_loads(pruned)


def test_channels_that_do_nothing_go_first_and_then_nothing_changes(tiny_model: Path) -> None:
    model = load_model(tiny_model, torch.float32)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight[:, ::4] = 0
    ids = torch.arange(64).view(2, 32)
    before = model(ids).logits
    scores = ffn_activation.score(model, ids, 1, lambda done: None)
    ffn_activation.cut(model, ffn_activation.plan(scores, 96))
    assert model.model.layers[0].mlp.up_proj.weight.shape == (96, 64)
    torch.testing.assert_close(model(ids).logits, before)


def test_a_width_takes_k_quants_where_the_model_is_wide_enough() -> None:
    from transformers import LlamaConfig

    smollm2 = LlamaConfig(hidden_size=576, intermediate_size=1536, num_hidden_layers=30)
    llama_8b = LlamaConfig(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32)
    assert ffn_activation.plan_width(smollm2, 134_515_008, 0.10) == 1280
    assert ffn_activation.plan_width(llama_8b, 8_030_261_248, 0.17) == 10752
    # 5 % of the small one is half a step of 256: a multiple of 32 is nearer
    assert ffn_activation.plan_width(smollm2, 134_515_008, 0.05) == 1408


def test_a_cut_that_would_not_load_is_refused_before_anything_runs(
    make_spec: Any, tiny_model: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    params = check_params("prune", {"parametersRemoved": 0.8})
    with pytest.raises(StageError, match=r"would need an FFN width of -\d+ \(it is 128\)"):
        prune.run(make_spec("prune", **params), {"model": tiny_model, "texts": tiny_texts}, tmp_path)
