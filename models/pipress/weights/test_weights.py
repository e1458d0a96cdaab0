import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from pipress.conftest import finish_gguf
from pipress.errors import StageError
from pipress.weights.files import check_weights, read_config
from pipress.weights.folder import check_loads, load_model, load_tokenizer
from pipress.weights.from_gguf import NAMES, is_gguf, unpack_gguf
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.layouts import LLAMA, architecture_of, find_layout, layout_of, text_config_of
from pipress.weights.shape import trained_context


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_whole_model_loads(model: Path) -> None:
    assert check_loads(model) == sum(p.numel() for p in load_model(model, torch.float32).parameters())


@pytest.mark.parametrize(
    ("architecture", "said", "context"),
    [
        ("Mistral", {"sliding_window": None}, 256),
        ("Mistral", {"sliding_window": 64}, 64),
        ("Mistral", {"sliding_window": 4096}, 256),
        ("Qwen2", {"sliding_window": 64, "use_sliding_window": False, "max_window_layers": 1}, 256),
        ("Qwen2", {"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 2}, 256),
        ("Qwen2", {"sliding_window": 64, "use_sliding_window": True, "max_window_layers": 1}, 64),
        ("Qwen3", {"sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"]}, 64),
        ("Qwen3", {"sliding_window": None, "layer_types": ["full_attention", "full_attention"]}, 256),
    ],
)
def test_a_window_that_llama_cpp_does_not_know_is_the_trained_context(
    model: Path, architecture: str, said: dict[str, Any], context: int
) -> None:
    change_config(model, model_type=architecture.lower(), architectures=[f"{architecture}ForCausalLM"], **said)
    config = read_config(model)
    assert config["max_position_embeddings"] == trained_context(config) == context
    assert config.keys().isdisjoint(said)
    layout = find_layout(config)
    assert layout is not None and layout.model_type == ("llama" if architecture == "Mistral" else architecture.lower())


def test_only_a_llamas_layout_is_taken_for_one(model: Path) -> None:
    assert find_layout(read_config(model)) == LLAMA
    change_config(model, architectures=["LlamaBidirectionalModel"])
    with pytest.raises(StageError, match=r"^the model is of the architecture LlamaBidirectionalModel, whose layers"):
        layout_of(read_config(model))


def test_of_several_parts_the_one_that_writes_text_counts() -> None:
    config = {"architectures": ["Some"], "text_config": {"architectures": ["Qwen3ForCausalLM"], "hidden_size": 8}}
    assert architecture_of(config) == "Qwen3ForCausalLM" and text_config_of(config)["hidden_size"] == 8
    assert find_layout(config) is None, "its tensors have other names"


def test_truncated_safetensors_are_refused(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StageError, match=r"model.safetensors is cut off: it ends inside"):
        check_weights(model)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(StageError, match=r"model.safetensors is cut off or damaged"):
        check_weights(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(model: Path, dtype: torch.dtype, value: float) -> None:
    weights = {name: tensor.to(dtype) for name, tensor in load_file(model / "model.safetensors").items()}
    weights["model.norm.weight"][3] = value
    save_file(weights, model / "model.safetensors")
    with pytest.raises(StageError, match=r"model.norm.weight in model.safetensors holds values that are not finite"):
        check_weights(model)


def test_weights_that_do_not_fit_the_config_are_refused(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StageError, match=r"do not fit config.json: model.layers.1.mlp.up_proj.weight missing"):
        load_model(model, torch.float32)


def test_pickled_weights_are_not_loaded(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(StageError, match=r"holds no \*.safetensors"):
        check_weights(model)


def write_gguf(
    path: Path, source: Path, architecture: str = "llama", add: Callable[[gguf.GGUFWriter], None] = lambda writer: None
) -> dict[str, torch.Tensor]:
    """A GGUF of the tiny model as llama.cpp's converter lays it out (rotary rows interleaved), q8_0 for matrices.

    add: puts more into it.
    """
    model = LlamaForCausalLM.from_pretrained(source)
    config, tokenizer = model.config, load_tokenizer(source)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    tokens[0] = "ab"  # one merge, as every real file has some
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<|endoftext|>" else 1 for token in tokens])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(len(tokens) - 1)
    add(writer)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    parts = {hugging_face: ours for ours, hugging_face in NAMES.items()}
    for name, tensor in weights.items():
        stem, _, kind = name.rpartition(".")
        layer, inner = (stem.split(".")[2], ".".join(stem.split(".")[3:])) if ".layers." in stem else ("", stem)
        heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
        if inner in heads:
            rows = tensor.shape[0] // heads[inner]
            tensor = tensor.view(heads[inner], 2, rows // 2, -1).transpose(1, 2).reshape(tensor.shape)
        target = f"blk.{layer}.{parts[inner]}.{kind}" if layer else f"{parts[inner]}.{kind}"
        values = tensor.detach().numpy()
        kind_ = gguf.GGMLQuantizationType.Q8_0 if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(target, gguf.quants.quantize(values, kind_), raw_dtype=kind_)
    finish_gguf(writer)
    return weights


def test_a_gguf_becomes_the_model_it_was_made_from(tiny_model: Path, tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "m.gguf", tiny_model)
    (tmp_path / "out").mkdir()
    assert is_gguf(tmp_path / "m.gguf")
    unpack_gguf(tmp_path / "m.gguf", tmp_path / "out")
    check_loads(tmp_path / "out")
    unpacked = load_file(tmp_path / "out" / "model.safetensors")
    assert set(unpacked) == set(weights)
    for name, tensor in weights.items():
        # q8_0 rounds to a 127th of the largest value in a block
        np.testing.assert_allclose(unpacked[name].float(), tensor, atol=float(tensor.abs().max()) / 127)


def test_numbers_are_split_into_digits_as_the_models_tokenizer_says(tiny_model: Path, tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_model)
    (tmp_path / "out").mkdir()
    unpack_gguf(tmp_path / "m.gguf", tmp_path / "out")
    tokenizer = load_tokenizer(tmp_path / "out")
    assert tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a 12")[-1][0] == "2"
    assert tokenizer.eos_token == "<|endoftext|>"


def test_a_gguf_of_another_architecture_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_model, "qwen3")
    with pytest.raises(StageError, match="of the architecture qwen3"):
        unpack_gguf(tmp_path / "m.gguf", tmp_path)


def unpacked(tiny_model: Path, tmp_path: Path, add: Callable[[gguf.GGUFWriter], None]) -> Path:
    write_gguf(tmp_path / "m.gguf", tiny_model, add=add)
    (tmp_path / "out").mkdir()
    unpack_gguf(tmp_path / "m.gguf", tmp_path / "out")
    return tmp_path / "out"


def test_a_part_of_a_gguf_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"m.gguf is one of 3 parts of a GGUF — .*llama-gguf-split --merge"):
        unpacked(tiny_model, tmp_path, lambda writer: writer.add_uint16("split.count", 3))


def test_linear_rope_scaling_is_kept(tiny_model: Path, tmp_path: Path) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_freq_base(20000.0)
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)

    config = read_config(unpacked(tiny_model, tmp_path, add))
    assert config["rope_parameters"] == {"rope_type": "linear", "rope_theta": 20000.0, "factor": 4.0}
    assert trained_context(config) == 4 * 256


def test_yarn_is_kept(tiny_model: Path, tmp_path: Path) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(8.0)
        writer.add_rope_scaling_orig_ctx_len(32)
        writer.add_rope_scaling_yarn_beta_fast(16.0)

    config = read_config(unpacked(tiny_model, tmp_path, add))
    rope = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32, "beta_fast": 16.0}
    assert config["rope_parameters"] == rope | {"rope_theta": 10000.0}


