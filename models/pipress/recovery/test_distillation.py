"""The fused loss against the plain formula, with and without a part of the vocabulary, whoever wants gradients."""

import pytest
import torch

from pipress.recovery import distillation
from pipress.recovery.distillation import distillation_loss

TOKENS, HIDDEN, VOCABULARY = 7, 6, 11


def values(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {
        "student": (TOKENS, HIDDEN),
        "student_head": (VOCABULARY, HIDDEN),
        "teacher": (TOKENS, HIDDEN),
        "teacher_head": (VOCABULARY, HIDDEN),
    }
    tensors = {name: torch.randn(*size, generator=generator) for name, size in sizes.items()}
    return {**tensors, "targets": torch.randint(0, VOCABULARY, (TOKENS,), generator=generator)}


def plain(
    given: dict[str, torch.Tensor],
    temperature: float,
    kl_weight: float,
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, KL and cross entropy, token by token; a token's weight counts as if it stood there so many times."""
    ids, weights = part or (torch.arange(VOCABULARY), torch.zeros(VOCABULARY))
    kl, cross_entropy = [], []
    for token in range(TOKENS):
        own = given["student_head"] @ given["student"][token]
        other = given["teacher_head"] @ given["teacher"][token]
        own, other = own[ids] + weights, other[ids] + weights
        p, q = (other / temperature).softmax(0), (own / temperature).softmax(0)
        kl.append(temperature**2 * (p * (p.log() - q.log())).sum())
        cross_entropy.append(-own.softmax(0)[ids == given["targets"][token]].log().sum())
    means = sum(kl) / TOKENS, sum(cross_entropy) / TOKENS
    return kl_weight * means[0] + (1 - kl_weight) * means[1], *means


@pytest.fixture(params=[VOCABULARY * 3, VOCABULARY * 3 - 1, 1, 10**6], autouse=True)
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tokens at a time with one left over, two, one, all."""
    monkeypatch.setitem(distillation.SLICE_VALUES, "cpu", request.param)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("wants", [("student",), ("student_head",), ("student", "student_head"), ()])
def test_loss_and_gradients_are_those_of_the_plain_formula(
    temperature: float, kl_weight: float, wants: tuple[str, ...]
) -> None:
    fused, formula = values(), values()
    for name in wants:
        fused[name].requires_grad_(), formula[name].requires_grad_()
    loss, kl, cross_entropy = distillation_loss(**fused, temperature=temperature, kl_weight=kl_weight)
    expected = plain(formula, temperature, kl_weight)
    assert [loss.item(), kl, cross_entropy] == pytest.approx([value.item() for value in expected], rel=1e-4)
    if wants:
        (-3 * loss).backward()
        (-3 * expected[0]).backward()
    for name in wants:
        torch.testing.assert_close(fused[name].grad, formula[name].grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_part_of_the_vocabulary_is_looked_at_with_its_weights(temperature: float) -> None:
    fused, formula = values(1), values(1)
    present = set(fused["targets"].tolist())
    ids = torch.tensor(sorted(present | {0, VOCABULARY - 1}))
    weights = torch.tensor([0.0 if token in present else 1.2 for token in ids.tolist()])
    for given in (fused, formula):
        given["student"].requires_grad_(), given["student_head"].requires_grad_()
    loss, kl, cross_entropy = distillation_loss(**fused, temperature=temperature, kl_weight=0.6, part=(ids, weights))
    expected = plain(formula, temperature, 0.6, (ids, weights))
    assert [loss.item(), kl, cross_entropy] == pytest.approx([value.item() for value in expected], rel=1e-4)
    loss.backward()
    expected[0].backward()
    for name in ("student", "student_head"):
        torch.testing.assert_close(fused[name].grad, formula[name].grad, rtol=1e-3, atol=1e-5)


def test_what_is_half_as_exact_comes_near_to_the_same() -> None:
    given, formula = values(2), values(2)
    given["student"].requires_grad_(), formula["student"].requires_grad_()
    half = {name: value if name == "targets" else value.detach().bfloat16() for name, value in given.items()}
    half["student"].requires_grad_()
    loss, *_ = distillation_loss(**half, temperature=2.0, kl_weight=0.5)
    expected, *_ = plain(formula, 2.0, 0.5)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=0.05)
    torch.testing.assert_close(half["student"].grad.float(), formula["student"].grad, rtol=0.1, atol=0.02)


def test_a_student_that_says_what_its_teacher_says_is_at_no_distance() -> None:
    given = values(3)
    given["student"], given["student_head"] = given["teacher"].clone().requires_grad_(), given["teacher_head"]
    loss, kl, _ = distillation_loss(**given, temperature=2.0, kl_weight=1.0)
    loss.backward()
    assert kl == pytest.approx(0, abs=1e-5) and given["student"].grad.abs().max() < 1e-6
