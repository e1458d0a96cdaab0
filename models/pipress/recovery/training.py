"""One step of recovery training, and the look at held-out text."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from transformers import PreTrainedModel

from pipress.errors import StageError
from pipress.recovery.distillation import distillation_loss
from pipress.recovery.together import ALONE, Ranks

MAX_GRADIENT_NORM = 1.0


def new_optimizer(trained: Iterable[torch.Tensor]) -> torch.optim.AdamW:
    """AdamW without weight decay; its rate is set at every step."""
    return torch.optim.AdamW(trained, weight_decay=0.0, betas=(0.9, 0.99), fused=True)


def use_checkpointing(student: PreTrainedModel) -> None:
    """Keeps one hidden state per layer for the backward pass and computes the rest again (Chen et al., 1604.06174)."""
    student.activation_checkpointing_enable({"use_reentrant": False})
    for layer in student.model.layers:
        layer.self_attn.attention_dropout = 0.0  # Transformers checkpoints in training mode only, which would drop out


def train_step(
    student: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    rate: float,
    distillation: dict[str, Any],
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
    ranks: Ranks = ALONE,
    batch: int | None = None,
) -> tuple[float, float, float]:
    """Trains on one batch; returns loss, KL and cross entropy per token before the update, in nats.

    ids: (n, length) tokens; wanted: the teacher's hidden states of them, (n, length, hidden). part: the part of the
    vocabulary that is looked at, see `VocabularyPart`. ranks: who trains on other rows of the same batch at the same
    time; batch: how many rows all have together. Raises StageError, and changes nothing, where loss or gradient are
    not finite.
    """
    student.train()
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    loss, kl, ce = student_loss(student, ids, wanted, teacher_head, distillation, part)
    if ranks.count > 1:  # the mean over the batch is the sum of these
        weight = len(ids) / (batch or len(ids))
        loss = loss * weight
        loss.backward()
        figures = torch.tensor([loss.item(), kl * weight, ce * weight])
        ranks.add([*(parameter.grad for parameter in trained), figures])
        loss, kl, ce = figures[0], *figures[1:].tolist()
    else:
        loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
    if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
        raise StageError("the loss is no longer a number", "lower recover.learningRate and run `up` again")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), kl, ce


@torch.no_grad()
def held_out_losses(
    student: PreTrainedModel,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    batch: int,
    distillation: dict[str, Any],
) -> torch.Tensor:
    """KL and cross entropy per token of each of (n, length) tokens, (n, 2) in float64, `batch` sequences at a time."""
    student.eval()
    losses = []
    for part, states in zip(ids.split(batch), wanted.split(batch), strict=True):
        part, states = part.to(teacher_head.device), states.to(teacher_head.device)
        hidden = last_hidden(student, part, states.dtype)
        for row, own, other in zip(part, hidden, states, strict=True):
            _, *figures = student_loss(student, row[None], other[None], teacher_head, distillation, hidden=own[None])
            losses.append(figures)
    return torch.tensor(losses, dtype=torch.float64).view(len(ids), 2)


def student_loss(
    student: PreTrainedModel,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    distillation: dict[str, Any],
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
    hidden: torch.Tensor | None = None,
) -> tuple[torch.Tensor, float, float]:
    """Loss with its graph, KL and cross entropy of a batch; arguments as in `train_step`.

    hidden: the student's own `last_hidden` of the batch, where it is known already.
    """
    if hidden is None:
        hidden = last_hidden(student, ids, wanted.dtype)
    return distillation_loss(
        hidden[:, :-1].flatten(0, 1),
        student.lm_head.weight,
        wanted[:, :-1].flatten(0, 1),
        teacher_head,
        ids[:, 1:].flatten(),
        distillation["temperature"],
        distillation["klWeight"],
        part,
    )


def last_hidden(student: PreTrainedModel, ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The student's hidden states before the output layer, (n, length, hidden) in `dtype`."""
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        return student.model(ids, use_cache=False).last_hidden_state.to(dtype)
