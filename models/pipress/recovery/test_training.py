"""Steps of training against the plain formulas of loss, clipping and Adam."""

import copy
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipress.errors import StageError
from pipress.recovery import training
from pipress.recovery.training import held_out_losses, new_optimizer, student_loss, train_step, use_checkpointing

DISTILLATION = {"temperature": 2.0, "klWeight": 0.7}
IDS = torch.randint(0, 40, (5, 12), generator=torch.Generator().manual_seed(1))


def model(seed: int, **settings: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    sizes = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40, initializer_range=0.3, **settings)).eval()


def wanted_of(teacher: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return teacher.model(ids).last_hidden_state


def plain_losses(
    student: LlamaForCausalLM, teacher: LlamaForCausalLM, ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, KL and cross entropy: of every token but the last, what it says about the next."""
    own, other = student(ids).logits[:, :-1].flatten(0, 1), teacher(ids).logits[:, :-1].flatten(0, 1).detach()
    p, q = (other / 2).softmax(dim=-1), (own / 2).softmax(dim=-1)
    kl = 4 * (p * (p / q).log()).sum(dim=-1).mean()
    cross_entropy = -own.log_softmax(dim=-1).gather(1, ids[:, 1:].reshape(-1, 1)).mean()
    return 0.7 * kl + 0.3 * cross_entropy, kl, cross_entropy


def adam(parameters: list[torch.Tensor], gradients: list[list[torch.Tensor]], rates: list[float]) -> None:
    """Adam's formula (Kingma and Ba, arXiv:1412.6980) with 0.9 and 0.99, without decay."""
    for index, parameter in enumerate(parameters):
        mean, square = torch.zeros_like(parameter), torch.zeros_like(parameter)
        for step, (of_step, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
            mean = 0.9 * mean + 0.1 * of_step[index]
            square = 0.99 * square + 0.01 * of_step[index] ** 2
            parameter -= rate * (mean / (1 - 0.9**step)) / ((square / (1 - 0.99**step)).sqrt() + 1e-8)


def test_the_optimizer_is_adam_without_decay() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]
    gradients = [[torch.randn(value.shape, generator=generator) for value in start] for _ in range(4)]
    rates = [0.1, 0.2, 0.05, 0.1]
    trained = [value.clone().requires_grad_() for value in start]
    optimizer = new_optimizer(trained)
    for of_step, rate in zip(gradients, rates, strict=True):
        for parameter, gradient in zip(trained, of_step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    adam(start, gradients, rates)
    for parameter, expected in zip(trained, start, strict=True):
        torch.testing.assert_close(parameter.detach(), expected)


@pytest.mark.parametrize("scale", [10.0, 1e-3])
def test_steps_follow_the_clipped_gradient_at_the_given_rates(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """scale: of the loss, so that the gradient is longer than it may be, or shorter and taken as it is."""
    student, teacher = model(1), model(2)
    wanted, head = wanted_of(teacher, IDS), teacher.lm_head.weight.detach()
    plain = copy.deepcopy(student)
    optimizer = torch.optim.SGD(student.parameters())
    monkeypatch.setattr(training, "student_loss", lambda *given: ((loss := student_loss(*given))[0] * scale, *loss[1:]))
    for rate in (0.1, 0.2, 0.05):
        loss, kl, cross_entropy = train_step(student, optimizer, IDS, wanted, head, rate, DISTILLATION)
        expected = plain_losses(plain, teacher, IDS)
        assert [loss / scale, kl, cross_entropy] == pytest.approx([value.item() for value in expected], rel=1e-4)
        plain.zero_grad()
        (scale * expected[0]).backward()
        gradients = [parameter.grad for parameter in plain.parameters()]
        length = sum(gradient.square().sum() for gradient in gradients).sqrt().item()
        assert (length > 1) is (scale == 10.0)
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter -= rate * gradient / max(1.0, length)
    for parameter, expected_value in zip(student.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected_value, rtol=1e-4, atol=1e-6)
        assert parameter.grad is None, "the next step begins with no gradient"


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_held_back_text_is_judged_as_a_whole_whatever_fits_in_a_batch(batch: int) -> None:
    student, teacher = model(1), model(2)
    student.train()
    grads: list[bool] = []
    student.model.register_forward_pre_hook(lambda *_: grads.append(torch.is_grad_enabled()))
    losses = held_out_losses(student, IDS, wanted_of(teacher, IDS), teacher.lm_head.weight, batch, DISTILLATION)
    assert not any(grads), "nothing is kept for a backward pass"
    _, expected_kl, expected_ce = plain_losses(student, teacher, IDS)
    assert losses.mean(dim=0).tolist() == pytest.approx((expected_kl.item(), expected_ce.item()), rel=1e-4)
    for row, found in zip(IDS, losses.tolist(), strict=True):
        assert found == pytest.approx(
            [value.item() for value in plain_losses(student, teacher, row[None])[1:]], rel=1e-4
        )


def test_looking_at_held_back_text_drops_nothing_out_and_training_may() -> None:
    student, teacher = model(1, attention_dropout=0.5), model(2)
    wanted, head = wanted_of(teacher, IDS), teacher.lm_head.weight.detach()
    looks = {str(held_out_losses(student.train(), IDS, wanted, head, 5, DISTILLATION).tolist()) for _ in range(3)}
    assert len(looks) == 1 and not student.training
    train_step(student, new_optimizer(student.parameters()), IDS, wanted, head, 0.0, DISTILLATION)
    assert student.training


def test_with_gradient_checkpointing_nothing_is_dropped_out() -> None:
    student, teacher = model(1, attention_dropout=0.5), model(2)
    wanted, head = wanted_of(teacher, IDS), teacher.lm_head.weight.detach()
    use_checkpointing(student)
    losses = {train_step(student, new_optimizer([student.lm_head.weight]), IDS, wanted, head, 0.0, DISTILLATION)}
    assert next(iter(losses))[1:] == pytest.approx(
        held_out_losses(student, IDS, wanted, head, 5, DISTILLATION).mean(dim=0).tolist(), rel=1e-4
    )


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_or_a_gradient_that_is_no_number_ends_the_training(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    loss = (weight * float("inf")).sum() if what == "loss" else torch.sqrt(weight).sum()
    monkeypatch.setattr(training, "student_loss", lambda *_: (loss, 0.0, 0.0))
    with pytest.raises(StageError, match="no longer a number"):
        train_step(model(1), new_optimizer([weight]), IDS, IDS, IDS, 0.1, DISTILLATION)
    assert weight.tolist() == [0, 0]


def test_a_student_in_the_type_of_its_teacher_computes_in_bfloat16() -> None:
    """Weights trained in full stay float32; what they compute is rounded as the machine's faster type is."""
    student, teacher = model(1), model(2)
    wanted = wanted_of(teacher, IDS).bfloat16()
    loss, *_ = student_loss(student, IDS, wanted, teacher.lm_head.weight.detach().bfloat16(), DISTILLATION)
    loss.backward()
    exact = plain_losses(student, teacher, IDS)[0].item()
    assert loss.item() == pytest.approx(exact, rel=0.05) and loss.item() != pytest.approx(exact, rel=1e-6)
    assert student.lm_head.weight.dtype == student.lm_head.weight.grad.dtype == torch.float32
