"""Quantization with the real llama.cpp programs on a tiny model with random weights."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipress.conftest import prose, write_texts
from pipress.errors import StageError
from pipress.evaluation.accuracy import accuracy, load_answers
from pipress.quantization import search
from pipress.quantization.llama_quantize import planned_types, quantize
from pipress.quantization.source_model import SourceModel
from pipress.quantization.types import STANDARD_TYPES
from pipress.spec import Spec
from pipress.stages import baseline, evaluate, imatrix
from pipress.stages import quantize as stage
from pipress.weights.gguf_reader import GgufFile


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("datasets"), prose(1, 900), prose(2, 100))


@pytest.fixture(scope="module")
def matrix(tiny_gguf: Path, texts: Path, llama_cpp_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imatrix")
    spec = Spec(
        "imatrix", "imatrix", {"chunks": 2, "contextLength": 64}, llama_cpp_bin, folder, folder, lambda *_, **__: None
    )
    assert imatrix.run(spec, {"model": tiny_gguf, "datasets": texts}, folder) == {"chunks": 2, "contextLength": 64}
    return folder


def test_the_size_of_every_standard_type_is_known_to_the_byte(
    llama_cpp_bin: Path, tiny_gguf: Path, matrix: Path, tmp_path: Path
) -> None:
    model, importance = tiny_gguf / "model.gguf", matrix / "imatrix.gguf"
    for given in (None, importance):
        source = SourceModel(model, given)
        for kind in ("Q8_0", "Q4_K_M", "IQ3_M"):
            plan = planned_types(llama_cpp_bin, model, kind, given)
            assert plan is not None
            quantize(llama_cpp_bin, model, tmp_path / "q.gguf", kind, given)
            assert (tmp_path / "q.gguf").stat().st_size == source.file_bytes(plan)


def test_every_standard_type_is_known_to_the_program(llama_cpp_bin: Path, tiny_gguf: Path, matrix: Path) -> None:
    for kind in STANDARD_TYPES:
        assert planned_types(llama_cpp_bin, tiny_gguf / "model.gguf", kind, matrix / "imatrix.gguf"), kind


def test_types_of_single_tensors_are_taken(real_spec: Any, tiny_gguf: Path, matrix: Path, tmp_path: Path) -> None:
    spec = real_spec(
        "quantize", type="Q4_0", tensorTypes={r"blk\.0\.ffn_down": "Q6_K", "attn_v": "Q8_0"}, tokenEmbeddingType="Q5_1"
    )
    metrics = stage.run(spec, {"model": tiny_gguf, "imatrix": matrix}, tmp_path)
    tensors = GgufFile(tmp_path / "model.gguf").tensors
    types = {name: tensors[name].type.name for name in tensors}
    assert types["blk.0.ffn_down.weight"] == "Q6_K" and types["blk.1.ffn_down.weight"] == "Q4_0"
    assert types["blk.1.attn_v.weight"] == "Q8_0" and types["token_embd.weight"] == "Q5_1"
    assert metrics["type"] == "Q4_0" and metrics["fileBytes"] == (tmp_path / "model.gguf").stat().st_size


def test_the_file_names_no_path_of_this_machine(real_spec: Any, tiny_gguf: Path, matrix: Path, tmp_path: Path) -> None:
    stage.run(real_spec("quantize", type="Q8_0"), {"model": tiny_gguf, "imatrix": matrix}, tmp_path)
    metadata = GgufFile(tmp_path / "model.gguf").metadata
    assert metadata["quantize.imatrix.file"] == "imatrix.gguf"
    assert metadata["quantize.imatrix.dataset"] == "calibration.txt"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tensorTypes": {"ffn_middle": "Q8_0"}}, "no tensor matches `ffn_middle`"),
        (
            {"tensorTypes": {"attn": "Q8_0", r"blk\.0": "Q5_1"}},
            r"tensorTypes gives blk.0.attn_\w+.weight two types, Q8_0 and Q5_1",
        ),
        (
            {"tensorTypes": {"attn_q": "Q6_K"}},
            r"blk.0.attn_q.weight cannot be Q6_K: its rows of 128 are not whole blocks of 256",
        ),
        (
            {"tokenEmbeddingType": "IQ2_XS"},
            r"token_embd.weight cannot be IQ2_XS without an importance matrix.*; token_embd.weight cannot be IQ2_XS: "
            "its rows of 128",
        ),
        ({"type": "F16", "outputTensorType": "Q8_0"}, "F16 takes no types for single tensors"),
    ],
)
def test_overrides_that_cannot_be_are_refused_before_anything_runs(
    make_spec: Any, tiny_gguf: Path, tmp_path: Path, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message):
        stage.run(make_spec("quantize", **{"type": "Q4_0", **params}), {"model": tiny_gguf}, tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less text and fewer types: the search is the same."""
    monkeypatch.setattr(search, "DECIDING_ROWS", 6)
    monkeypatch.setattr(stage, "DECIDING_ROWS", 6)


