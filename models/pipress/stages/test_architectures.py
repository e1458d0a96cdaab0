"""Architectures all the way: pruned, recovered, scaled, converted and quantized, or as they come. Real llama.cpp.

What llama.cpp computes of a result is what Transformers computes of it, token by token.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaTokenizer

from pipress.digests import tree_sha256
from pipress.errors import StageError
from pipress.evaluation.scores import score_reference
from pipress.spec import Metrics
from pipress.stages import awq, convert, evaluate, fetch, imatrix, prune, quantize, recover
from pipress.validation import check_params
from pipress.weights import folder as folder_module
from pipress.weights.folder import load_model
from pipress.weights.gguf_reader import GgufFile

# Those with a Llama's layout, by Transformers' type. A Mistral is a Llama after `fetch`.
LAYOUTS = ("llama", "mistral", "qwen2", "qwen3")
TEXT = {"calibrationTokens": 1024, "sequenceLength": 64}
TRAINING = {"sequenceLength": 64, "batchSize": 4, "validationTokens": 256, "rank": 8, "learningRate": 0.005}

Run = Callable[..., tuple[Path, Metrics]]


@pytest.fixture
def run(real_spec: Any, tiny_texts: Path, tmp_path: Path) -> Run:
    """Runs a stage; returns the folder of its result and its metrics."""

    def run(stage: ModuleType, params: dict[str, Any], **inputs: Path) -> tuple[Path, Metrics]:
        name = stage.__name__.rpartition(".")[2]
        out = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        shutil.rmtree(tmp_path / "checkpoint", ignore_errors=True)
        spec = real_spec(name, **check_params(name, params))
        return out, stage.run(spec, {"datasets": tiny_texts, **inputs}, out)

    return run


@pytest.fixture(autouse=True)
def own_tokenizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads the tokenizer that the folder of a Qwen2 names: Transformers would take it for the published one."""
    if "qwen2" in request.node.name:
        monkeypatch.setattr(folder_module, "AutoTokenizer", LlamaTokenizer)


@pytest.fixture
def fetched(run: Run) -> Callable[[Path], tuple[Path, Metrics]]:
    """Runs `fetch` on a folder."""
    return lambda path: run(fetch, {"source": {"local": {"path": str(path), "sha256": tree_sha256(path)}}})


@pytest.fixture
def check_same(llama_cpp_bin: Path, tmp_path: Path) -> Callable[..., None]:
    """Compares what llama.cpp and Transformers lose on every token: of a converted model and its folder.

    share: of the tokens, that have to lose the same.
    """

    def check(folder: Path, gguf: Path, loaded: torch.nn.Module | None = None, share: float = 1.0) -> None:
        rows = np.random.default_rng(0).integers(3, 250, (4, 64))
        rows[:, 0] = 1
        scores = score_reference(llama_cpp_bin, gguf / "model.gguf", rows, tmp_path / "logits")
        model = loaded or AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            logits = model(torch.from_numpy(rows)).logits[:, :-1].log_softmax(dim=-1)
        losses = -logits.gather(2, torch.from_numpy(rows)[:, 1:, None]).squeeze(2)
        apart = np.abs(scores.nll - losses[:, -scores.nll.shape[1] :].numpy())
        assert (apart < 0.03).mean() >= share, f"{np.sort(apart.flatten())[-5:]} nats apart"

    return check


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize(
    "pruning",
    [
        {"method": "ffn-second-order", "pruningRatio": 0.12},
        {"method": "attention-groups", "pruningRatio": 0.14},
        {"method": "block-influence", "pruningRatio": 0.2},
        {"method": "mixed", "pruningRatio": 0.3},
    ],
    ids=lambda pruning: pruning["method"],
)
def test_llama_cpp_computes_what_transformers_does_of_a_pruned_model(
    run: Run, fetched: Any, check_same: Any, tiny_of: Any, kind: str, pruning: dict[str, Any]
) -> None:
    base, _ = fetched(tiny_of(kind))
    if kind == "qwen3" and pruning["method"] == "attention-groups":
        pruning = {**pruning, "pruningRatio": 0.22}  # its heads are larger
    pruned, metrics = run(prune, {**pruning, **TEXT}, model=base)
    gguf, _ = run(convert, {"type": "f16"}, model=pruned)
    check_same(pruned, gguf)
    model = AutoModelForCausalLM.from_pretrained(pruned)
    assert sum(parameter.numel() for parameter in model.parameters()) == metrics["parametersAfter"]
    if pruning["method"] == "attention-groups":
        assert (metrics["kvHeadsBefore"], metrics["kvHeadsAfter"]) == (2, 1)


