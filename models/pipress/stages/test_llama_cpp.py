"""What the stages make of llama.cpp's programs; small shell scripts stand in for them where one must fail."""

from pathlib import Path
from typing import Any

import pytest

from pipress.errors import StageError
from pipress.gguf_file import _after_prompt, generate
from pipress.programs import run_program
from pipress.stages import convert, quantize


def program(spec: Any, name: str, script: str) -> None:
    spec.llama_cpp_bin.mkdir(exist_ok=True)
    path = spec.llama_cpp_bin / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_output_goes_to_the_log_as_it_comes_and_pieces_to_the_progress(capfd: Any) -> None:
    pieces: list[str] = []
    run_program(["sh", "-c", r"printf '[1]5.5,[2]6.6,\rdone\n'"], pieces.append)
    assert pieces[:2] == ["[1]5.5,", "[2]6.6,"] and "[1]5.5,[2]6.6," in capfd.readouterr().out


def test_a_failing_program_is_one_line_with_its_own_reason() -> None:
    with pytest.raises(StageError, match="sh failed with status 3: error: no such tensor"):
        run_program(["sh", "-c", "echo hello; echo 'error: no such tensor'; echo bye; exit 3"])


def test_of_a_traceback_the_reason_is_told_whole() -> None:
    script = "raise RuntimeError('error: first')"
    raised = "class Odd(Exception): pass\ntry:\n    %s\nexcept Exception as e:\n    raise Odd('a, b, and c') from e"
    with pytest.raises(StageError, match=r"failed with status 1: Odd: a, b, and c — the log has its output"):
        run_program(["python3", "-c", raised % script])


def test_a_program_that_was_killed_says_so() -> None:
    with pytest.raises(StageError, match="sh was ended by signal 9"):
        run_program(["sh", "-c", "kill -9 $$"])


def test_a_missing_program_names_the_remedy() -> None:
    with pytest.raises(StageError, match="/nowhere/llama-bench is missing — run `npm start` again"):
        run_program(["/nowhere/llama-bench"])


def test_a_gguf_that_does_not_load_is_refused(make_spec: Any, tmp_path: Path) -> None:
    spec = make_spec("quantize", type="Q4_K_M")
    program(spec, "llama-simple", "echo 'error: unable to load model' >&2; exit 1")
    with pytest.raises(StageError, match=r"model.gguf does not load: .*unable to load model"):
        generate(spec.llama_cpp_bin, tmp_path / "model.gguf", "Hello", 8)


def test_only_what_was_generated_counts_as_answer() -> None:
    assert _after_prompt("<s>The capital of France is Paris.", "The capital of France is") == "Paris."
    assert (
        _after_prompt(
            "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nParis.\n",
            "user\nWhat?<|im_end|>\n<|im_start|>assistant\n",
        )
        == "Paris."
    )


def test_a_type_that_needs_a_matrix_is_refused_early(make_spec: Any, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="IQ2_XS needs an importance matrix — add the step `imatrix`"):
        quantize.run(make_spec("quantize", type="IQ2_XS"), {"model": tmp_path}, tmp_path)


def test_a_model_folder_without_weights_is_refused_before_the_converter_runs(make_spec: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(StageError, match=r"holds no \*.safetensors"):
        convert.run(make_spec("convert", type="f16"), {"model": tmp_path}, tmp_path)
