"""The loss: how far the student's next-token distribution is from the teacher's.

Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), mixed with cross entropy.

The logits of a small model cost more memory than the model, so they are made and used up slice by slice, and the
gradient towards the hidden states is worked out on the way, as in the fused losses of Liger Kernel (arXiv:2410.10989):
nothing of the size (tokens, vocabulary) outlives its slice. On a processor the passes over a slice cost as much as the
products that make it: every buffer is used again, and every pass that can be spared is.
"""

from typing import Any

import torch

# Logits in memory at a time: on a processor what its allocator can hand out again without asking the system for pages.
SLICE_VALUES = {"cpu": 8_000_000, "cuda": 256_000_000}


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
        offsets: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_tokens, vocabulary = len(targets), len(student_head)
        head, other = student_head.to(student.dtype), teacher_head
        gradient = torch.empty_like(student) if ctx.needs_input_grad[0] else None
        head_gradient = torch.zeros_like(student_head) if ctx.needs_input_grad[1] else None
        sums = torch.zeros(2, dtype=torch.float32, device=student.device)
        step = max(1, SLICE_VALUES[student.device.type] // vocabulary)
        # (slice, vocabulary) each, float32
        buffers = torch.empty(3, min(step, n_tokens), vocabulary, dtype=torch.float32, device=student.device)
        for start in range(0, n_tokens, step):
            rows = slice(start, min(start + step, n_tokens))
            logits, wanted, probability = buffers[:, : rows.stop - rows.start]
            expected = targets[rows, None]
            _logits(student[rows], head, offsets, logits)
            _logits(teacher[rows], other, offsets, wanted)
            at_target = logits.gather(1, expected).sum()
            if temperature != 1:
                plain = torch.softmax(logits, dim=-1)
                sums[1] += (_normaliser(logits, plain)).sum() - at_target
                logits /= temperature
                wanted /= temperature
            torch.softmax(wanted, dim=-1, out=probability)
            # KL = sum p_t (log p_t - log p_s), the logarithms written as logits minus their log-sum-exp
            sums[0] += torch.linalg.vecdot(probability, wanted).sum() - torch.linalg.vecdot(probability, logits).sum()
            sums[0] -= _normaliser(wanted, probability).sum()
            own = torch.softmax(logits, dim=-1, out=wanted)
            normalisers = _normaliser(logits, own).sum()
            sums[0] += normalisers
            if temperature == 1:
                sums[1] += normalisers - at_target
            if gradient is None and head_gradient is None:
                continue
            # d KL / d logits = (softmax(student) - softmax(teacher)) / temperature; the loss carries temperature^2.
            # d CE / d logits = softmax(student) - one-hot(target).
            if temperature == 1:
                towards = own.sub_(probability, alpha=kl_weight)
            else:
                towards = own.sub_(probability).mul_(kl_weight * temperature).add_(plain, alpha=1 - kl_weight)
            if kl_weight < 1:
                towards.scatter_add_(1, expected, torch.full_like(expected, kl_weight - 1, dtype=torch.float32))
            towards = towards.to(head.dtype)
            if gradient is not None:
                torch.mm(towards, head, out=gradient[rows])
            if head_gradient is not None:
                head_gradient.addmm_(towards.T.to(head_gradient.dtype), student[rows].to(head_gradient.dtype))
        ctx.gradients = [None if g is None else g.div_(n_tokens) for g in (gradient, head_gradient)]
        sums /= n_tokens
        sums[0] *= temperature**2
        ctx.mark_non_differentiable(sums)
        return kl_weight * sums[0] + (1 - kl_weight) * sums[1], sums

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients = [None if g is None else g * upstream.to(g.dtype) for g in ctx.gradients]
        return *gradients, None, None, None, None, None, None


def _logits(hidden: torch.Tensor, head: torch.Tensor, offsets: torch.Tensor, out: torch.Tensor) -> None:
    """Logits in float32."""
    if head.dtype == torch.float32:
        torch.addmm(offsets, hidden, head.T, out=out)
    else:
        torch.add(hidden @ head.T, offsets, out=out)


def _normaliser(logits: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
    """Log-sum-exp of each row, read off its largest entry: two passes that write nothing."""
    return logits.amax(dim=-1) - probability.amax(dim=-1).log()


def distillation_loss(
    student: torch.Tensor,
    student_head: torch.Tensor,
    teacher: torch.Tensor,
    teacher_head: torch.Tensor,
    targets: torch.Tensor,
    temperature: float,
    kl_weight: float,
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, float, float]:
    """Loss, and its two parts per token in nats: KL(teacher || student) and cross entropy.

    student, teacher: hidden states before the output layer, (n_tokens, hidden). Their heads: (vocabulary, hidden); the
    student's gets a gradient where it is trained. targets: the tokens that really came next, (n_tokens). part: ids of
    the tokens to look at, sorted, targets among them, and the logarithms of their weights; without it, all tokens.
    """
    offsets = torch.zeros((), device=student.device)
    if part is not None:
        ids, offsets = (tensor.to(student.device) for tensor in part)
        student_head, teacher_head, targets = student_head[ids], teacher_head[ids], torch.searchsorted(ids, targets)
    heads = (student_head, teacher, teacher_head)
    loss, parts = _Distillation.apply(student, *heads, targets, temperature, kl_weight, offsets)
    kl, ce = parts.tolist()
    return loss, kl, ce