KINDS = ["Q8_0", "Q6_K", "Q5_1", "Q4_0", "IQ4_NL", "Q3_K"]


@pytest.mark.usefixtures("quick")
def test_the_search_keeps_to_the_bytes_and_is_not_behind_the_best_standard_type(
    real_spec: Any, tiny_gguf: Path, matrix: Path, texts: Path, tmp_path: Path
) -> None:
    inputs = {"model": tiny_gguf, "imatrix": matrix, "datasets": texts}
    budget = SourceModel(tiny_gguf / "model.gguf", matrix / "imatrix.gguf").file_bytes({}) // 3
    spec = real_spec("quantize", objective={"maxFileSize": f"{budget} B", "types": KINDS})
    metrics = stage.run(spec, inputs, tmp_path)
    assert budget * 0.97 < metrics["fileBytes"] <= budget
    assert metrics["searchRival"] in STANDARD_TYPES and metrics["searchKld"] <= metrics["searchRivalKld"]
    measured = (spec.checkpoint / "measured.json").stat().st_mtime_ns
    again = stage.run(spec, inputs, tmp_path)  # a killed search goes on from what it has measured
    assert again == metrics and (spec.checkpoint / "measured.json").stat().st_mtime_ns == measured


@pytest.mark.usefixtures("quick")
def test_an_objective_in_nats_is_met_by_a_small_file(
    real_spec: Any, tiny_gguf: Path, matrix: Path, texts: Path, tmp_path: Path
) -> None:
    spec = real_spec("quantize", objective={"quality": {"kld": 0.01}, "types": KINDS})
    metrics = stage.run(spec, {"model": tiny_gguf, "imatrix": matrix, "datasets": texts}, tmp_path)
    assert 0.002 < metrics["searchKld"] <= 0.01
    assert metrics["fileBytes"] < 0.6 * (tiny_gguf / "model.gguf").stat().st_size


@pytest.mark.usefixtures("quick")
def test_objectives_out_of_reach_are_refused_with_what_can_be_reached(
    real_spec: Any, tiny_gguf: Path, matrix: Path, texts: Path, tmp_path: Path
) -> None:
    inputs = {"model": tiny_gguf, "imatrix": matrix, "datasets": texts}
    with pytest.raises(
        StageError, match=r"no mix .* of 50,000 bytes or less — the smallest reachable is 183,008 bytes"
    ):
        stage.run(real_spec("quantize", objective={"maxFileSize": "50 kB", "types": KINDS}), inputs, tmp_path)
    with pytest.raises(StageError, match=r"divergence of 1e-09 nats per token — the best reachable is \d"):
        objective = {"quality": {"kld": 1e-9}, "types": ["Q4_0", "IQ4_NL"]}
        stage.run(real_spec("quantize", objective=objective), inputs, tmp_path)


def test_a_search_needs_a_matrix_and_text_that_it_has_not_seen(
    real_spec: Any, tiny_gguf: Path, matrix: Path, texts: Path, tmp_path: Path
) -> None:
    spec = real_spec("quantize", objective={"maxFileSize": "1 MB"})
    with pytest.raises(StageError, match="needs an importance matrix — add the step `imatrix`"):
        stage.run(spec, {"model": tiny_gguf, "datasets": texts}, tmp_path)
    write_texts(tmp_path, prose(1, 50))
    with pytest.raises(StageError, match=r"held back .* has [0-9]+ tokens; the search for the best mix needs 5,120"):
        stage.run(spec, {"model": tiny_gguf, "imatrix": matrix, "datasets": tmp_path}, tmp_path)


def test_the_baseline_is_the_closest_standard_type_that_is_not_larger(
    real_spec: Any, tiny_gguf: Path, matrix: Path, tmp_path: Path
) -> None:
    out, like = tmp_path / "out", tmp_path / "like"
    out.mkdir(), like.mkdir()
    stage.run(real_spec("quantize", type="Q5_0"), {"model": tiny_gguf, "imatrix": matrix}, like)
    inputs = {"model": tiny_gguf, "imatrix": matrix, "like": like}
    metrics = baseline.run(real_spec("baseline"), inputs, out)
    assert metrics["type"] == "Q5_0" and metrics["fileBytes"] == metrics["resultBytes"]
    assert metrics["largerThanResult"] is False
    (like / "model.gguf").chmod(0o644)
    (like / "model.gguf").write_bytes(b"x" * 1000)
    assert baseline.run(real_spec("baseline"), inputs, out)["largerThanResult"] is True


def test_of_equal_baselines_the_better_type_is_taken() -> None:
    sizes = {"Q8_0": 30, "IQ4_NL": 20, "Q4_0": 20, "Q2_K": 10}
    assert baseline.closest(sizes, 25) == "IQ4_NL" and baseline.closest(sizes, 5) == "Q2_K"


