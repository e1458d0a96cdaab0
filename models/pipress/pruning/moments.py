"""What the calibration text says about the inputs of a linear layer: sums over tokens, never the tokens themselves."""

import torch


class Moments:
    """Second moments of a linear layer's inputs x and of what its outputs y should be, over all tokens seen.

    gram: sum of x x^T, (d_in, d_in). cross: sum of x y^T, (d_in, d_out). magnitude: sum of |x|, (d_in). All float32.

    Every token weighs in with one over the mean square of the residual stream that the output is added to: the next
    RMSNorm divides by its root, so this is what an error in y comes to there. Without it, the few tokens with massive
    activations (Sun et al., arXiv:2402.17762) would outweigh all others in a least-squares fit.
    """

    def __init__(self, d_in: int, d_out: int, device: torch.device) -> None:
        self.gram = torch.zeros(d_in, d_in, device=device)
        self.cross = torch.zeros(d_in, d_out, device=device)
        self.magnitude = torch.zeros(d_in, device=device)

    def add(self, inputs: torch.Tensor, wanted: torch.Tensor, stream: torch.Tensor) -> None:
        """Adds tokens. inputs: (..., d_in); wanted and stream: (..., d_out)."""
        scale = stream.flatten(0, -2).square().mean(dim=1, keepdim=True).clamp_min(TINY).rsqrt()
        x = inputs.flatten(0, -2) * scale
        self.gram.addmm_(x.T, x)
        self.cross.addmm_(x.T, wanted.flatten(0, -2) * scale)
        self.magnitude += x.abs().sum(dim=0)

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both texts together."""
        both = Moments(len(self.magnitude), self.cross.shape[1], self.gram.device)
        for name in ("gram", "cross", "magnitude"):
            torch.add(getattr(self, name), getattr(other, name), out=getattr(both, name))
        return both


# Keeps a stream of zeros (an empty embedding row) from dividing by zero.
TINY = 1e-12
