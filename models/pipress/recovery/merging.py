"""What was trained, put into the model that it was trained on: tensor by tensor, so that no model is in memory."""

from collections.abc import Mapping
from pathlib import Path

import torch

from pipress.pruning.shape import shape_of
from pipress.weights.files import read_config
from pipress.weights.folder import check_loads, save_beside, stored_dtype
from pipress.weights.shards import ShardReader, ShardWriter


def save_merged(source: Path, trained: Mapping[str, torch.Tensor], scale: float, out: Path) -> int:
    """Saves the model in `source`, in its type, with what was trained on it; loads it again. Returns its parameters.

    trained: by the names of `adapters.trainable`. The product of an adapter's `LAYER.b` (out, rank) and `LAYER.a`
    (rank, in) is added to the layer's weight, times `scale`; a weight that was trained in full takes the place of the
    old one. All in float32: bfloat16 would swallow small updates.
    """
    reader, dtype = ShardReader(source), stored_dtype(source)
    with ShardWriter(out) as writer:
        for name in shape_of(read_config(source)).tensors():
            writer.write(name, _merged(name, reader.load(name), trained, scale).to(dtype))
    (out / "config.json").write_bytes((source / "config.json").read_bytes())
    save_beside(source, out)
    return check_loads(out)


def _merged(name: str, weight: torch.Tensor, trained: Mapping[str, torch.Tensor], scale: float) -> torch.Tensor:
    if name in trained:
        return trained[name]
    layer = name.removesuffix(".weight")
    if f"{layer}.a" not in trained:
        return weight
    return merged(weight, trained[f"{layer}.a"], trained[f"{layer}.b"], scale)


def merged(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    """A weight (out, in) with the product of its adapter's b (out, rank) and a (rank, in), in float32."""
    return torch.addmm(weight.float(), b, a, alpha=scale)
