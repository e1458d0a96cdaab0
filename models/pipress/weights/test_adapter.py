"""Adapters as PEFT saves them, merged as PEFT merges them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from pipress.digests import tree_sha256
from pipress.errors import StageError
from pipress.stages import fetch
from pipress.validation import check_params
from pipress.weights.adapter import CONFIG, WEIGHTS, merge_adapter
from pipress.weights.folder import load_model

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy to merge into."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def trained(tiny_model: Path, tmp_path: Path) -> Callable[..., tuple[Path, torch.nn.Module]]:
    """Saves an adapter of random weights with PEFT; returns its folder, and the model that PEFT makes of it."""

    def save(base: Path = tiny_model, **settings: Any) -> tuple[Path, torch.nn.Module]:
        config = LoraConfig(**{"r": 4, "lora_alpha": 12, "target_modules": ALL, "task_type": "CAUSAL_LM", **settings})
        peft = get_peft_model(load_model(base, torch.float32), config)
        generator = torch.Generator().manual_seed(3)
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        folder = tmp_path / "adapter"
        peft.save_pretrained(str(folder))
        return folder, peft.merge_and_unload()  # type: ignore[operator]

    return save


@pytest.mark.parametrize(
    "settings", [{}, {"use_rslora": True}, {"target_modules": ["q_proj"]}, {"rank_pattern": {"v_proj": 2}}]
)
def test_an_adapter_is_merged_as_peft_merges_it(model: Path, trained: Any, settings: dict[str, Any]) -> None:
    folder, theirs = trained(**settings)
    before = load_model(model, torch.float32).state_dict()
    changed = merge_adapter(model, folder)
    own = load_model(model, torch.float32).state_dict()
    assert own.keys() == before.keys()
    for name, values in theirs.state_dict().items():
        torch.testing.assert_close(own[name], values, rtol=1e-3, atol=1e-4)
    assert changed == sum(not torch.equal(own[name], before[name]) for name in own) > 0


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "gemma2"])
def test_it_may_be_of_another_architecture(tiny_of: Any, trained: Any, tmp_path: Path, kind: str) -> None:
    base = Path(shutil.copytree(tiny_of(kind), tmp_path / "base"))
    folder, theirs = trained(base)
    assert merge_adapter(base, folder) == 4 * len(ALL)
    ids = torch.arange(12).view(1, 12)
    torch.testing.assert_close(load_model(base, torch.float32)(ids).logits, theirs(ids).logits, rtol=1e-2, atol=1e-3)


def test_a_recipe_s_base_begins_with_it(tiny_llama_2: Path, trained: Any, real_spec: Any, tmp_path: Path) -> None:
    folder, theirs = trained(tiny_llama_2)
    local = {
        name: {"local": {"path": str(path), "sha256": tree_sha256(path)}}
        for name, path in (("source", tiny_llama_2), ("adapter", folder))
    }
    out = tmp_path / "out"
    out.mkdir()
    fetch.run(real_spec("fetch", **check_params("fetch", local)), {}, out)
    own = load_model(out, torch.float32)
    ids = torch.arange(12).view(1, 12)
    torch.testing.assert_close(own(ids).logits, theirs(ids).logits, rtol=1e-2, atol=1e-3)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "of the type IA3, and only LoRA is merged here — merge it with PEFT"),
        ({"use_dora": True, "bias": "all"}, "it is a DoRA; it trains biases"),
        ({"modules_to_save": ["embed_tokens"]}, "whole layers of its own"),
        ({"alpha_pattern": {"q_proj": 1}}, "it scales single layers otherwise"),
    ],
)
def test_what_would_be_merged_wrongly_is_refused(
    model: Path, trained: Any, changes: dict[str, Any], message: str
) -> None:
    folder, _ = trained()
    change_config(folder, **changes)
    with pytest.raises(StageError, match=message):
        merge_adapter(model, folder)


@pytest.mark.parametrize("spoil", ["another shape", "another layer", "a half", "something else"])
def test_one_of_another_model_is_refused_and_nothing_is_changed(model: Path, trained: Any, spoil: str) -> None:
    folder, _ = trained()
    weights = load_file(folder / WEIGHTS)
    name = next(name for name in weights if "lora_A" in name)
    values = weights.pop(name)
    if spoil == "another shape":
        weights[name] = torch.zeros(4, values.shape[1] + 1)
    elif spoil == "another layer":
        weights[name.replace("layers.0", "layers.99")] = values
    elif spoil == "something else":
        weights |= {name: values, "base_model.model.lm_head.weight": values.clone()}
    save_file(weights, folder / WEIGHTS)
    change_config(folder, base_model_name_or_path="team/other")
    before = (model / "model.safetensors").read_bytes()
    with pytest.raises(StageError, match=r"does not fit the base model: .* — it was trained on team/other"):
        merge_adapter(model, folder)
    assert (model / "model.safetensors").read_bytes() == before


def test_a_folder_without_one_is_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"the adapter holds no adapter_config\.json"):
        merge_adapter(model, tmp_path)
