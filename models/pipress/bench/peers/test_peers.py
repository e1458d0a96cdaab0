"""Peers on small models: what they leave is a Llama, and is in the store as a stage's artifact would be."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipress.bench.peer import make
from pipress.bench.peers.prune_layers import similarities
from pipress.errors import StageError
from pipress.store.file_store import FileStore

STATISTICS = """
  Layer  Tensor          Mean    CosSim
     7 | attn_q        0.1000    0.9999

Computing layer statistics for imatrix.gguf (3 layers)

Layer |         ∑ E[A²]    Gain |     L2 Dist   CosSim      PCC         Cov
----------------------------------------------------------------------------
    0 |        100.0000     nan |         nan      nan      nan         nan
    1 |        120.0000    1.10 |      3.0000   0.9300   0.9100      0.1000
    2 |        130.0000    1.05 |      2.0000   0.9800   0.9700      0.2000
"""


def test_layers_are_told_apart_by_their_own_table_and_the_first_never_goes() -> None:
    assert similarities(STATISTICS.splitlines()) == {1: 0.93, 2: 0.98}


def test_statistics_without_that_table_are_no_statistics() -> None:
    with pytest.raises(StageError, match="no layer statistics"):
        similarities(STATISTICS.splitlines()[:4])


def test_a_peer_leaves_an_artifact_and_is_not_asked_twice(job_spec: Any, monkeypatch: Any) -> None:
    asked = []

    def run(spec: Any, inputs: dict[str, Path], out: Path) -> dict[str, float]:
        asked.append(spec.params)
        (out / "model.gguf").write_text("made")
        return {"pruningRatio": 0.1}

    module = ModuleType("pipress.bench.peers.fake")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    spec = job_spec("fake", {"share": 0.1})
    make(spec)
    make(spec)
    manifest = FileStore(spec["store"]).manifest(spec["key"])
    assert asked == [{"share": 0.1}]
    assert manifest is not None and manifest["metrics"] == {"pruningRatio": 0.1} and manifest["seconds"] >= 0
    assert (FileStore(spec["store"]).open(spec["key"]) / "model.gguf").read_text() == "made"


@pytest.mark.parametrize("importance", ["taylor", "magnitude"])
def test_torch_pruning_leaves_a_smaller_llama(
    importance: str, make_spec: Any, tiny_model: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    from pipress.bench.peers import torch_pruning

    out = tmp_path / "out"
    out.mkdir()
    params = {"importance": importance, "pruningRatio": 0.3, "calibrationTokens": 512, "sequenceLength": 64}
    metrics = torch_pruning.run(
        make_spec("torch-pruning", **params), {"model": tiny_model, "datasets": tiny_texts}, out
    )
    assert metrics["pruningRatio"] == pytest.approx(0.3, abs=0.12)
    assert metrics["hiddenAfter"] == 64 if importance == "taylor" else metrics["hiddenAfter"] < 64