def test_a_qwen2_with_an_ffn_width_of_every_layer_is_written_as_deci(
    run: Run, fetched: Any, check_same: Any, tiny_of: Any
) -> None:
    base, _ = fetched(tiny_of("qwen2"))
    pruning = {"method": "ffn-second-order", "ffnWidths": "per-layer", "pruningRatio": 0.2}
    pruned, metrics = run(prune, {**pruning, **TEXT}, model=base)
    assert len(set(metrics["ffnWidths"].split(", "))) > 1
    gguf, _ = run(convert, {}, model=pruned)
    assert GgufFile(gguf / "model.gguf").metadata["general.architecture"] == "deci"
    check_same(pruned, gguf, load_model(pruned, torch.float32))  # Transformers' own class knows no such widths


def test_widths_of_single_layers_are_refused_of_a_qwen3(run: Run, fetched: Any, tiny_of: Any) -> None:
    base, _ = fetched(tiny_of("qwen3"))
    pruning = {"method": "ffn-second-order", "ffnWidths": "per-layer", "pruningRatio": 0.2}
    with pytest.raises(StageError, match=r"steps\.prune\.ffnWidths: llama\.cpp's qwen3 takes one FFN width for all"):
        run(prune, {**pruning, **TEXT}, model=base)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_model_goes_through_all_steps(run: Run, fetched: Any, check_same: Any, tiny_of: Any, kind: str) -> None:
    base, _ = fetched(tiny_of(kind))
    pruned, _ = run(prune, {"method": "ffn-activation", "pruningRatio": 0.12, "reconstruct": False, **TEXT}, model=base)
    recovered, trained = run(recover, {**TRAINING, "tokens": 20 * 256}, model=pruned, teacher=base)
    assert trained["klAfter"] < 0.97 * trained["klBefore"]

    scaled, _ = run(awq, {"bits": 4, **TEXT}, model=recovered)
    ids = torch.arange(3, 259).view(4, 64)
    before, after = (load_model(folder, torch.float32)(ids).logits for folder in (recovered, scaled))
    torch.testing.assert_close(after, before, rtol=1e-3, atol=2e-3)

    reference, _ = run(convert, {}, model=base)
    full, _ = run(convert, {}, model=scaled)
    check_same(scaled, full)
    measured(run, reference, full)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_recovery_knows_the_type_of_the_release(run: Run, fetched: Any, tiny_of: Any, kind: str) -> None:
    base, _ = fetched(tiny_of(kind))
    converted, _ = run(convert, {}, model=base)
    matrix, _ = run(imatrix, {"chunks": 4, "contextLength": 64}, model=converted)
    inputs = {"model": base, "teacher": base, "converted": converted, "imatrix": matrix}
    params = {**TRAINING, "tokens": 12 * 256, "quantize": {"type": "Q4_0"}}
    _, trained = run(recover, params, **inputs)
    assert trained["klAfter"] < 0.97 * trained["klBefore"]


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text", "phi3", "granite", "mixtral"])
def test_any_architecture_that_the_converter_knows_is_converted_quantized_and_measured(
    run: Run, fetched: Any, check_same: Any, tiny_of: Any, kind: str
) -> None:
    gemma = {"head_dim": 16, "query_pre_attn_scalar": 16}
    own = {
        "gemma2": gemma,
        "gemma3_text": gemma,
        "mixtral": {"num_local_experts": 4},
        "granite": {"attention_multiplier": 0.25},
    }
    base, metrics = fetched(tiny_of(kind, **own.get(kind, {})))
    sizes = ("layers", "hiddenSize", "ffnSize", "heads", "kvHeads", "headDim", "vocabulary")
    assert [metrics[name] for name in sizes] == [4, 64, 128, 4, 2, 16, 300]
    model = AutoModelForCausalLM.from_pretrained(base)
    assert metrics["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert metrics["architecture"] == type(model).__name__
    assert metrics["tied"] is (model.lm_head.weight is model.model.embed_tokens.weight)
    if kind == "mixtral":  # two of four experts
        assert metrics["parameters"] - metrics["tokenParameters"] == 300 * 64 + 4 * 2 * (3 * 64 * 128)
    full, _ = run(convert, {}, model=base)
    # Random experts are often as good as each other for a token, and rounding decides which it takes.
    check_same(base, full, share=0.6 if kind == "mixtral" else 1.0)
    measured(run, full, full)


def measured(run: Run, reference: Path, full: Path) -> None:
    """Quantizes a converted model with an importance matrix, and measures it beside a reference."""
    matrix, _ = run(imatrix, {"chunks": 4, "contextLength": 64}, model=full)
    small, quantized = run(quantize, {"type": "Q4_K_M"}, model=full, imatrix=matrix)
    assert quantized["fileBytes"] < 0.8 * (full / "model.gguf").stat().st_size
    params = {"contextLength": 64, "chunks": 4, "questions": 1, "benchTokens": 4, "promptTokens": 8}
    asked = {**params, "smokeTest": {"prompt": "Who?", "expect": "."}}
    base, _ = run(evaluate, asked, model=reference)
    _, figures = run(evaluate, asked, model=small, reference=base)
    assert figures["perplexity"] > 1 and 0 < figures["kld"] < 3


@pytest.mark.parametrize("path", ["steps.prune", "steps.recover", "steps.awq"])
def test_steps_inside_other_layers_are_refused_before_weights_are_looked_at(
    real_spec: Any, tiny_of: Any, tmp_path: Path, path: str
) -> None:
    folder = without_weights(tiny_of("gemma2", head_dim=16), tmp_path)
    message = rf"{path}: the model is of the architecture Gemma2ForCausalLM, whose layers are not a Llama's — leave "
    with pytest.raises(StageError, match=message):
        fetch_for(real_spec, folder, tmp_path, path)
    stage = {"steps.prune": prune, "steps.recover": recover, "steps.awq": awq}[path]
    name = path.removeprefix("steps.")
    params = {"steps.recover": {**TRAINING, "tokens": 256}, "steps.prune": {"pruningRatio": 0.1}}.get(path, {})
    with pytest.raises(StageError, match=message):
        stage.run(real_spec(name, **check_params(name, params)), {"model": folder, "teacher": folder}, tmp_path)


def test_an_architecture_that_the_converter_does_not_know_is_refused_by_name(
    real_spec: Any, tiny_of: Any, tmp_path: Path
) -> None:
    folder = without_weights(tiny_of("llama"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["Gemma2ForCausalLLM"]}))
    message = r"knows no architecture Gemma2ForCausalLLM, which config\.json names — did you mean Gemma2ForCausalLM\?"
    with pytest.raises(StageError, match=message):
        fetch_for(real_spec, folder, tmp_path)


