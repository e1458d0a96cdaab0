"""Base models as they come: each goes the whole way, or is refused at `fetch` with the reason. Real llama.cpp."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipress.conftest import prose, write_texts
from pipress.digests import tree_sha256
from pipress.errors import StageError
from pipress.sources.acceptance import (
    check_answers_end,
    check_config,
    check_weights_fit,
    settle_output_layer,
    weight_files,
)
from pipress.spec import Metrics
from pipress.stages import awq, convert, fetch, prune, recover
from pipress.tokenization import RECORD
from pipress.validation import check_params
from pipress.weights.gguf_reader import GgufFile

CHAT = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + eos_token }}{% endfor %}<|assistant|>"


@pytest.fixture
def llama_2(tiny_llama_2: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tiny_llama_2, tmp_path / "llama-2"))


@pytest.fixture
def fetched(real_spec: Any, tmp_path: Path) -> Callable[..., tuple[Path, Metrics]]:
    """Runs `fetch` on a model of this machine; returns what it made and its metrics."""

    def run(path: Path) -> tuple[Path, Metrics]:
        out = tmp_path / "fetched"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        source = {"local": {"path": str(path), "sha256": tree_sha256(path)}}
        return out, fetch.run(real_spec("fetch", source=source), {}, out)

    return run


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_mistral_that_computes_what_a_llama_does_is_one(fetched: Any, llama_2: Path) -> None:
    mistral = {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}
    before = (llama_2 / "model.safetensors").read_bytes()
    change_json(llama_2 / "config.json", **mistral, sliding_window=None)
    out, metrics = fetched(llama_2)
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and "sliding_window" not in config
    assert metrics["layers"] == 2 and (out / "model.safetensors").read_bytes() == before
    assert json.loads((llama_2 / "config.json").read_text())["model_type"] == "mistral", "the source stays as it is"
    change_json(llama_2 / "config.json", sliding_window=64)
    assert fetched(llama_2)[1]["trainedContext"] == 64


def test_a_sentencepiece_llama_keeps_scores_and_token_ids_through_the_whole_recipe(
    fetched: Any, llama_2: Path, real_spec: Any, tmp_path: Path
) -> None:
    change_json(llama_2 / "tokenizer_config.json", chat_template=CHAT)
    change_json(llama_2 / "generation_config.json", eos_token_id=[2])
    base, metrics = fetched(llama_2)
    assert metrics["kvHeads"] == metrics["heads"] == 4 and metrics["trainedContext"] == 256
    texts = tmp_path / "texts"
    texts.mkdir()
    write_texts(texts, prose(1, 400), prose(2, 100))

    def run(stage: Any, name: str, params: dict[str, Any], **inputs: Path) -> Path:
        out = tmp_path / name
        out.mkdir()
        spec = real_spec(stage.__name__.rsplit(".", 1)[1], **check_params(stage.__name__.rsplit(".", 1)[1], params))
        shutil.rmtree(spec.checkpoint)
        spec.checkpoint.mkdir()
        stage.run(spec, {"datasets": texts, **inputs}, out)
        return out

    sizes = {"calibrationTokens": 512, "sequenceLength": 64}
    pruned = run(prune, "pruned", {"method": "ffn-activation", "pruningRatio": 0.1, **sizes}, model=base)
    training = {"tokens": 256, "sequenceLength": 64, "batchSize": 2, "validationTokens": 256, "rank": 2}
    recovered = run(recover, "recovered", {"method": "lora", **training}, model=pruned, teacher=base)
    scaled = run(awq, "scaled", sizes, model=recovered)
    ggufs = [run(convert, f"gguf-{model.name}", {}, model=model) / "model.gguf" for model in (base, scaled)]
    first, last = (GgufFile(path).metadata for path in ggufs)

    for name in ("tokens", "scores", "token_type", "bos_token_id", "eos_token_id", "add_bos_token"):
        assert first[f"tokenizer.ggml.{name}"] == last[f"tokenizer.ggml.{name}"]
    assert first["tokenizer.ggml.scores"][259:262] == [0.0, -1.0, -2.0]
    assert first["tokenizer.chat_template"] == last["tokenizer.chat_template"] == CHAT
    for name in ("tokenizer.model", "tokenizer_config.json", "generation_config.json", RECORD):
        assert (scaled / name).read_bytes() == (base / name).read_bytes()

    # What loading and saving does to such a tokenizer, and did to every result: scores that say nothing.
    (scaled / "tokenizer.model").unlink()
    with pytest.raises(StageError, match=r"model.gguf cuts text into other tokens than its base model: token \d+ of"):
        run(convert, "broken", {}, model=scaled)


def test_a_sentencepiece_llama_without_its_scores_is_refused(fetched: Any, llama_2: Path) -> None:
    (llama_2 / "tokenizer.model").unlink()
    with pytest.raises(StageError, match=r"other tokens than the model's own tokenizer does: token \d+ of '"):
        fetched(llama_2)


def test_an_output_layer_that_is_the_embedding_once_more_is_dropped(llama_2: Path) -> None:
    change_json(llama_2 / "config.json", tie_word_embeddings=True)
    change_weights(llama_2, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()}))
    before = load_file(llama_2 / "model.safetensors")
    settle_output_layer(llama_2)
    after = load_file(llama_2 / "model.safetensors")
    assert {*before} - {*after} == {"lm_head.weight"} and all(torch.equal(after[name], before[name]) for name in after)
    check_weights_fit(llama_2)
    assert not (llama_2 / "tied").exists()


def test_an_output_layer_of_its_own_beside_a_config_that_ties_it_is_refused(llama_2: Path) -> None:
    settle_output_layer(llama_2)
    assert "lm_head.weight" in load_file(llama_2 / "model.safetensors")
    change_json(llama_2 / "config.json", tie_word_embeddings=True)
    with pytest.raises(StageError, match=r"\(tie_word_embeddings\), but lm_head.weight has other values — which one"):
        settle_output_layer(llama_2)


def test_tokens_that_the_embedding_has_no_row_for_are_refused(fetched: Any, llama_2: Path) -> None:
    document = json.loads((llama_2 / "tokenizer.json").read_text())
    pad = {"id": 300, "content": "[PAD]", "special": True, "single_word": False, "lstrip": False, "rstrip": False}
    document["added_tokens"].append(pad | {"normalized": False})
    (llama_2 / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(StageError, match=r"knows tokens that the embedding of 300 rows has none for: 300 '\[PAD\]'"):
        fetched(llama_2)


def test_a_pre_tokenizer_that_the_converter_does_not_know_is_refused(fetched: Any, tiny_model: Path) -> None:
    with pytest.raises(
        StageError,
        match=r"does not know the model's tokenizer: convert_hf_to_gguf.py failed with status 1: NotImplementedError: "
        r"BPE pre-tokenizer was not recognized",
    ):
        fetched(tiny_model)


def test_a_chat_template_with_the_extensions_of_hugging_face_goes_through(fetched: Any, llama_2: Path) -> None:
    loop = "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}"
    said = "{% generation %}{{ m.content }}{% endgeneration %}{% break %}{% endfor %}"
    template = loop + said + " {{ strftime_now('%Y') }}"
    (llama_2 / "chat_template.jinja").write_text(template)
    out, _ = fetched(llama_2)
    assert (out / "chat_template.jinja").read_text() == template
    asked = json.loads((out / RECORD).read_text())["texts"][-1]["text"]
    assert re.fullmatch(r"What is the capital of France\? 20\d\d", asked)


def test_a_chat_template_that_llama_server_would_not_start_with_is_refused(fetched: Any, llama_2: Path) -> None:
    (llama_2 / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}")
    with pytest.raises(StageError, match="llama-server would not start with the model's chat template: "):
        fetched(llama_2)


def test_shards_go_through_and_other_weights_in_the_folder_do_not_count(
    fetched: Any, llama_2: Path, tmp_path: Path
) -> None:
    weights = load_file(llama_2 / "model.safetensors")
    save_file({"layers.0.wq": torch.zeros(2)}, llama_2 / "consolidated.safetensors")
    assert weight_files(llama_2) == ["model.safetensors"]
    shards = {f"model-0000{n}-of-00002.safetensors": names for n, names in ((1, [*weights][:9]), (2, [*weights][9:]))}
    for name, tensors in shards.items():
        save_file({tensor: weights[tensor] for tensor in tensors}, llama_2 / name, metadata={"format": "pt"})
    index = {"weight_map": {tensor: name for name, tensors in shards.items() for tensor in tensors}}
    (llama_2 / "model.safetensors.index.json").write_text(json.dumps(index))
    (llama_2 / "model.safetensors").rename(tmp_path / "model.safetensors")
    with pytest.raises(StageError, match=r"index.json says nothing of shards: KeyError\('metadata'\) — fetch it again"):
        fetched(llama_2)
    (tmp_path / "model.safetensors").rename(llama_2 / "model.safetensors")
    change_json(llama_2 / "model.safetensors.index.json", metadata={"total_size": 1})
    with pytest.raises(StageError, match=r"holds both model.safetensors and model.safetensors.index.json"):
        fetched(llama_2)
    (llama_2 / "model.safetensors").unlink()
    out, metrics = fetched(llama_2)
    assert metrics["parameters"] == sum(tensor.numel() for tensor in weights.values())
    assert sorted(file.name for file in out.glob("*.safetensors")) == sorted(shards)

    (llama_2 / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(StageError, match=r"1 of the model's 2 shards are missing: model-00002-of-00002.safetensors"):
        fetched(llama_2)


def test_weights_in_another_layout_are_refused(fetched: Any, llama_2: Path) -> None:
    (llama_2 / "model.safetensors").rename(llama_2 / "consolidated.safetensors")
    with pytest.raises(StageError, match=r"the model holds consolidated.safetensors, neither model.safetensors nor"):
        fetched(llama_2)


def test_weights_that_the_config_does_not_speak_of_are_refused(llama_2: Path) -> None:
    change_weights(llama_2, lambda w: w.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}))
    check_weights_fit(llama_2)
    change_weights(llama_2, lambda w: w.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}))
    with pytest.raises(StageError, match=r"config.json does not speak of: model.layers.0.self_attn.q_proj.bias — "):
        check_weights_fit(llama_2)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"hidden_act": "gelu"}, "its activation is gelu, where llama.cpp computes silu"),
        ({"quantization_config": {"quant_method": "awq"}}, r"its weights are quantized already \(awq\)"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "its RoPE scaling is dynamic, where llama.cpp"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "its RoPE scaling is longrope"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "it rotates only 50% of every head"),
        (
            {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "attention_bias": True},
            "its attention has biases",
        ),
    ],
)
def test_what_llama_cpp_does_not_compute_is_refused(config: dict[str, Any], reason: str) -> None:
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    check_config({**llama, "hidden_act": "silu", "rope_scaling": {"rope_type": "llama3", "factor": 8.0}})
    with pytest.raises(StageError, match=f"llama.cpp would not compute what the model does: {reason}"):
        check_config({**llama, **config})


def test_an_end_of_answers_that_llama_cpp_does_not_know_is_refused(llama_2: Path) -> None:
    change_json(llama_2 / "generation_config.json", eos_token_id=[2, 290])
    check_answers_end(llama_2, [2, 290])
    with pytest.raises(StageError, match=r"ends its answers with '.+', which llama.cpp takes for no end"):
        check_answers_end(llama_2, [2])
