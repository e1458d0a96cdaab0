"""AWQ on tiny models: the fold changes nothing but what rounding costs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.awq.blocks import BLOCKS, Block, round_to_blocks
from pipress.awq.scaling import apply, layer_folds, search
from pipress.conftest import write_texts
from pipress.errors import StageError
from pipress.stages import awq
from pipress.store.store import MANIFEST
from pipress.validation import check_params
from pipress.weights.folder import check_loads, load_model
from pipress.weights.streamed import StreamedLlama


def params(**changes: Any) -> dict[str, Any]:
    return check_params("awq", {"calibrationTokens": 512, "sequenceLength": 64, "gridPoints": 5, **changes})


@pytest.fixture
def outliers(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with a few channels that carry large activations, as trained models have them."""
    folder = tmp_path / "outliers"
    folder.mkdir()
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if "layernorm" in name:
            tensor[::16] *= 20
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / MANIFEST).write_text("{}")  # as every artifact has one, and no stage may hand it on
    return folder


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: f"{block.bits} bits")
def test_rounding_keeps_few_values_a_block_and_errs_by_less_than_a_step(block: Block) -> None:
    weight = torch.randn(3, 4 * block.size + 8, generator=torch.Generator().manual_seed(0))
    rounded = round_to_blocks(weight, block)
    assert rounded.shape == weight.shape
    for row, near in zip(weight, rounded, strict=True):
        for values, kept in zip(row.split(block.size), near.split(block.size), strict=True):
            assert len(kept.unique()) <= 2**block.bits
            span = values.max() - values.min() if block.offset else 2 * values.abs().max()
            step = max(span, values.abs().max()) / (2**block.bits - 1)
            assert (values - kept).abs().max() <= 1.1 * step
    torch.testing.assert_close(round_to_blocks(rounded, block), rounded, rtol=1e-4, atol=1e-5)


def test_the_folded_model_is_the_same_function_and_a_normal_folder(
    make_spec: Any, outliers: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    metrics = awq.run(make_spec("awq", **params()), {"model": outliers, "datasets": tiny_texts}, out)
    ids = torch.arange(64).view(2, 32)
    before, after = (load_model(folder, torch.float32)(ids).logits for folder in (outliers, out))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    check_loads(out)
    assert {file.name for file in out.iterdir()} == {file.name for file in outliers.iterdir()} - {MANIFEST}
    weights, folded = load_file(outliers / "model.safetensors"), load_file(out / "model.safetensors")
    assert {name: tensor.shape for name, tensor in weights.items()} == {n: t.shape for n, t in folded.items()}
    changed = {
        name.split("layers.0.")[1] for name in weights if not torch.equal(weights[name], folded[name]) and ".0." in name
    }
    # Four heads share two values here: o_proj's inputs have no single output of v_proj to take their scale from.
    assert "self_attn.o_proj.weight" not in changed and "self_attn.q_proj.weight" in changed
    assert metrics["errorWith"] < 0.8 * metrics["errorWithout"]


def test_rounding_the_folded_model_costs_less_than_rounding_the_model(
    make_spec: Any, outliers: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    awq.run(make_spec("awq", **params(bits=3, gridPoints=10)), {"model": outliers, "datasets": tiny_texts}, out)
    ids = torch.randint(0, 257, (4, 64), generator=torch.Generator().manual_seed(9))
    errors = []
    for folder in (outliers, out):
        model = load_model(folder, torch.float32)
        exact = model(ids).logits.log_softmax(-1)
        for layer in model.model.layers:
            for linear in [module for module in layer.modules() if isinstance(module, torch.nn.Linear)]:
                linear.weight.data = round_to_blocks(linear.weight.data, BLOCKS[3])
        rounded = model(ids).logits.log_softmax(-1)
        errors.append(torch.nn.functional.kl_div(rounded, exact, log_target=True, reduction="batchmean").item())
    assert errors[1] < 0.9 * errors[0]


def test_values_scale_what_follows_them_where_every_head_has_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "vocab_size": 16}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=4, initializer_range=0.2)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    model = StreamedLlama(tmp_path)
    layer = model.layer(0)
    hidden = torch.randn(2, 16, 32)
    hidden[..., ::8] *= 10
    turns = model.positions(hidden)
    with torch.no_grad():
        before = layer(hidden, position_embeddings=turns)
        names = []
        for build in layer_folds(layer, [hidden], [turns]):
            fold = build()
            scales, without, with_scales = search(fold, BLOCKS[3], 8)
            assert with_scales <= without
            apply(fold, scales)
            names.append(fold.name)
        assert names == ["qkv", "o", "gate-up", "down"]
        torch.testing.assert_close(layer(hidden, position_embeddings=turns), before, rtol=1e-4, atol=1e-4)


def test_a_bfloat16_model_is_kept_in_float16_which_rounds_finer(
    make_spec: Any, outliers: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "bf16", tmp_path / "out"
    for folder in (source, out):
        folder.mkdir()
    for file in outliers.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    tensors = {name: value.bfloat16() for name, value in load_file(outliers / "model.safetensors").items()}
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    awq.run(make_spec("awq", **params()), {"model": source, "datasets": tiny_texts}, out)
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    ids = torch.arange(64).view(2, 32)
    before, after = (load_model(folder, torch.float32)(ids).logits for folder in (source, out))
    apart = torch.nn.functional.kl_div(
        after.log_softmax(-1), before.log_softmax(-1), log_target=True, reduction="none"
    ).sum(-1)
    print(apart.mean(), (after - before).abs().max(), before.abs().max())
    assert apart.mean() < 1e-3


def test_too_little_text_and_damaged_weights_are_refused(
    make_spec: Any, outliers: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    (empty := tmp_path / "empty").mkdir()
    write_texts(empty, "")
    with pytest.raises(StageError, match=r"fewer than 64 tokens — take more text for datasets\.calibration"):
        awq.run(make_spec("awq", **params()), {"model": outliers, "datasets": empty}, tmp_path)
    tensors = load_file(outliers / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 3] = float("inf")
    save_file(tensors, outliers / "model.safetensors", {"format": "pt"})
    with pytest.raises(StageError, match=r"up_proj.weight in model.safetensors holds values that are not finite"):
        awq.run(make_spec("awq", **params()), {"model": outliers, "datasets": tiny_texts}, tmp_path)