def test_conversations_are_refused_of_a_model_that_transformers_does_not_know(
    real_spec: Any, tiny_of: Any, tmp_path: Path
) -> None:
    folder = without_weights(tiny_of("llama"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    changed = {**config, "model_type": "plm", "architectures": ["PLMForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(changed))
    with pytest.raises(StageError, match=r"chats: Transformers knows no model of the type plm .* — set `chats: "):
        fetch_for(real_spec, folder, tmp_path, "chats")


def test_a_job_is_told_what_its_result_is_needed_for(
    job_spec: Any, attach: Any, llama_cpp_bin: Path, convert_script: Path, tiny_of: Any, tmp_path: Path
) -> None:
    folder = without_weights(tiny_of("phi3"), tmp_path)
    spec = job_spec("fetch", {"source": {"local": {"path": str(folder), "sha256": tree_sha256(folder)}}})
    tools = {"llamaCppBin": str(llama_cpp_bin), "convertScript": str(convert_script)}
    _, told = attach({**spec, "tools": tools, "neededFor": ["steps.awq", "chats"]}).communicate(timeout=120)
    assert "fetch: steps.awq: the model is of the architecture Phi3ForCausalLM" in told


def without_weights(model: Path, tmp_path: Path) -> Path:
    """A copy of all that is beside them."""
    return Path(shutil.copytree(model, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors")))


def fetch_for(real_spec: Any, folder: Path, tmp_path: Path, *needed_for: str) -> Metrics:
    """Runs `fetch` for a recipe with these parts."""
    (out := tmp_path / "out").mkdir()
    source = {"local": {"path": str(folder), "sha256": tree_sha256(folder)}}
    return fetch.run(dataclasses.replace(real_spec("fetch", source=source), needed_for=needed_for), {}, out)
