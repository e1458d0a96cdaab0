"""Candidates made by the real llama-quantize, against its own files and a plain computation of what is lost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipress.errors import StageError
from pipress.quantization import candidates as module
from pipress.quantization.candidates import Candidates
from pipress.quantization.conftest import SHAPES, importance
from pipress.quantization.llama_quantize import quantize
from pipress.quantization.source_model import SourceModel
from pipress.weights.gguf_reader import GgufFile

Make = Callable[[], Candidates]


@pytest.fixture
def make(small_gguf: Callable[..., Path], matrix: Path, llama_cpp_bin: Path, tmp_path: Path) -> Make:
    """Begins with what the folder holds, as a new run does."""
    path = small_gguf()
    return lambda: Candidates(llama_cpp_bin, SourceModel(path, matrix), matrix, tmp_path / "candidates" / "all")


def ignore(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K"])
@pytest.mark.parametrize("rows", [(1, 1), (5, 1), (1, 7 * 256), (1000, 1)])
def test_what_a_type_loses_is_the_share_of_the_output_that_turns_to_noise(
    kind: str, rows: tuple[int, int], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLED_ROWS", rows[0])
    monkeypatch.setattr(module, "SAMPLED_WEIGHTS", rows[1])
    candidates = make()
    source, made = candidates.source, {}
    plain = candidates.folder / "plain.gguf"
    fitting = [name for name, shape in SHAPES.items() if kind == "Q4_0" or shape[1] == 256]
    everything = {name: kind if name in fitting else "F16" for name in SHAPES}
    quantize(candidates.llama_cpp_bin, source.path, plain, "Q4_0", candidates.imatrix, everything)
    candidates.make(kind, ignore)
    file = GgufFile(plain)
    for name in fitting:
        exact, rounded = source.file.load(name), file.load(name)
        # The embeddings have no importance: all their columns are alike.
        weights = importance(exact.shape[1]) if name.startswith("blk.") else np.ones(exact.shape[1])
        count = min(len(exact), max(rows[0], rows[1] // exact.shape[1]))
        chosen = [int(index) for index in np.linspace(0, len(exact) - 1, count)]
        lost = sum(weights[j] * float(exact[i, j] - rounded[i, j]) ** 2 for i in chosen for j in range(exact.shape[1]))
        power = sum(weights[j] * float(exact[i, j]) ** 2 for i in chosen for j in range(exact.shape[1]))
        made[name] = lost / power
    assert candidates.losses[kind] == pytest.approx(made, rel=1e-4)
    assert candidates.losses["F16"] == dict.fromkeys(SHAPES, 0.0)


def test_a_tensor_of_zeros_loses_nothing(
    small_gguf: Callable[..., Path], matrix: Path, llama_cpp_bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "_rows", lambda file, name, chosen: np.zeros((len(chosen), SHAPES[name][1]), np.float32)
    )
    candidates = Candidates(llama_cpp_bin, SourceModel(small_gguf(), matrix), matrix, tmp_path / "candidates")
    candidates.make("Q4_0", ignore)
    assert set(candidates.losses["Q4_0"].values()) == {0.0}


MIXES = [
    {},
    dict.fromkeys(SHAPES, "Q4_0"),
    {"token_embd.weight": "Q5_0", "blk.0.ffn_down.weight": "Q4_K", "blk.2.attn_q.weight": "Q4_0"},
    {"blk.2.ffn_down.weight": "Q4_K", "blk.0.attn_q.weight": "F16", "blk.1.ffn_down.weight": "Q5_0"},
]


@pytest.mark.parametrize("piece", [1 << 24, 7])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_file_of_any_mix_is_the_one_that_llama_quantize_writes(
    piece: int,
    dtype: type,
    small_gguf: Callable[..., Path],
    matrix: Path,
    llama_cpp_bin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "COPY_BYTES", piece)
    source = SourceModel(small_gguf(dtype=dtype), matrix)
    candidates = Candidates(llama_cpp_bin, source, matrix, tmp_path / "candidates")
    for kind in ("Q4_0", "Q5_0", "Q4_K"):
        candidates.make(kind, ignore)
    for mix in MIXES:
        mix = {name: "F32" if kind == "F16" and dtype is np.float32 else kind for name, kind in mix.items()}
        candidates.assemble(mix, tmp_path / "own.gguf")
        everything = {name: mix.get(name, source.full_type) for name in SHAPES}
        # The last type that was made wrote the header: its file type stays.
        quantize(llama_cpp_bin, source.path, tmp_path / "theirs.gguf", "Q4_K_M", matrix, everything)
        assert (tmp_path / "own.gguf").read_bytes() == (tmp_path / "theirs.gguf").read_bytes()
        assert (tmp_path / "own.gguf").stat().st_size == source.file_bytes(mix)


def test_progress_runs_through_quantizing_and_reading_back(make: Make) -> None:
    told: list[float] = []
    make().make("Q4_0", lambda done, total: told.append(done / total))
    assert told == sorted(told) and 0 <= told[0] < 0.1 and told[-1] == pytest.approx(13 / 14)
    assert any(0.3 < share < 0.5 for share in told) and any(0.6 < share < 0.8 for share in told)


def test_what_an_earlier_run_made_is_read_and_not_made_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    for kind in ("Q4_0", "Q4_K"):
        first.make(kind, ignore)
    assert sorted(path.name for path in first.folder.iterdir()) == [
        *("Q4_0.bin", "Q4_0.json", "Q4_K.bin", "Q4_K.json", "header.bin")
    ]
    monkeypatch.setattr(module, "quantize", lambda *_: pytest.fail("it was made again"))
    second = make()
    for candidates in (first, second):
        for kind in ("Q4_0", "Q4_K", "F16"):
            candidates.make(kind, ignore)
    assert second.losses == first.losses and second.offsets == first.offsets
    assert set(first.losses["Q4_K"]) == {name for name in SHAPES if "ffn_down" in name}


@pytest.mark.parametrize("file", ["Q4_0.bin", "header.bin", "Q4_0.json"])
@pytest.mark.parametrize("damage", ["missing", "cut off", "longer"])
def test_what_a_power_cut_left_is_made_anew(file: str, damage: str, make: Make, tmp_path: Path) -> None:
    first = make()
    first.make("Q4_0", ignore)
    path, content = first.folder / file, (first.folder / file).read_bytes()
    changed = {"missing": None, "cut off": content[:-3], "longer": content + b"\n}"}[damage]
    path.unlink() if changed is None else path.write_bytes(changed)
    second = make()
    second.make("Q4_0", ignore)
    assert path.read_bytes() == content and second.losses == first.losses
    for candidates, name in ((first, "one"), (second, "two")):
        candidates.assemble({"blk.0.attn_q.weight": "Q4_0"}, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_run_killed_while_it_makes_a_type_leaves_nothing_that_is_taken_for_whole(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, order = make(), []
    replace, write = module.replace_synced, module.write_json
    monkeypatch.setattr(module, "replace_synced", lambda part, path: (order.append(path.name), replace(part, path)))
    monkeypatch.setattr(module, "write_json", lambda path, value: (order.append(path.name), write(path, value)))
    first.make("Q4_0", ignore)
    assert order == ["header.bin", "Q4_0.bin", "Q4_0.json"], "the index says that the rest is there"


def test_a_file_cut_off_while_it_is_read_is_named(make: Make, tmp_path: Path) -> None:
    candidates = make()
    candidates.make("Q4_0", ignore)
    blob = candidates.folder / "Q4_0.bin"
    blob.write_bytes(blob.read_bytes()[:-10])
    with pytest.raises(StageError, match=r"Q4_0\.bin is cut off: it ends inside blk\.2\.ffn_down\.weight"):
        candidates.assemble(dict.fromkeys(SHAPES, "Q4_0"), tmp_path / "mix.gguf")


def test_types_are_offered_where_they_fit(make: Make) -> None:
    kinds = ["Q8_0", "Q4_K", "IQ2_XS"]
    candidates = make()
    assert candidates.kinds_for("blk.0.ffn_down.weight", kinds) == kinds
    assert candidates.kinds_for("blk.0.attn_q.weight", kinds) == ["Q8_0"]
    assert candidates.kinds_for("token_embd.weight", ["Q4_K"]) == []
