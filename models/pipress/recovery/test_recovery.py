"""The parts of recovery training, each against the plain formula it stands for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.peft_model import PeftModel
from transformers import LlamaForCausalLM

from pipress.conftest import write_texts
from pipress.errors import StageError
from pipress.recovery import distillation, precision
from pipress.recovery.adapters import scale_of, trainable
from pipress.recovery.checkpoints import LATEST, load_checkpoint, save_checkpoint
from pipress.recovery.distillation import distillation_loss
from pipress.recovery.merging import save_merged
from pipress.recovery.schedule import learning_rate
from pipress.recovery.teacher import FILE, teacher_states
from pipress.recovery.text import read_training_text
from pipress.recovery.training import new_optimizer, train_step, use_checkpointing
from pipress.recovery.vocabulary import VocabularyPart
from pipress.validation import check_params
from pipress.weights.folder import load_model

PLAIN = {"temperature": 1.0, "klWeight": 1.0}


def params(**changes: Any) -> dict[str, Any]:
    base = {"tokens": 768, "sequenceLength": 32, "batchSize": 4, "rank": 4, "validationTokens": 256}
    return check_params("recover", {**base, **changes})


@pytest.fixture
def model(tiny_model: Path) -> LlamaForCausalLM:
    return load_model(tiny_model, torch.float32)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(0, 257, (2, 32), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kl_weight", [1.0, 0.7])
def test_the_loss_and_its_gradients_are_those_of_the_plain_formula(
    temperature: float, kl_weight: float, monkeypatch: Any
) -> None:
    monkeypatch.setitem(distillation.SLICE_VALUES, "cpu", 22)  # two tokens a slice, one in the last
    torch.manual_seed(0)
    student, head = torch.randn(5, 8, requires_grad=True), torch.randn(11, 8, requires_grad=True)
    teacher, other, targets = torch.randn(5, 8), torch.randn(11, 8), torch.randint(0, 11, (5,))
    loss, kl, ce = distillation_loss(student, head, teacher, other, targets, temperature, kl_weight)
    loss.backward()
    one, two = (tensor.detach().clone().requires_grad_() for tensor in (student, head))
    logits, wanted = one @ two.T, teacher @ other.T
    log = torch.nn.functional.log_softmax
    expected_kl = temperature**2 * torch.nn.functional.kl_div(
        log(logits / temperature, -1), log(wanted / temperature, -1), log_target=True, reduction="batchmean"
    )
    expected_ce = torch.nn.functional.cross_entropy(logits, targets)
    (kl_weight * expected_kl + (1 - kl_weight) * expected_ce).backward()
    assert kl == pytest.approx(expected_kl.item(), rel=1e-4) and ce == pytest.approx(expected_ce.item(), rel=1e-4)
    torch.testing.assert_close(student.grad, one.grad)
    torch.testing.assert_close(head.grad, two.grad)


def test_a_part_of_the_vocabulary_stands_for_all_of_it() -> None:
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(4000, 16, generator=generator)
    states = torch.randn(4, 32, 16, generator=generator)
    student = states + 0.3 * torch.randn(4, 32, 16, generator=generator)
    targets = torch.randint(0, 4000, (128,), generator=generator)
    arguments = (head, states.flatten(0, 1), head, targets, 1.0, 1.0)
    assert VocabularyPart(states, head, 1, seed=1).choose(0, targets) is None
    vocabulary = VocabularyPart(states, head, 0.8, seed=1)
    ids, weights = vocabulary.choose(3, targets)
    assert set(vocabulary.kept.tolist()) | set(targets.tolist()) <= set(ids.tolist()) and len(ids) < 3000
    assert torch.equal(vocabulary.choose(3, targets)[0], ids) and not torch.equal(vocabulary.choose(4, targets)[0], ids)
    assert weights.exp().sum() == pytest.approx(4000), "the drawn stand for all that are left out"
    whole, parts = student.flatten(0, 1).requires_grad_(), []
    exact, kl, ce = distillation_loss(whole, *arguments)
    exact.backward()
    for step in range(16):
        near = student.flatten(0, 1).detach().requires_grad_()
        loss, *figures = distillation_loss(near, *arguments, vocabulary.choose(step, targets))
        loss.backward()
        parts.append((near.grad, *figures))
    gradient = torch.stack([part[0] for part in parts]).mean(dim=0)
    assert torch.nn.functional.cosine_similarity(gradient.flatten(), whole.grad.flatten(), dim=0) > 0.98
    assert sum(part[1] for part in parts) / 16 == pytest.approx(kl, rel=0.05)
    assert sum(part[2] for part in parts) / 16 == pytest.approx(ce, rel=0.05)


def merged(source: Path, trained: dict[str, Any], p: dict[str, Any], out: Path) -> LlamaForCausalLM:
    save_merged(source, {name: value.detach() for name, value in trained.items()}, scale_of(p["rank"], p["alpha"]), out)
    return load_model(out, torch.float32)


def test_adapters_train_exactly_as_those_of_peft(tiny_model: Path, ids: torch.Tensor, tmp_path: Path) -> None:
    p = params()
    own, theirs = load_model(tiny_model, torch.float32), load_model(tiny_model, torch.float32)
    trained = trainable(own, p)
    config = LoraConfig(r=4, lora_alpha=p["alpha"], target_modules=p["targetModules"], task_type="CAUSAL_LM")
    peft = get_peft_model(theirs, config)
    generator = torch.Generator().manual_seed(5)
    pairs = []
    for name, parameter in trained.items():
        module, which = name.removeprefix("model.").rsplit(".", 1)
        other = peft.get_submodule(f"base_model.model.model.{module}.lora_{which.upper()}.default").weight
        value = 0.1 * torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(value), other.data.copy_(value)
        pairs.append((parameter, other))
    assert len(pairs) == 2 * 7 * 2
    for network in (own, peft):
        network(ids, labels=ids).loss.backward()
    for parameter, other in pairs:
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in own.parameters() if not p.requires_grad)
    reference = peft.merge_and_unload() if isinstance(peft, PeftModel) else peft
    plain = merged(tiny_model, trained, p, tmp_path)
    torch.testing.assert_close(plain(ids).logits, reference(ids).logits, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(plain(ids).logits, own(ids).logits, rtol=1e-3, atol=1e-4)


def test_the_last_layers_and_a_tied_output_layer_can_be_trained_in_full(
    model: LlamaForCausalLM, tiny_model: Path, ids: torch.Tensor, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    p = params(fullLayers=1, lmHead=True)
    trained = trainable(model, p)
    assert "model.layers.0.mlp.up_proj.a" in trained and "model.layers.1.mlp.up_proj.weight" in trained
    assert "model.layers.1.input_layernorm.weight" in trained and "model.embed_tokens.weight" in trained
    wanted = torch.randn(2, 32, 64)
    head = before["lm_head.weight"]
    for _ in range(2):  # adapters begin at B = 0: A moves from the second step on
        train_step(model, new_optimizer(trained.values()), ids, wanted, head, 0.01, PLAIN)
    plain = merged(tiny_model, trained, p, tmp_path)
    after = plain.state_dict()
    torch.testing.assert_close(plain(ids).logits, model.eval()(ids).logits, rtol=1e-3, atol=1e-4)
    assert plain.lm_head.weight is plain.model.embed_tokens.weight, "tied as it was"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "lm_head.weight" in changed and "model.layers.1.mlp.up_proj.weight" in changed
    assert "model.layers.0.mlp.up_proj.weight" in changed and "model.layers.0.input_layernorm.weight" not in changed


def test_gradient_checkpointing_changes_memory_not_weights(tiny_model: Path, ids: torch.Tensor) -> None:
    results = []
    for checkpointing in (False, True):
        model = load_model(tiny_model, torch.float32)
        head = model.lm_head.weight.detach().clone()
        trained = trainable(model, params())
        if checkpointing:
            use_checkpointing(model)
        optimizer = new_optimizer(trained.values())
        wanted = torch.randn(2, 32, 64, generator=torch.Generator().manual_seed(1))
        for _ in range(2):
            train_step(model, optimizer, ids, wanted, head, 0.01, PLAIN)
        assert model.model.is_activation_checkpointing is checkpointing
        results.append(trained)
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name])


def test_a_step_whose_loss_is_no_number_is_refused_and_changes_nothing(
    model: LlamaForCausalLM, ids: torch.Tensor
) -> None:
    trained = trainable(model, params())
    before = {name: value.detach().clone() for name, value in trained.items()}
    wanted = torch.full((2, 32, 64), float("nan"))
    with pytest.raises(StageError, match=r"no longer a number — lower recover\.learningRate"):
        train_step(model, new_optimizer(trained.values()), ids, wanted, model.lm_head.weight, 0.01, PLAIN)
    for name, value in trained.items():
        assert torch.equal(value, before[name])


def test_the_teacher_is_asked_once_and_a_killed_pass_goes_on(
    model: LlamaForCausalLM, ids: torch.Tensor, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("pipress.recovery.teacher.BATCH_TOKENS", 64)
    sequences = torch.cat([ids, ids.flip(0), ids.roll(1, 1), ids[:1]])
    shares: list[float] = []
    whole = teacher_states(model, sequences, tmp_path, shares.append).clone()
    with torch.no_grad():
        torch.testing.assert_close(whole, model.model(sequences).last_hidden_state)
    assert len(shares) == 4
    with open(tmp_path / FILE, "r+b") as file:
        file.truncate(3 * 32 * 64 * 4 + 7)  # killed in the second batch
    shares.clear()
    assert torch.equal(teacher_states(model, sequences, tmp_path, shares.append), whole) and len(shares) == 3
    shares.clear()
    teacher_states(model, sequences, tmp_path, shares.append)
    assert shares == []


def test_a_teacher_that_computes_no_numbers_is_named(
    model: LlamaForCausalLM, ids: torch.Tensor, tmp_path: Path
) -> None:
    model.model.norm.weight.data[0] = float("inf")
    with pytest.raises(StageError, match="the teacher computes values that are not finite"):
        teacher_states(model, ids, tmp_path, lambda share: None)


def test_every_epoch_sees_every_sequence_once_in_an_order_of_its_own(tiny_texts: Path, tiny_model: Path) -> None:
    text = read_training_text(tiny_texts, tiny_model, params(tokens=3 * 8 * 32, epochs=3))
    rows = torch.cat([text.rows(step) for step in range(6)]).tolist()
    epochs = [rows[0:8], rows[8:16], rows[16:24]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(8))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert text.rows(4).tolist() == rows[16:20], "a function of the step alone"
    assert text.sequences[text.held_back].shape == (8, 32)


@pytest.mark.parametrize("written", ["", "Too little."])
def test_too_little_text_is_refused(written: str, tiny_model: Path, tmp_path: Path) -> None:
    write_texts(tmp_path, written)
    with pytest.raises(StageError, match=r"gives 0 sequences of 32 tokens, .* — take more .* datasets.calibration"):
        read_training_text(tmp_path, tiny_model, params())


def test_a_checkpoint_of_another_training_is_refused(model: LlamaForCausalLM, tmp_path: Path) -> None:
    trained = trainable(model, params())
    save_checkpoint(tmp_path, LATEST, {"trained": {name: torch.zeros(1) for name in trained}})
    with pytest.raises(StageError, match=r"recover\.pt is of another training.* — `rm -r /"):
        load_checkpoint(tmp_path, LATEST, trained)
    (tmp_path / LATEST).write_bytes(b"cut off")
    assert load_checkpoint(tmp_path, LATEST, trained) is None


def test_the_learning_rate_follows_the_recipe() -> None:
    schedule = check_params("recover", {"tokens": 256})["schedule"]
    rates = [learning_rate(step, 100, 1.0, schedule) for step in range(100)]
    assert rates[0] == 0.2 and max(rates) == 1.0 and rates[-1] == pytest.approx(0.1, abs=0.01)
    linear = [learning_rate(step, 100, 1.0, {"warmup": 0, "decay": "linear", "floor": 0}) for step in range(100)]
    assert linear[0] == 1.0 and linear[50] == pytest.approx(0.5, abs=0.02) and linear[-1] < 0.02
    constant = {"warmup": 0.1, "decay": "constant", "floor": 0.1}
    assert {learning_rate(step, 100, 1.0, constant) for step in range(10, 100)} == {1.0}


@pytest.mark.parametrize("faster", [torch.bfloat16, torch.float32])
def test_a_processor_trains_in_the_type_it_multiplies_faster(faster: torch.dtype, monkeypatch: Any) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda dtype: 1.0 if dtype == faster else 1.5)
    assert precision.faster_dtype(torch.device("cpu")) == faster


def test_a_resumed_training_goes_on_in_its_type_on_a_machine_that_would_take_another(
    tmp_path: Path, monkeypatch: Any
) -> None:
    device = torch.device("cpu")
    monkeypatch.setattr(precision, "faster_dtype", lambda device: torch.bfloat16)
    assert precision.training_dtype(device, tmp_path) == torch.bfloat16
    monkeypatch.setattr(precision, "faster_dtype", lambda device: torch.float32)
    assert precision.training_dtype(device, tmp_path) == torch.bfloat16
