"""Low-rank adapters on frozen linear layers (LoRA, Hu et al., arXiv:2106.09685).

A layer's output is `x W^T + scale * (x A^T) B^T`. Both products go into one output by accumulating matrix
multiplication, forwards and backwards, and the frozen weight gets no gradient: what an adapter costs beside the frozen
layer's two products are its own four thin ones, and no pass over the activations.
"""

import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,  # (n, in)
        weight: torch.Tensor,  # (out, in), frozen
        bias: torch.Tensor | None,
        a: torch.Tensor,  # (rank, in)
        b: torch.Tensor,  # (out, rank)
        scale: float,
    ) -> torch.Tensor:
        a, b = a.to(x.dtype), b.to(x.dtype)
        low = x @ a.T  # (n, rank)
        y = torch.nn.functional.linear(x, weight, bias)
        y.addmm_(low, b.T, alpha=scale)
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, a, b, low = ctx.saved_tensors
        thin = (gradient @ b).mul_(ctx.scale)  # (n, rank)
        towards_a, towards_b = thin.T @ x, (gradient.T @ low).mul_(ctx.scale)
        towards_x = None
        if ctx.needs_input_grad[0]:  # the first layer's input is the embeddings': nobody asks
            towards_x = gradient @ weight
            towards_x.addmm_(thin, a)
        return towards_x, None, None, towards_a.float(), towards_b.float(), None


class LowRankLinear(nn.Module):
    """A frozen linear layer with its adapter. The adapter is float32 whatever the layer is: updates are small."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), scale_of(rank, alpha)
        # PEFT's start: A as a linear layer's own, B zero, so that training begins at the layer as it is.
        bound = 1 / math.sqrt(linear.in_features)
        a = torch.empty(rank, linear.in_features).uniform_(-bound, bound, generator=generator)
        self.a = nn.Parameter(a.to(linear.weight.device))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank, device=linear.weight.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).to(self.linear.weight.dtype)
        y = _LowRank.apply(rows, self.linear.weight, self.linear.bias, self.a, self.b, self.scale)
        return y.view(*x.shape[:-1], -1)


def scale_of(rank: int, alpha: float) -> float:
    """What an adapter's product is multiplied by."""
    return alpha / rank


def trainable(model: PreTrainedModel, p: dict[str, Any]) -> dict[str, nn.Parameter]:
    """Freezes the model, in place, but for what the recipe trains; returns that by name.

    Adapters of `rank` on `targetModules` in every layer; in the last `fullLayers` layers all weights instead (the last
    layers and the output layer in full: "Reassessing Layer Pruning in LLMs", arXiv:2411.15558), and with `lmHead` the
    output layer. Where that is tied to the embeddings it stays so: the one matrix gets the gradients of both its uses.
    """
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(p["seed"])
    n_adapted = max(0, len(model.model.layers) - p["fullLayers"])
    for layer in model.model.layers[:n_adapted]:
        for part in (layer.self_attn, layer.mlp):
            for name in p["targetModules"]:
                if (linear := getattr(part, name, None)) is not None:
                    setattr(part, name, LowRankLinear(linear, p["rank"], p["alpha"], generator))
    for layer in model.model.layers[n_adapted:]:
        layer.float().requires_grad_(True)
    if p["lmHead"]:
        model.lm_head.float().requires_grad_(True)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
