"""FFN widths of single layers all the way: pruned, scaled or recovered, converted as `deci`, and scored."""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pipress.conversion import convert_folder
from pipress.evaluation.scores import score_reference
from pipress.gguf_file import check_generates
from pipress.quantization.llama_quantize import planned_types, quantize
from pipress.quantization.source_model import SourceModel
from pipress.stages import awq, prune, recover
from pipress.validation import check_params
from pipress.weights.files import WIDTHS
from pipress.weights.folder import load_model
from pipress.weights.gguf_reader import GgufFile
from pipress.weights.llama import LlamaForCausalLM

PRUNING = {"method": "ffn-second-order", "ffnWidths": "per-layer", "pruningRatio": 0.15}
TEXT = {"calibrationTokens": 2048, "sequenceLength": 64}


@pytest.fixture
def run(make_spec: Any, tiny_texts: Path, tmp_path: Path) -> Any:
    """Runs a stage; returns the folder of its result."""

    def run(stage: ModuleType, model: Path, params: dict[str, Any], **inputs: Path) -> Path:
        name = stage.__name__.rpartition(".")[2]
        (out := tmp_path / name).mkdir()
        stage.run(
            make_spec(name, **check_params(name, params)), {"model": model, "datasets": tiny_texts, **inputs}, out
        )
        return out

    return run


@pytest.mark.parametrize(("tied", "between"), [(False, "awq"), (True, "recover")])
def test_llama_cpp_computes_what_transformers_does(
    run: Any,
    tiny_llama_2: Path,
    llama_cpp_bin: Path,
    convert_script: Path,
    tmp_path: Path,
    tied: bool,
    between: str,
) -> None:
    whole = tiny_llama_2
    if tied:
        whole = tmp_path / "tied"
        shutil.copytree(tiny_llama_2, whole)
        (config := load_model(tiny_llama_2, torch.float32).config).tie_word_embeddings = True
        LlamaForCausalLM(config).save_pretrained(whole)
    model = run(prune, whole, {**PRUNING, **TEXT})
    if between == "awq":
        model = run(awq, model, {"bits": 4, **TEXT})
    if between == "recover":
        steps = {"tokens": 512, "sequenceLength": 64, "batchSize": 2, "validationTokens": 256}
        model = run(recover, model, steps, teacher=whole)
    config = json.loads((model / "config.json").read_text())
    widths = config[WIDTHS]
    assert widths[0] != widths[1] and sum(widths) == 2 * config["intermediate_size"]
    convert_folder(convert_script, model, file := tmp_path / "model.gguf", ["--outtype", "f16"])
    check_generates(llama_cpp_bin, file)
    # What is quantized is as large as the search for types reckons.
    source, mix = SourceModel(file, None), planned_types(llama_cpp_bin, file, "Q4_0", None)
    assert source.layers == 2 and mix is not None
    quantize(llama_cpp_bin, file, small := tmp_path / "small.gguf", "Q4_0", None)
    assert small.stat().st_size == source.file_bytes(mix)
    check_generates(llama_cpp_bin, small)
    metadata = GgufFile(file).metadata
    assert (metadata["general.architecture"], metadata["deci.feed_forward_length"]) == ("deci", widths)

    rows = np.random.default_rng(0).integers(3, 250, (4, 64))
    scores = score_reference(llama_cpp_bin, file, rows, tmp_path / "logits")
    with torch.no_grad():
        logits = load_model(model, torch.float32)(torch.from_numpy(rows)).logits[:, :-1].log_softmax(dim=-1)
    nll = -logits.gather(2, torch.from_numpy(rows)[:, 1:, None]).squeeze(2)
    counted = scores.nll.shape[1]
    np.testing.assert_allclose(scores.nll, nll[:, -counted:].numpy(), atol=0.02)
