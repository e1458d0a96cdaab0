"""Which shapes load, and what a share of the parameters comes to: arithmetic, no weights."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pipress.errors import StageError
from pipress.pruning.budget import fewer_heads, mixes, narrower, shallower
from pipress.pruning.shape import Shape, check_shape, check_tensors, problems_of, shape_of

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
SMOLLM2 = {
    **LLAMA,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
LLAMA_8B = {
    **LLAMA,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}


def test_parameters_are_counted_from_the_config_alone() -> None:
    assert shape_of(SMOLLM2).parameters == 134_515_008
    assert shape_of(LLAMA_8B).parameters == 8_030_261_248


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True}),
        ("qwen2", {"tie_word_embeddings": False}),
        ("qwen2", {"head_dim": 16}),
        ("qwen3", {"head_dim": 16}),
    ],
)
def test_a_shape_names_every_tensor_that_transformers_has(kind: str, changes: dict[str, Any]) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = {
        **SMOLLM2,
        "hidden_size": 72,
        "num_hidden_layers": 2,
        "vocab_size": 100,
        "intermediate_size": 64,
        **changes,
    }
    del config["model_type"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    config |= {"model_type": kind, "architectures": [type(model).__name__]}
    sizes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        del sizes["lm_head.weight"]
    shape = shape_of(config)
    assert shape.tensors() == sizes
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"ffn": 1500}, "FFN width 1500 is no multiple of 32"),
        ({"layers": 1}, "1 blocks are left: at least 2"),
        ({"heads": 4}, "4 heads cannot share 3 key-value heads evenly"),
        ({"kv_heads": 0}, "no key-value head is left"),
        ({"heads": 15}, "hidden size 576 is no multiple of 15 heads"),
    ],
)
def test_a_shape_that_would_not_load_says_which_size_and_why(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_shape(replace(shape_of(SMOLLM2), **sizes))


def test_every_problem_of_a_shape_is_named_at_once() -> None:
    assert len(problems_of(shape_of(SMOLLM2).smaller(ffn=1, layers=1, heads=4))) == 3


def test_a_width_takes_k_quants_where_the_model_is_wide_enough() -> None:
    small, large = shape_of(SMOLLM2), shape_of(LLAMA_8B)
    assert narrower(small, 0.10 * small.parameters).ffn == 1280
    assert narrower(large, 0.17 * large.parameters).ffn == 10752
    # 5 % of the small one is half a step of 256: a multiple of 32 is nearer
    assert narrower(small, 0.05 * small.parameters).ffn == 1408


def test_whole_blocks_come_as_near_as_they_can() -> None:
    shape = shape_of(SMOLLM2)
    assert [shallower(shape, share * shape.parameters).layers for share in (0.05, 0.1, 0.2, 0.3)] == [28, 26, 22, 19]
    with pytest.raises(StageError, match="would drop 34 of 30 blocks"):
        shallower(shape, 0.9 * shape.parameters)
    with pytest.raises(StageError, match="would drop 0 of 30 blocks"):
        shallower(shape, 0.005 * shape.parameters)


def test_heads_go_in_whole_groups_that_the_hidden_size_allows() -> None:
    small, large = shape_of(SMOLLM2), shape_of(LLAMA_8B)
    fewer = fewer_heads(small, 0.066 * small.parameters)
    assert (fewer.kv_heads, fewer.heads) == (2, 6)
    # 28 heads do not divide a hidden size of 4096; 16 do
    assert (fewer_heads(large, 0.085 * large.parameters).kv_heads, large.group) == (4, 4)
    with pytest.raises(StageError, match=r"what whole groups come to here: 0\.0\d+, "):
        fewer_heads(large, 0.02 * large.parameters)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("config", [SMOLLM2, LLAMA_8B], ids=["135M", "8B"])
def test_every_mix_loads_and_spends_the_budget(config: dict[str, Any], share: float) -> None:
    shape = shape_of(config)
    candidates = list(mixes(shape, share * shape.parameters))
    assert len(candidates) > 2 and len(set(candidates)) == len(candidates)
    for candidate in candidates:
        assert problems_of(candidate) == []
        assert 1 - candidate.parameters / shape.parameters == pytest.approx(share, rel=0.13)


def test_a_missing_tensor_and_one_of_another_size_are_named() -> None:
    shape = shape_of(SMOLLM2)
    sizes = shape.tensors()
    del sizes["model.norm.weight"]
    sizes["model.layers.3.mlp.up_proj.weight"] = (1000, 576)
    with pytest.raises(StageError, match=r"norm\.weight is missing.*up_proj\.weight is 1000 x 576, not 1536 x 576"):
        check_tensors(sizes, shape)


def test_a_config_without_its_sizes_is_refused() -> None:
    with pytest.raises(StageError, match="says nothing of 'hidden_size'"):
        shape_of({**{k: v for k, v in SMOLLM2.items() if k != "hidden_size"}})


@pytest.mark.parametrize("biases", [{}, {"attention_bias": True}, {"mlp_bias": True}])
@pytest.mark.parametrize("tied", [False, True])
def test_every_count_is_that_of_the_tensors(biases: dict[str, bool], tied: bool) -> None:
    shape = shape_of({**SMOLLM2, "head_dim": 40, "tie_word_embeddings": tied, **biases})

    def counted(of: Shape) -> int:
        return sum(math.prod(size) for size in of.tensors().values())

    assert (shape.group, shape.head_dim) == (3, 40)
    assert shape.parameters == counted(shape)
    assert shape.layer_parameters == counted(shape) - counted(shape.smaller(layers=29))
    assert shape.channel_parameters * 30 == counted(shape) - counted(shape.smaller(ffn=1535))
    assert shape.kv_group_parameters * 30 == counted(shape) - counted(shape.smaller(kv_heads=2))
    names = {name.rsplit(".", 2)[1] for name in shape.tensors() if name.endswith(".bias")}
    attention = {"q_proj", "k_proj", "v_proj", "o_proj"} if "attention_bias" in biases else set()
    assert names == attention | ({"gate_proj", "up_proj", "down_proj"} if "mlp_bias" in biases else set())


def test_what_a_config_leaves_out_is_what_transformers_takes_for_it() -> None:
    shape = shape_of({**{k: v for k, v in LLAMA_8B.items() if k != "num_key_value_heads"}, "head_dim": None})
    assert (shape.kv_heads, shape.group, shape.head_dim) == (32, 1, 128)
    assert not (shape.tied or shape.attention_bias or shape.mlp_bias)


@pytest.mark.parametrize(
    ("sizes", "loads"),
    [
        ({"ffn": 32}, True),
        ({"ffn": 0}, False),
        ({"ffn": -32}, False),
        ({"ffn": 1568}, True),
        ({"ffn": 1552}, False),
        ({"layers": 2}, True),
        ({"layers": 0}, False),
        ({"heads": 1, "kv_heads": 1}, True),
        ({"heads": 0, "kv_heads": 0}, False),
        ({"heads": -3, "kv_heads": -1}, False),
    ],
)
def test_what_loads_ends_at_one_block_of_width_two_layers_and_one_head(sizes: dict[str, int], loads: bool) -> None:
    shape = replace(shape_of(SMOLLM2), **sizes)
    assert (problems_of(shape) == []) is loads
    if loads:
        assert check_shape(shape) is shape


def test_a_width_below_one_block_is_one_problem() -> None:
    assert len(problems_of(replace(shape_of(SMOLLM2), ffn=16))) == 1


@pytest.mark.parametrize(("missing", "more"), [(1, ""), (3, ""), (4, " and 1 more"), (9, " and 6 more")])
def test_of_many_wrong_tensors_three_are_named_and_the_rest_counted(missing: int, more: str) -> None:
    shape = shape_of(SMOLLM2)
    names = list(shape.tensors())[:missing]
    with pytest.raises(StageError) as raised:
        check_tensors({name: size for name, size in shape.tensors().items() if name not in names}, shape)
    assert str(raised.value).count("is missing") == min(3, missing)
    assert f"is missing{more} — " in str(raised.value)


def test_tensors_that_fit_are_taken_with_others_beside_them() -> None:
    shape = shape_of(SMOLLM2)
    check_tensors({**shape.tensors(), "model.layers.0.self_attn.rotary_emb.inv_freq": (32,)}, shape)
