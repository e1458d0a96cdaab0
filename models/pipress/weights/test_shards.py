from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from pipress.errors import StageError
from pipress.weights.files import check_weights
from pipress.weights.shards import INDEX, ShardReader, ShardWriter
from pipress.weights.streamed import StreamedLlama


def write(folder: Path, tensors: dict[str, torch.Tensor], shard_bytes: int) -> None:
    folder.mkdir()
    with ShardWriter(folder, shard_bytes) as writer:
        for name, tensor in tensors.items():
            writer.write(name, tensor)


def test_what_was_written_in_shards_is_read_again_by_this_and_by_transformers(tiny_model: Path, tmp_path: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(tiny_model)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    out = tmp_path / "out"
    write(out, tensors, 60_000)
    assert len(list(out.glob("model-*-of-*.safetensors"))) > 2 and (out / INDEX).exists()
    check_weights(out)
    reader = ShardReader(out)
    assert reader.shapes() == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        torch.testing.assert_close(reader.load(name), tensor, rtol=0, atol=0)
    (out / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    again = LlamaForCausalLM.from_pretrained(out)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_one_shard_is_one_plain_file_in_the_type_it_was_given(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(3, 5).to(dtype)
    write(tmp_path / "out", {"a": tensor.T}, 10_000)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    torch.testing.assert_close(ShardReader(tmp_path / "out").load("a"), tensor.T.contiguous(), rtol=0, atol=0)


def test_a_tensor_that_is_not_there_is_named(tiny_model: Path) -> None:
    with pytest.raises(StageError, match=r"model\.layers\.7\.x missing"):
        ShardReader(tiny_model).load("model.layers.7.x")


def test_layer_by_layer_computes_what_the_whole_model_does(tiny_model: Path) -> None:
    whole = LlamaForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    ids = torch.arange(96).view(3, 32)
    model = StreamedLlama(tiny_model, torch.device("cpu"))
    logits = whole(ids).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    torch.testing.assert_close(model.losses(model.last_states(ids), ids).flatten(), expected, rtol=1e-4, atol=1e-4)
