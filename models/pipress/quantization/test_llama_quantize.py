"""llama-quantize: what it is told, and what is heard of it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipress.errors import StageError
from pipress.quantization.conftest import SHAPES
from pipress.quantization.llama_quantize import exactly, planned_types, quantize
from pipress.weights.gguf_reader import GgufFile


def types_of(path: Path) -> dict[str, str]:
    return {name: tensor.type.name for name, tensor in GgufFile(path).tensors.items() if name in SHAPES}


def test_tensors_whose_rows_do_not_fit_are_counted_and_progress_is_told(
    small_gguf: Callable[..., Path], llama_cpp_bin: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    fallbacks = quantize(
        llama_cpp_bin, small_gguf(), tmp_path / "out.gguf", "Q4_K_S", None, None, lambda *done: told.append(done)
    )
    types = types_of(tmp_path / "out.gguf")
    columns = {name: shape[1] for name, shape in SHAPES.items()}
    assert fallbacks == sum(columns[name] == 64 for name in SHAPES if name.startswith("blk.")) == 3
    assert all(kind.endswith("_K") is (columns[name] == 256) for name, kind in types.items())
    # Norms are on its list as well.
    assert sorted(set(told)) == [(n, 10) for n in range(1, 11)]
    assert quantize(llama_cpp_bin, small_gguf(), tmp_path / "out.gguf", "Q8_0", None) == 0


def test_an_override_is_for_one_tensor_and_no_other(
    small_gguf: Callable[..., Path], llama_cpp_bin: Path, tmp_path: Path
) -> None:
    shapes = {**SHAPES, "blk.10.attn_q.weight": (64, 64), "xblk.1.attn_q.weight": (64, 64)}
    quantize(
        llama_cpp_bin,
        small_gguf(shapes),
        tmp_path / "out.gguf",
        "Q4_0",
        None,
        {"blk.1.attn_q.weight": "Q8_0", "blk.0.ffn_down.weight": "Q6_K"},
    )
    tensors = GgufFile(tmp_path / "out.gguf").tensors
    others = {name: tensors[name].type.name for name in shapes if name not in ("token_embd.weight",)}
    assert others.pop("blk.1.attn_q.weight") == "Q8_0" and others.pop("blk.0.ffn_down.weight") == "Q6_K"
    assert set(others.values()) == {"Q4_0"}
    assert re.fullmatch(exactly("blk.1.attn_q"), "blk.1.attn_q") and not re.search(exactly("blk.1.a"), "blk.1.attn")
    assert not re.search(exactly("blk.1.a"), "blk_1.a") and not re.search(exactly("k.1"), "blk.1")


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_K_M", "IQ4_XS"])
@pytest.mark.parametrize("with_matrix", [False, True])
def test_what_is_planned_is_what_is_made(
    kind: str, with_matrix: bool, small_gguf: Callable[..., Path], matrix: Path, llama_cpp_bin: Path, tmp_path: Path
) -> None:
    given = matrix if with_matrix else None
    path, out = small_gguf(), tmp_path / "out.gguf"
    plan = planned_types(llama_cpp_bin, path, kind, given)
    quantize(llama_cpp_bin, path, out, kind, given)
    assert plan == types_of(out)
    metadata = GgufFile(out).metadata
    assert metadata.get("quantize.imatrix.file") == ("imatrix.gguf" if with_matrix else None)


def test_a_file_type_that_there_is_not_has_no_plan(small_gguf: Callable[..., Path], llama_cpp_bin: Path) -> None:
    assert planned_types(llama_cpp_bin, small_gguf(), "Q9_9", None) is None


def test_a_program_that_is_not_there_is_named(small_gguf: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="llama-quantize is missing"):
        planned_types(tmp_path, small_gguf(), "Q8_0", None)
