"""The prune stage on a tiny model: every method to the end, and every wrong input to its one error."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from pipress.conftest import write_texts
from pipress.errors import StageError
from pipress.stages import prune
from pipress.validation import check_params
from pipress.weights import shards
from pipress.weights.files import WIDTHS
from pipress.weights.folder import check_loads, load_model


@pytest.fixture(scope="module")
def deep_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with 6 layers, in bfloat16, its embeddings not tied, with what a real one has beside it."""
    folder = tmp_path_factory.mktemp("deep") / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = LlamaForCausalLM.from_pretrained(tiny_model).config
    config.num_hidden_layers, config.tie_word_embeddings = 6, False
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    (folder / "LICENSE").write_text("License of the model")
    (folder / "generation_config.json").write_text('{"temperature": 0.6}')
    return folder


@pytest.fixture
def run(make_spec: Any, tiny_texts: Path, tmp_path: Path) -> Any:
    """Runs the stage; returns its metrics and the folder of the result."""

    def run(model: Path, texts: Path = tiny_texts, **params: Any) -> tuple[dict[str, Any], Path]:
        out = tmp_path / "out"
        out.mkdir()
        params = {"calibrationTokens": 2048, "sequenceLength": 64, "pruningRatio": 0.15, **params}
        spec = make_spec("prune", **check_params("prune", params))
        return prune.run(spec, {"model": model, "datasets": texts}, out), out

    return run


@pytest.mark.parametrize(
    ("method", "share", "sizes"),
    [
        ("ffn-activation", 0.15, (6, 96, 4)),
        ("ffn-second-order", 0.15, (6, 96, 4)),
        ("random", 0.15, (6, 96, 4)),
        ("magnitude", 0.15, (6, 96, 4)),
        ("block-influence", 0.3, (4, 128, 4)),
        ("angular-distance", 0.3, (4, 128, 4)),
        ("attention-groups", 0.14, (6, 128, 2)),
        ("mixed", 0.15, None),
    ],
)
def test_every_method_writes_a_model_that_loads(
    run: Any, deep_model: Path, method: str, share: float, sizes: Any
) -> None:
    metrics, out = run(deep_model, method=method, pruningRatio=share)
    config = LlamaForCausalLM.from_pretrained(out).config
    dimensions = (config.num_hidden_layers, config.intermediate_size, config.num_attention_heads)
    if sizes is not None:
        assert dimensions == sizes
    assert check_loads(out) == metrics["parametersAfter"] < metrics["parametersBefore"]
    assert metrics["pruningRatio"] == pytest.approx(share, rel=0.2)
    assert (metrics["layersAfter"], metrics["ffnAfter"]) == dimensions[:2]
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    assert (out / "LICENSE").exists() and json.loads((out / "generation_config.json").read_text())["temperature"] == 0.6


def test_a_large_result_is_written_in_shards(run: Any, deep_model: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(prune, "ShardWriter", lambda folder: shards.ShardWriter(folder, 100_000))
    metrics, out = run(deep_model)
    assert (out / shards.INDEX).exists() and len(list(out.glob("model-*.safetensors"))) > 2
    assert check_loads(out) == metrics["parametersAfter"]


def test_a_cut_that_would_not_load_is_refused_before_weights_or_text_are_read(
    run: Any, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "config-only"
    folder.mkdir()
    shutil.copy(tiny_model / "config.json", folder)
    with pytest.raises(StageError, match=r"would need an FFN width of -\d+ \(it is 128\)"):
        run(folder, tmp_path, pruningRatio=0.8)


def damaged(model: Path, tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    return folder, folder / "model.safetensors"


def test_weights_that_are_not_numbers_are_refused(run: Any, tiny_model: Path, tmp_path: Path) -> None:
    folder, file = damaged(tiny_model, tmp_path)
    tensors = load_file(file)
    tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(tensors, file)
    with pytest.raises(
        StageError, match=r"model\.layers\.1\.mlp\.up_proj\.weight in model\.safetensors holds values that"
    ):
        run(folder)


def test_weights_cut_off_are_refused(run: Any, tiny_model: Path, tmp_path: Path) -> None:
    folder, file = damaged(tiny_model, tmp_path)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(StageError, match=r"model\.safetensors is cut off: it ends inside"):
        run(folder)


def test_a_missing_tensor_is_named(run: Any, tiny_model: Path, tmp_path: Path) -> None:
    folder, file = damaged(tiny_model, tmp_path)
    tensors = load_file(file)
    del tensors["model.layers.1.self_attn.k_proj.weight"]
    save_file(tensors, file)
    with pytest.raises(
        StageError, match=r"do not fit config\.json: model\.layers\.1\.self_attn\.k_proj\.weight is missing"
    ):
        run(folder)


@pytest.mark.parametrize(("text", "message"), [("", "fewer than 64 tokens"), ("Too little.", "fewer than 64 tokens")])
def test_empty_and_too_little_text_is_refused(
    run: Any, tiny_model: Path, tmp_path: Path, text: str, message: str
) -> None:
    write_texts(tmp_path, text, validation="")
    with pytest.raises(StageError, match=message):
        run(tiny_model, tmp_path)


def test_with_widths_of_its_own_a_layer_is_as_wide_as_it_should_be(run: Any, deep_model: Path) -> None:
    metrics, out = run(deep_model, method="ffn-second-order", ffnWidths="per-layer")
    config = json.loads((out / "config.json").read_text())
    widths = config[WIDTHS]
    assert len(widths) == 6 and len(set(widths)) > 1 and all(width % 32 == 0 for width in widths)
    assert sum(widths) == 6 * config["intermediate_size"] == 6 * metrics["ffnAfter"] == 6 * 96
    assert metrics["ffnWidths"] == ", ".join(map(str, widths))
    assert (config["model_type"], config["architectures"]) == ("llama", ["LlamaForCausalLM"])
    model = load_model(out, torch.float32)
    assert [layer.mlp.down_proj.in_features for layer in model.model.layers] == widths
    assert check_loads(out) == metrics["parametersAfter"]


def test_widths_of_single_layers_are_refused_of_methods_that_do_not_say_them(
    run: Any, deep_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match="mixed does not say how wide each layer should be"):
        run(deep_model, tmp_path, method="mixed", ffnWidths="per-layer")


def test_a_model_of_such_widths_is_not_pruned_again(run: Any, deep_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pruned"
    folder.mkdir()
    config = json.loads((deep_model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, WIDTHS: [128, 64, 96, 96, 128, 64]}))
    with pytest.raises(StageError, match="a width each: it is pruned already"):
        run(folder, tmp_path)