def llama_3_factors(factor: float, theta: float = 10000.0) -> np.ndarray:
    """What the converter writes for Llama 3.1's scaling of heads of 16."""
    factors = []
    for frequency in 1 / theta ** (np.arange(0, 16, 2) / 16):
        wavelength = 2 * np.pi / frequency
        smooth = np.clip((8192 / wavelength - 1) / 3, 0, 1)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


def test_the_scaling_of_llama_3_is_kept_and_another_by_factors_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_freq_base(5e5)
        writer.add_tensor("rope_freqs.weight", llama_3_factors(32.0, 5e5))

    out = unpacked(tiny_model, tmp_path, add)
    rope = read_config(out)["rope_parameters"]
    assert (rope["rope_type"], rope["rope_theta"], rope["factor"]) == ("llama3", 5e5, 32.0)
    check_loads(out)
    other = np.arange(1, 9, dtype=np.float32)
    write_gguf(tmp_path / "m.gguf", tiny_model, add=lambda writer: writer.add_tensor("rope_freqs.weight", other))
    with pytest.raises(StageError, match=r"rope_freqs.weight are none that Llama 3.1's scaling gives"):
        unpack_gguf(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("llama.attention.scale", 0.5, "attention.scale is 0.5"),
        ("llama.rope.dimension_count", 8, "rope.dimension_count is 8, where a head has 16"),
        ("llama.expert_count", 8, "expert_count is 8"),
    ],
)
def test_what_a_folder_cannot_say_of_a_model_is_refused(
    tiny_model: Path, tmp_path: Path, name: str, value: float, told: str
) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_float32(name, value) if isinstance(value, float) else writer.add_uint32(name, value)

    with pytest.raises(StageError, match=f"the GGUF says of its model what a folder .* no place for: {told}"):
        unpacked(tiny_model, tmp_path, add)


@pytest.mark.parametrize("adds", [True, False])
def test_whether_text_begins_with_a_token_of_its_own_is_kept(tiny_model: Path, tmp_path: Path, adds: bool) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_bos_token_id(256)
        writer.add_add_bos_token(adds)

    out = unpacked(tiny_model, tmp_path, add)
    assert (load_tokenizer(out)("a").input_ids[0] == 256) is adds


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_gguf_that_is_cut_off_is_refused(tiny_model: Path, tmp_path: Path, share: float) -> None:
    write_gguf(tmp_path / "m.gguf", tiny_model)
    content = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content[: int(share * len(content))])
    with pytest.raises(StageError, match=r"m.gguf is not a GGUF that can be read"):
        GgufFile(tmp_path / "m.gguf")
