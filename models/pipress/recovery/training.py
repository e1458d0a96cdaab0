"""One step of recovery training, and the look at held-out text."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.recovery.distillation import distillation_loss

MAX_GRADIENT_NORM = 1.0


def new_optimizer(trained: Iterable[torch.Tensor]) -> torch.optim.AdamW:
    """AdamW without weight decay; its rate is set at every step."""
    return torch.optim.AdamW(trained, weight_decay=0.0, betas=(0.9, 0.99), fused=True)


def use_checkpointing(student: LlamaForCausalLM) -> None:
    """Keeps one hidden state per layer for the backward pass and computes the rest again (Chen et al., 1604.06174)."""
    student.activation_checkpointing_enable({"use_reentrant": False})
    for layer in student.model.layers:
        layer.self_attn.attention_dropout = 0.0  # Transformers checkpoints in training mode only, which would drop out


def train_step(
    student: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    rate: float,
    distillation: dict[str, Any],
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[float, float, float]:
    """Trains on one batch; returns loss, KL and cross entropy per token before the update, in nats.

    ids: (n, length) tokens; wanted: the teacher's hidden states of them, (n, length, hidden). part: the part of the
    vocabulary that is looked at, see `VocabularyPart`. Raises StageError, and changes nothing, where loss or gradient
    are not finite.
    """
    student.train()
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    loss, kl, ce = student_loss(student, ids, wanted, teacher_head, distillation, part)
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
def held_out_loss(
    student: LlamaForCausalLM,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    batch: int,
    distillation: dict[str, Any],
) -> tuple[float, float]:
    """KL and cross entropy per token on (n, length) tokens, `batch` sequences at a time."""
    student.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    for part, states in zip(ids.split(batch), wanted.split(batch), strict=True):
        part, states = part.to(teacher_head.device), states.to(teacher_head.device)
        sums += len(part) * torch.tensor(student_loss(student, part, states, teacher_head, distillation)[1:])
    kl, ce = (sums / len(ids)).tolist()
    return kl, ce


def student_loss(
    student: LlamaForCausalLM,
    ids: torch.Tensor,
    wanted: torch.Tensor,
    teacher_head: torch.Tensor,
    distillation: dict[str, Any],
    part: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, float, float]:
    """Loss with its graph, KL and cross entropy of a batch; arguments as in `train_step`."""
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=wanted.dtype == torch.bfloat16):
        hidden = student.model(ids, use_cache=False).last_hidden_state[:, :-1]
    return distillation_loss(
        hidden.flatten(0, 1).to(wanted.dtype),
        student.lm_head.weight,
        wanted[:, :-1].flatten(0, 1),
        teacher_head,
        ids[:, 1:].flatten(),
        distillation["temperature"],
        distillation["klWeight"],
        part,
    )
