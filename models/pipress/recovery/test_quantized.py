"""Training with the weights of the release: beside llama-quantize's own file, and beside a model of those weights."""

import copy
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from pipress.conftest import killed_in_call
from pipress.errors import StageError
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.source_model import SourceModel
from pipress.recovery import precision, together
from pipress.recovery import quantized as module
from pipress.recovery.adapters import LowRankLinear, trainable
from pipress.recovery.merging import save_merged
from pipress.recovery.quantized import QuantizedStudent, ReleaseTypes
from pipress.stages import imatrix as imatrix_stage
from pipress.stages import recover
from pipress.validation import check_params
from pipress.weights.folder import load_model
from pipress.weights.from_gguf import unpack_gguf
from pipress.weights.gguf_names import gguf_name
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.shards import ShardReader

HEADS = {"attn_q": 4, "attn_k": 2}


@pytest.fixture(scope="module")
def model(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `tiny_gguf` as a folder."""
    folder = tmp_path_factory.mktemp("model")
    unpack_gguf(tiny_gguf / "model.gguf", folder)
    return folder


@pytest.fixture
def matrix(real_spec: Any, tiny_gguf: Path, tiny_texts: Path, tmp_path: Path) -> Path:
    """An artifact of the stage `imatrix`."""
    (out := tmp_path / "matrix").mkdir()
    inputs = {"model": tiny_gguf, "datasets": tiny_texts}
    imatrix_stage.run(real_spec("imatrix", chunks=2, contextLength=64), inputs, out)
    return out


def parameters(**changes: Any) -> dict[str, Any]:
    params = {"tokens": 6 * 4 * 32, "sequenceLength": 32, "batchSize": 4, "checkpointEverySteps": 2, "rank": 4}
    return check_params(
        "recover", {**params, "validationTokens": 256, "learningRate": 0.003, "quantize": {"type": "Q4_0"}, **changes}
    )


def release_types(bin_: Path, gguf: Path, matrix: Path | None, kind: str, overrides: Any = None) -> ReleaseTypes:
    given = None if matrix is None else matrix / "imatrix.gguf"
    return ReleaseTypes(bin_, SourceModel(gguf / "model.gguf", given), given, kind, overrides or {})


def with_adapters(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model with adapters that have moved."""
    student = load_model(folder, torch.float32)
    trained = trainable(student, parameters())
    generator = torch.Generator().manual_seed(3)
    for name, values in trained.items():
        if name.endswith(".b"):
            values.data.normal_(0, 0.02, generator=generator)
    return student, trained


def computed_weights(student: Any) -> dict[str, torch.Tensor]:
    """What every matrix of the student comes to, its adapter included, by Hugging Face's name."""
    weights = {"model.embed_tokens.weight": student.model.embed_tokens.weight}
    for name, part in student.named_modules():
        if isinstance(part, LowRankLinear):
            weights[f"{name}.weight"] = part.linear.weight + part.scale * part.b @ part.a
    return {name: weight.detach() for name, weight in weights.items()}


def put_into_gguf(folder: Path, gguf: Path, target: Path) -> None:
    """The weights of `folder` in the place of those of `gguf`, rotary rows in llama.cpp's order."""
    file, content = GgufFile(gguf), bytearray(gguf.read_bytes())
    for name, weight in load_file(folder / "model.safetensors").items():
        tensor = file.tensors[gguf_name(name)]
        if (heads := HEADS.get(gguf_name(name).split(".")[-2])) is not None:
            rows = len(weight) // heads
            weight = weight.view(heads, 2, rows // 2, -1).transpose(1, 2).reshape(weight.shape)
        values = weight.numpy().astype(np.float16 if weight.dim() == 2 else np.float32)
        content[tensor.offset : tensor.offset + tensor.bytes] = values.tobytes()
    target.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [("Q4_0", {}), ("Q3_K_M", {}), ("Q2_0", {}), ("IQ4_XS", {"blk.1.ffn_up.weight": "Q8_0"}), ("Q8_0", {})],
)
@pytest.mark.parametrize("with_matrix", [True, False])
def test_after_a_refresh_the_student_computes_with_what_llama_quantize_makes_of_it(
    kind: str,
    overrides: dict[str, str],
    with_matrix: bool,
    model: Path,
    tiny_gguf: Path,
    matrix: Path,
    llama_cpp_bin: Path,
    tmp_path: Path,
) -> None:
    given = matrix if with_matrix else None
    student, trained = with_adapters(model)
    release = release_types(llama_cpp_bin, tiny_gguf, given, kind, overrides)
    QuantizedStudent(student, model, release).refresh(trained)
    # The way of the release: merged, saved, converted, quantized by llama-quantize, read again.
    for folder in ("merged", "released"):
        (tmp_path / folder).mkdir()
    save_merged(model, {name: values.detach() for name, values in trained.items()}, 32 / 4, tmp_path / "merged")
    put_into_gguf(tmp_path / "merged", tiny_gguf / "model.gguf", tmp_path / "merged.gguf")
    path = None if given is None else given / "imatrix.gguf"
    quantize(llama_cpp_bin, tmp_path / "merged.gguf", tmp_path / "quantized.gguf", kind, path, overrides)
    made = GgufFile(tmp_path / "quantized.gguf")
    if kind != "Q2_0":  # the package does not read these back
        assert len({tensor.type for tensor in made.tensors.values()}) >= 2
        unpack_gguf(tmp_path / "quantized.gguf", tmp_path / "released")
        expected = load_file(tmp_path / "released" / "model.safetensors")
        for name, weight in computed_weights(student).items():
            # float16, in which they were unpacked, and the sum of two float32s in the student.
            torch.testing.assert_close(weight, expected[name].float(), rtol=1e-3, atol=1e-5)
    moved = load_file(tmp_path / "merged" / "model.safetensors")["model.layers.0.mlp.up_proj.weight"].float()
    assert (computed_weights(student)["model.layers.0.mlp.up_proj.weight"] - moved).abs().max() > 1e-4


def test_between_refreshes_the_rounding_stays_and_the_weight_moves_with_its_adapter(
    model: Path, tiny_gguf: Path, llama_cpp_bin: Path
) -> None:
    student, trained = with_adapters(model)
    quantized = QuantizedStudent(student, model, release_types(llama_cpp_bin, tiny_gguf, None, "Q4_0"))
    quantized.refresh(trained)
    name, layer = "model.layers.1.mlp.down_proj", student.model.layers[1].mlp.down_proj
    before, kept = computed_weights(student)[f"{name}.weight"], copy.deepcopy(quantized.refreshed_with)
    step = torch.randn(layer.b.shape, generator=torch.Generator().manual_seed(4)) * 1e-3
    layer.b.data += step
    after = computed_weights(student)[f"{name}.weight"]
    torch.testing.assert_close(after - before, layer.scale * step @ layer.a.detach(), rtol=1e-3, atol=1e-6)
    assert all(torch.equal(values, kept[key]) for key, values in quantized.refreshed_with.items()), "a copy"
    # The next refresh rounds what the weight has become: all of it lies on a grid again.
    quantized.refresh(trained)
    again = computed_weights(student)[f"{name}.weight"]
    assert not torch.allclose(again, after, atol=1e-5)
    blocks = again.view(-1, 32)
    steps = blocks / (blocks.abs().amax(1, keepdim=True) / 8)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


def test_gradients_go_straight_through_to_the_adapters(model: Path, tiny_gguf: Path, llama_cpp_bin: Path) -> None:
    student, trained = with_adapters(model)
    QuantizedStudent(student, model, release_types(llama_cpp_bin, tiny_gguf, None, "Q4_0")).refresh(trained)
    # A model that has the quantized weights and nothing else: what it would change of them goes to the adapter.
    plain = load_model(model, torch.float32)
    weights = computed_weights(student)
    plain.load_state_dict({name: weights.get(name, values) for name, values in plain.state_dict().items()})
    ids = torch.randint(0, 256, (2, 24), generator=torch.Generator().manual_seed(5))
    losses = []
    for one in (student, plain):
        logits = one(ids, use_cache=False).logits
        losses.append(cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()))
        losses[-1].backward()
    torch.testing.assert_close(*losses, rtol=1e-4, atol=0)
    for name, parameter in plain.named_parameters():
        layer = name.removesuffix(".weight")
        if f"{layer}.a" not in trained:
            continue
        a, b = trained[f"{layer}.a"], trained[f"{layer}.b"]
        torch.testing.assert_close(b.grad, 8.0 * parameter.grad @ a.detach().T, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(a.grad, 8.0 * b.detach().T @ parameter.grad, rtol=1e-3, atol=1e-5)


def test_one_matrix_is_in_memory_at_a_time(
    model: Path, tiny_gguf: Path, llama_cpp_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, trained = with_adapters(model)
    types = release_types(llama_cpp_bin, tiny_gguf, None, "Q4_0")
    whole = ReleaseTypes.of(types, "model.embed_tokens.weight", student.model.embed_tokens.weight.detach())
    alive: set[int] = set()
    most = 0
    plain = ShardReader.load

    def load(reader: ShardReader, name: str) -> torch.Tensor:
        nonlocal most
        tensor = plain(reader, name)
        alive.add(id(tensor))
        weakref.finalize(tensor, alive.discard, id(tensor))
        most = max(most, len(alive))
        return tensor

    monkeypatch.setattr(ShardReader, "load", load)
    monkeypatch.setattr(module, "ROWS", 100)  # of 258 tokens
    quantized = QuantizedStudent(student, model, types)
    quantized.refresh(trained)
    # The one before lives until its name is taken by the next.
    assert 1 <= most <= 2
    assert torch.equal(student.model.embed_tokens.weight, whole), "in pieces as at once"


@pytest.fixture
def inputs(model: Path, tiny_gguf: Path, tiny_texts: Path, matrix: Path) -> dict[str, Path]:
    """Of a plan without pruning."""
    return {"model": model, "teacher": model, "datasets": tiny_texts, "converted": tiny_gguf, "imatrix": matrix}


def test_an_unpruned_model_recovers_from_its_quantization(
    real_spec: Any, inputs: dict[str, Path], tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    metrics = recover.run(real_spec("recover", **parameters(tokens=60 * 4 * 32, earlyStoppingPatience=9)), inputs, out)
    # Held-back text is judged by the weights of the release: a teacher's own weights would be at zero.
    assert metrics["klBefore"] > 0.01 and metrics["klAfter"] < 0.9 * metrics["klBefore"]
    curve = json.loads((out / "loss.json").read_text())["validation"]
    (plain := tmp_path / "plain").mkdir()
    for file in (tmp_path / "checkpoint").iterdir():
        file.unlink()
    without = parameters()
    del without["quantize"]
    assert recover.run(real_spec("recover", **without), inputs, plain)["klBefore"] == 0
    # Saved are full-precision weights: quantized they are what the best look at held-back text judged.
    student = load_model(out, torch.float32)
    release = release_types(real_spec("recover").llama_cpp_bin, inputs["converted"], inputs["imatrix"], "Q4_0")
    for name, weight in student.named_parameters():
        if weight.dim() == 2:
            weight.data.copy_(release.of(name, load_file(out / "model.safetensors")[name]))
    text = recover.read_training_text(inputs["datasets"], inputs["model"], parameters(tokens=60 * 4 * 32))
    held = text.sequences[text.held_back]
    with torch.no_grad():
        teacher = load_model(inputs["teacher"], torch.float32)
        wanted, head = teacher.model(held, use_cache=False).last_hidden_state, teacher.lm_head.weight
        losses = recover.held_out_losses(student, held, wanted, head, 4, {"temperature": 1.0, "klWeight": 1.0})
    assert losses[:, 0].mean().item() == pytest.approx(min(entry["kl"] for entry in curve), rel=0.02)


def test_a_killed_training_goes_on_with_the_weights_that_it_was_quantized_to(
    real_spec: Any, inputs: dict[str, Path], tmp_path: Path
) -> None:
    # Refreshed before steps 0 and 6, killed in step 9, gone on from step 8.
    spec = real_spec("recover", **parameters(tokens=12 * 4 * 32, refreshes=2, validations=2))
    (whole := tmp_path / "whole").mkdir()
    recover.run(spec, inputs, whole)
    for file in spec.checkpoint.iterdir():
        file.unlink()
    with killed_in_call(recover, "train_step", 9):
        recover.run(spec, inputs, tmp_path)
    (resumed := tmp_path / "resumed").mkdir()
    recover.run(spec, inputs, resumed)
    assert (whole / "loss.json").read_text() == (resumed / "loss.json").read_text()
    one, other = load_file(whole / "model.safetensors"), load_file(resumed / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_processes_quantize_and_train_to_the_losses_of_one(
    real_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, looks = real_spec("recover", **parameters(validations=3)), []
    for count in ("1", "2"):
        monkeypatch.setenv(together.COUNT_VARIABLE, count)
        for file in spec.checkpoint.iterdir():
            file.unlink()
        (spec.checkpoint / precision.FILE).write_text("float32")
        (out := tmp_path / count).mkdir()
        recover.run(spec, inputs, out)
        looks.append(json.loads((out / "loss.json").read_text())["validation"])
    assert len(looks[0]) == 3 and looks[0][0]["kl"] > 0.01
    for one, other in zip(*looks, strict=True):
        # An adapter a rounding apart puts a few weights on the next step of their grid.
        assert one["kl"] == pytest.approx(other["kl"], rel=0.02)
    assert looks[0][0]["kl"] == pytest.approx(looks[1][0]["kl"], rel=1e-4), "before training there is nothing to differ"


def test_what_it_cannot_train_or_quantize_is_refused(real_spec: Any, inputs: dict[str, Path], tmp_path: Path) -> None:
    for changes, problem in (
        ({"fullLayers": 1}, "trains adapters only"),
        ({"lmHead": True}, "trains adapters only"),
        ({"quantize": {"type": "F16"}}, "quantizes nothing to F16"),
        ({"quantize": {"type": "Q4_0", "tensorTypes": {"blk.7": "Q8_0"}}}, "no tensor matches"),
    ):
        with pytest.raises(StageError, match=problem):
            recover.run(real_spec("recover", **parameters(**changes)), inputs, tmp_path)
