"""The loss: how far the student's next-token distribution is from the teacher's.

Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), mixed with cross entropy.

The logits of a small model cost more memory than the model, so they are made and used up slice by slice, and the
gradient towards the hidden states is worked out on the way, as in the fused losses of Liger Kernel (arXiv:2410.10989):
nothing of the size (tokens, vocabulary) outlives its slice.
"""

from typing import Any

import torch

# Tokens whose logits are in memory at a time.
SLICE = 256


class _Distillation(torch.autograd.Function):
    """Mean loss per token; see `distillation_loss`."""

    @staticmethod
    def forward(
        ctx: Any,
        student: torch.Tensor,
        student_head: torch.Tensor,
        teacher: torch.Tensor,
        teacher_head: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        kl_weight: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_tokens = len(targets)
        gradient = torch.empty_like(student)
        kl_sum = student.new_zeros((), dtype=torch.float32)
        ce_sum = student.new_zeros((), dtype=torch.float32)
        for start in range(0, n_tokens, SLICE):
            rows = slice(start, start + SLICE)
            # (slice, vocabulary) each, float32 from here on
            logits = (student[rows] @ student_head.T).float()
            wanted = (teacher[rows] @ teacher_head.T).float()
            expected = targets[rows, None]
            ce_sum += (logits.logsumexp(dim=-1) - logits.gather(1, expected).squeeze(1)).sum()
            towards = torch.zeros_like(logits)
            if kl_weight < 1:
                # d CE / d logits = softmax(student) - one-hot(target)
                towards.add_(logits.softmax(dim=-1)).scatter_add_(1, expected, -torch.ones_like(expected).float())
                towards.mul_((1 - kl_weight) / n_tokens)
            if temperature != 1:
                logits /= temperature
                wanted /= temperature
            # KL = sum p_t (log p_t - log p_s), the logarithms written as logits minus their log-sum-exp
            probability = wanted.softmax(dim=-1)
            normalisers = logits.logsumexp(dim=-1) - wanted.logsumexp(dim=-1)
            kl_sum += (torch.linalg.vecdot(probability, wanted.sub_(logits)) + normalisers).sum()
            # d KL / d logits = (softmax(student) - softmax(teacher)) / temperature; the loss carries temperature^2
            towards.add_(logits.softmax(dim=-1).sub_(probability), alpha=kl_weight * temperature / n_tokens)
            gradient[rows] = towards.to(student_head.dtype) @ student_head
        ctx.save_for_backward(gradient)
        kl, ce = kl_sum * temperature**2 / n_tokens, ce_sum / n_tokens
        both = torch.stack([kl, ce])
        ctx.mark_non_differentiable(both)
        return kl_weight * kl + (1 - kl_weight) * ce, both

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None, None, None


def distillation_loss(
    student: torch.Tensor,
    student_head: torch.Tensor,
    teacher: torch.Tensor,
    teacher_head: torch.Tensor,
    targets: torch.Tensor,
    temperature: float,
    kl_weight: float,
) -> tuple[torch.Tensor, float, float]:
    """Loss, and its two parts per token in nats: KL(teacher || student) and cross entropy.

    student, teacher: hidden states before the output layer, (n_tokens, hidden). Their heads: (vocabulary, hidden),
    frozen. targets: the tokens that really came next, (n_tokens).
    """
    loss, parts = _Distillation.apply(student, student_head, teacher, teacher_head, targets, temperature, kl_weight)
    kl, ce = parts.tolist()
    return loss, kl, ce
