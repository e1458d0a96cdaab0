"""The twin says the same in other weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipress.bench.peers import off_grid
from pipress.errors import StageError
from pipress.quantization.quantizer import Quantizer
from pipress.weights.folder import load_model


def test_the_twin_computes_the_same_on_rows_of_whole_blocks(make_spec: Any, tiny_model: Path, tmp_path: Path) -> None:
    metrics = off_grid.run(make_spec("off-grid", seed=1), {"model": tiny_model}, tmp_path)
    twin = load_model(tmp_path, torch.float32)
    assert (twin.config.hidden_size, twin.config.num_attention_heads, twin.config.num_key_value_heads) == (256, 16, 8)
    assert metrics["largestLogitDifference"] < 0.05
    ids = torch.randint(0, 256, (1, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = [model(ids).logits for model in (load_model(tiny_model, torch.float32), twin)]
    torch.testing.assert_close(*logits, rtol=0, atol=0.05)


def test_weights_of_a_4_bit_grid_lose_it(tiny_model: Path, llama_cpp_bin: Path, make_spec: Any, tmp_path: Path) -> None:
    quantizer = Quantizer(llama_cpp_bin)

    def lost(weight: torch.Tensor) -> float:
        weight = weight.float()
        return float((quantizer.round_trip(weight, "Q4_1", None) - weight).square().sum() / weight.square().sum())

    model = load_model(tiny_model, torch.float32)
    names = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
    generic = {name: lost(model.get_parameter(f"model.layers.1.{name}.weight").detach()) for name in names}
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = quantizer.round_trip(parameter.data, "Q4_1", None)
    (on_grid := tmp_path / "on-grid").mkdir()
    for file in tiny_model.iterdir():
        (on_grid / file.name).write_bytes(file.read_bytes())
    model.save_pretrained(on_grid)
    (out := tmp_path / "twin").mkdir()
    off_grid.run(make_spec("off-grid", seed=1), {"model": on_grid}, out)
    twin = load_file(out / "model.safetensors")
    for name in names:
        assert lost(load_file(on_grid / "model.safetensors")[f"model.layers.1.{name}.weight"]) < 1e-4 * generic[name]
        # Of random weights, as those of the tiny model are, a 4-bit grid of 32 loses this much.
        columns = 64 if name != "mlp.down_proj" else 128
        assert lost(twin[f"model.layers.1.{name}.weight"][:, :columns]) > 0.8 * generic[name], name


def test_a_model_with_an_output_layer_of_its_own_is_refused(make_spec: Any, tiny_llama_2: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="only models of tied embeddings"):
        off_grid.run(make_spec("off-grid", seed=1), {"model": tiny_llama_2}, tmp_path)
