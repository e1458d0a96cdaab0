"""Making a machine ready, with what is asked for put in place by hand or left out."""

import json
from pathlib import Path

import pytest

from pipress.builder.prepare import Toolbox, prepare
from pipress.builder.run import complete
from pipress.errors import StageError
from pipress.jobs.job import all_jobs

PIN = {"sha256": "ab" * 32, "archive": "a.tar.gz", "targets": ["llama-quantize"], "cmakeArgs": ["-DX=ON"]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What was sent to the machine, as far as it is looked at here."""
    (tmp_path / "source/toolchain/llama-cpp/cmake").mkdir(parents=True)
    (tmp_path / "source/toolchain/llama-cpp/cmake/a.cmake").write_text("set(A 1)")
    settings = {"uvVersion": "1.0", "venv": "cd" * 8, "llamaCpp": PIN}
    (tmp_path / "source/builder.json").write_text(json.dumps(settings))
    return tmp_path / "source"


def put_in_place(toolbox: Toolbox) -> None:
    for path in (toolbox.prepared.python, toolbox.prepared.llama_cpp_bin / "llama-quantize"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (toolbox.venv / ".complete").touch()
    toolbox.llama_source.mkdir(parents=True)
    toolbox.prepared.convert_script.touch()
    (toolbox.llama_build / "ready.json").write_text(json.dumps({"recipe": toolbox.recipe()}))


def test_a_box_that_is_ready_is_used_at_once(source: Path, tmp_path: Path) -> None:
    toolbox = Toolbox(source, tmp_path / "cache")
    put_in_place(toolbox)
    prepared = prepare(source, tmp_path / "jobs", tmp_path / "cache")
    assert prepared == toolbox.prepared and all_jobs(tmp_path / "jobs") == []
    spec = complete({"name": "convert"}, tmp_path / "jobs", prepared)
    assert spec == {
        "name": "convert",
        "jobs": str(tmp_path / "jobs"),
        "tools": {
            "llamaCppBin": str(toolbox.llama_build / "bin"),
            "convertScript": str(toolbox.llama_source / "convert_hf_to_gguf.py"),
        },
    }


def test_a_stage_that_uses_no_llama_cpp_does_not_wait_for_it(source: Path, tmp_path: Path) -> None:
    toolbox = Toolbox(source, tmp_path / "cache")
    put_in_place(toolbox)
    (toolbox.llama_build / "ready.json").unlink()
    prepared = prepare(source, tmp_path / "jobs", tmp_path / "cache", llama_cpp=False)
    assert prepared == toolbox.prepared and all_jobs(tmp_path / "jobs") == []


def test_tools_of_another_recipe_or_an_unfinished_environment_do_not_count(source: Path, tmp_path: Path) -> None:
    toolbox = Toolbox(source, tmp_path / "cache")
    put_in_place(toolbox)
    (source / "toolchain/llama-cpp/cmake/a.cmake").write_text("set(A 2)")
    assert not toolbox.has_llama_cpp() and toolbox.has_python()
    (toolbox.venv / ".complete").unlink()
    assert not toolbox.has_python()


def test_a_box_without_compilers_says_which_packages_it_lacks(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError) as caught:
        prepare(source, tmp_path / "jobs", tmp_path / "cache")
    assert caught.value.what == "the machine lacks cmake, ninja-build, g++, gcc, util-linux"
    assert caught.value.remedy.endswith("install -y --no-install-recommends cmake ninja-build g++ gcc util-linux")
