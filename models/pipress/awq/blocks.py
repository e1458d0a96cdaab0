"""Rounding weights to few bits the way llama.cpp's types do: in blocks along a row, each with a scale of its own."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Block:
    """A block of `size` weights next to each other in a row, kept in `bits` each.

    offset: whether it has a minimum beside its scale (Q4_K, Q2_K), or is symmetric around zero (Q3_K, Q6_K).
    """

    bits: int
    size: int
    offset: bool


# https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h: block_q2_K, block_q3_K, ...
BLOCKS = {
    2: Block(2, 16, offset=True),
    3: Block(3, 16, offset=False),
    4: Block(4, 32, offset=True),
    5: Block(5, 32, offset=True),
    6: Block(6, 16, offset=False),
}


def round_to_blocks(weight: torch.Tensor, block: Block) -> torch.Tensor:
    """`weight` (out, in) as it would be after rounding to nearest; rows that no block divides end in a shorter one."""
    rest = -weight.shape[1] % block.size
    # The filler repeats the row's end: it moves neither the largest nor the smallest value of the last block.
    padded = torch.cat([weight, weight[:, -1:].expand(-1, rest)], dim=1) if rest else weight
    w = padded.reshape(-1, block.size)
    if block.offset:
        # llama.cpp's minimum is never above zero
        low, high = w.amin(dim=1, keepdim=True).clamp(max=0), w.amax(dim=1, keepdim=True)
        scale = ((high - low) / (2**block.bits - 1)).clamp(min=1e-12)
        rounded = ((w - low) / scale).round_().clamp_(0, 2**block.bits - 1).mul_(scale).add_(low)
    else:
        # The value furthest from zero takes the end of the range that has one step more: [-2^(bits-1), 2^(bits-1) - 1]
        furthest = w.gather(1, w.abs().argmax(dim=1, keepdim=True))
        half = 2 ** (block.bits - 1)
        scale = furthest / -half
        scale = torch.where(scale.abs() < 1e-12, torch.full_like(scale, 1e-12), scale)
        rounded = (w / scale).round_().clamp_(-half, half - 1).mul_(scale)
    return rounded.view_as(padded)[:, : weight.shape[1]]