def evaluation(real_spec: Any, **params: Any) -> Spec:
    given = {"contextLength": 128, "chunks": 3, "questions": 0, "benchTokens": 4, "prompts": ["river stone"]}
    given |= {"promptTokens": 8}
    return real_spec("evaluate", **{**given, **params})


def test_evaluations_are_compared_with_the_base_on_the_same_tokens(
    real_spec: Any, tiny_gguf: Path, matrix: Path, texts: Path, tmp_path: Path
) -> None:
    out, small = tmp_path / "base", tmp_path / "small"
    out.mkdir(), small.mkdir()
    smoke_test = {"prompt": "river", "expect": "", "maxTokens": 4}
    asking = evaluation(real_spec, smokeTest=smoke_test, questions=3)
    base = evaluate.run(asking, {"model": tiny_gguf, "datasets": texts}, out)
    assert base["perplexityRows"] == 3 and base["smokeTestMatches"] is True and "kld" not in base
    assert base["logitsBytes"] == (out / "logits.bin").stat().st_size > 0
    assert base["peakRssBytes"] > 0 and base["loadSeconds"] > 0
    assert 0 <= base["repetition"] <= 1
    answers = load_answers(out / "answers.json")
    assert base["questions"] == len(answers) == 15 and base["accuracy"] == pytest.approx(accuracy(answers).value)
    assert base["accuracyJsonError"] > base["accuracyError"] > 0

    inputs = {"model": tiny_gguf, "datasets": texts, "reference": out}
    itself = evaluate.run(evaluation(real_spec), inputs, small)
    assert "accuracy" not in itself and not (small / "answers.json").exists()
    assert itself["kld"] == pytest.approx(0, abs=1e-4) and itself["topAgreement"] > 0.99
    assert itself["perplexity"] == pytest.approx(base["perplexity"], rel=1e-3)

    stage.run(real_spec("quantize", type="Q4_0"), {"model": tiny_gguf, "imatrix": matrix}, small)
    coarse = evaluate.run(evaluation(real_spec), {**inputs, "model": small}, small)
    assert coarse["kld"] > 0.001 and coarse["topAgreement"] < 0.99 and coarse["kldError"] > 0
    assert not (small / "logits.bin").exists()


def test_a_reference_of_something_else_is_refused(real_spec: Any, tiny_gguf: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "logits.bin").write_bytes(b"no logits at all")
    np.save(tmp_path / "rows.npy", np.zeros((2, 128), int))
    inputs = {"model": tiny_gguf, "datasets": texts, "reference": tmp_path}
    with pytest.raises(StageError, match="cannot be compared with the reference"):
        evaluate.run(evaluation(real_spec), inputs, tmp_path)


def test_too_little_evaluation_text_is_one_clear_error(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    write_texts(tmp_path, "", "Too short.")
    with pytest.raises(StageError, match="the text has fewer than 128 tokens"):
        evaluate.run(evaluation(real_spec), {"model": tiny_gguf, "datasets": tmp_path}, tmp_path)


def damaged(tiny_gguf: Path, parent: Path, change: Callable[[bytearray, GgufFile], bytes | bytearray]) -> Path:
    folder = parent / "damaged"
    folder.mkdir()
    shutil.copy(tiny_gguf / "model.gguf", folder / "model.gguf")
    file = GgufFile(tiny_gguf / "model.gguf")
    content = change(bytearray((folder / "model.gguf").read_bytes()), file)
    (folder / "model.gguf").write_bytes(content)
    return folder


def test_a_nan_among_the_weights_is_refused(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    def with_nan(content: bytearray, file: GgufFile) -> bytearray:
        offset = file.tensors["blk.1.ffn_up.weight"].offset
        content[offset : offset + 2] = struct.pack("<e", np.nan)
        return content

    model = damaged(tiny_gguf, tmp_path, with_nan)
    with pytest.raises(StageError, match=r"llama-quantize .*blk.1.ffn_up.weight.* has invalid data"):
        stage.run(real_spec("quantize", type="Q4_0"), {"model": model}, tmp_path)


def test_a_file_that_is_cut_off_is_refused(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    model = damaged(tiny_gguf, tmp_path, lambda content, file: content[:-5000])
    with pytest.raises(StageError, match=r"model.gguf is not a GGUF that can be read: it ends inside the tensor"):
        stage.run(real_spec("quantize", type="Q4_0"), {"model": model}, tmp_path)


def test_a_flipped_byte_in_the_structure_is_refused(real_spec: Any, tiny_gguf: Path, tmp_path: Path) -> None:
    def flipped(content: bytearray, file: GgufFile) -> bytearray:
        content[content.rfind(b"blk.0.attn_q.weight") + 19 + 4 + 16] ^= 0xFF  # the tensor's type
        return content

    model = damaged(tiny_gguf, tmp_path, flipped)
    with pytest.raises(StageError, match=r"model.gguf is not a GGUF that can be read"):
        stage.run(real_spec("quantize", type="Q4_0"), {"model": model}, tmp_path)
