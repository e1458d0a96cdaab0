"""Recover on a tiny pruned model: the real stages, seconds instead of minutes."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipress.conftest import KEY
from pipress.errors import StageError
from pipress.recovery.distillation import distillation_loss
from pipress.recovery.schedule import learning_rate
from pipress.stages import prune, recover
from pipress.store.file_store import FileStore
from pipress.validation import check_params


@pytest.fixture
def pruned(make_spec: Any, tiny_model: Path, tiny_texts: Path, tmp_path: Path) -> Path:
    out = tmp_path / "pruned"
    out.mkdir()
    params = check_params("prune", {"parametersRemoved": 0.15, "calibrationTokens": 2048, "sequenceLength": 64})
    prune.run(make_spec("prune", **params), {"model": tiny_model, "texts": tiny_texts}, out)
    return out


def training(**changes: Any) -> dict[str, Any]:
    params = {"tokens": 6 * 4 * 32, "sequenceLength": 32, "batchSize": 4, "checkpointEverySteps": 2, "rank": 4}
    return check_params("recover", {**params, "validationTokens": 256, "learningRate": 0.01, **changes})


def test_recovery_saves_the_merged_model_and_its_loss_curve(
    make_spec: Any, pruned: Path, tiny_model: Path, tiny_texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    spec = make_spec("recover", **training(tokens=30 * 4 * 32))
    recover.run(spec, {"model": pruned, "teacher": tiny_model, "texts": tiny_texts}, out)
    curve = json.loads((out / "loss.json").read_text())
    assert [entry["step"] for entry in curve["training"]] == list(range(1, 31))
    assert curve["validation"][0]["step"] == 0 and curve["validation"][-1]["step"] == 30
    # What was saved is the merged model in the shape and type of the pruned one.
    before, after = load_file(pruned / "model.safetensors"), load_file(out / "model.safetensors")
    assert {n: (t.shape, t.dtype) for n, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}


def test_a_loss_that_is_no_number_ends_the_training(
    make_spec: Any, pruned: Path, tiny_model: Path, tiny_texts: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    broken = (torch.tensor(float("nan"), requires_grad=True), 0.0, 0.0)
    monkeypatch.setattr(recover, "_loss", lambda *_: broken)
    with pytest.raises(StageError, match=r"no longer a number at step 1 — lower learningRate \(it is 0.01\)"):
        inputs = {"model": pruned, "teacher": tiny_model, "texts": tiny_texts}
        recover.run(make_spec("recover", **training()), inputs, tmp_path)


def test_too_little_text_is_refused(make_spec: Any, pruned: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "calibration.txt").write_text("Too little.")
    with pytest.raises(StageError, match=r"take more text for texts.calibration"):
        inputs = {"model": pruned, "teacher": tiny_model, "texts": tmp_path}
        recover.run(make_spec("recover", **training()), inputs, tmp_path)


class Killed(BaseException):
    """Stands for SIGKILL at a known step."""


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_weights(
    make_spec: Any, pruned: Path, tiny_model: Path, tiny_texts: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    inputs = {"model": pruned, "teacher": tiny_model, "texts": tiny_texts}
    spec = make_spec("recover", **training())
    (whole := tmp_path / "whole").mkdir()
    recover.run(spec, inputs, whole)
    (spec.checkpoint / "recover.pt").unlink()

    original = recover._batch

    def until_step_five(texts: torch.Tensor, step: int, p: dict[str, Any]) -> torch.Tensor:
        if step == 4:
            raise Killed
        return original(texts, step, p)

    monkeypatch.setattr(recover, "_batch", until_step_five)
    with pytest.raises(Killed):
        recover.run(spec, inputs, tmp_path)
    monkeypatch.setattr(recover, "_batch", original)
    capsys.readouterr()
    (resumed := tmp_path / "resumed").mkdir()
    recover.run(spec, inputs, resumed)
    said = capsys.readouterr().out
    assert "going on from the checkpoint after step 4" in said and "step 4/6" not in said and "step 5/6" in said
    one, other = load_file(whole / "model.safetensors"), load_file(resumed / "model.safetensors")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_a_job_killed_in_the_middle_repeats_no_step_beyond_the_interval(
    job_spec: Any, attach: Any, pruned: Path, tiny_model: Path, tiny_texts: Path
) -> None:
    """The whole runner: SIGKILL of the job's process group, then the same command again."""
    keys = {"model": "01" * 32, "teacher": "02" * 32, "texts": "03" * 32}
    spec = job_spec("recover", training(tokens=400 * 4 * 32, checkpointEverySteps=5), keys)
    store = FileStore(spec["store"])
    for key, folder in zip(keys.values(), (pruned, tiny_model, tiny_texts), strict=True):
        place = store.begin(key)
        for file in folder.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
        store.commit(key, {})
    job = Path(spec["jobs"], KEY)

    def steps() -> list[int]:
        lines = (job / "log.txt").read_text().splitlines() if (job / "log.txt").exists() else []
        return [int(line.split("/")[0].removeprefix("step ")) for line in lines if line.startswith("step ")]

    attacher = attach(spec)
    deadline = time.monotonic() + 400  # on a busy machine, loading the libraries alone takes minutes
    while len(steps()) < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(json.loads((job / "process.json").read_text())["pid"], signal.SIGKILL)
    attacher.communicate(timeout=60)
    done_before = steps()[-1]
    out, err = attach(spec).communicate(timeout=600)
    assert json.loads(out)["metrics"]["steps"] == 400, err
    every = steps()
    assert done_before < 400 and len(every) - 400 <= 5, "at most the steps since the last checkpoint ran twice"
    assert sorted(set(every)) == list(range(1, 401))


def test_the_loss_and_its_gradient_are_those_of_the_plain_formula() -> None:
    torch.manual_seed(0)
    student = torch.randn(5, 8, requires_grad=True)
    teacher, head, other = torch.randn(5, 8), torch.randn(11, 8), torch.randn(11, 8)
    targets = torch.randint(0, 11, (5,))
    loss, kl, ce = distillation_loss(student, head, teacher, other, targets, 2.0, 0.7)
    loss.backward()
    plain = student.detach().clone().requires_grad_()
    logits, wanted = plain @ head.T, teacher @ other.T
    log = torch.nn.functional.log_softmax
    expected_kl = 4 * torch.nn.functional.kl_div(
        log(logits / 2, -1), log(wanted / 2, -1), log_target=True, reduction="batchmean"
    )
    expected_ce = torch.nn.functional.cross_entropy(logits, targets)
    (0.7 * expected_kl + 0.3 * expected_ce).backward()
    assert kl == pytest.approx(expected_kl.item(), rel=1e-4) and ce == pytest.approx(expected_ce.item(), rel=1e-4)
    torch.testing.assert_close(student.grad, plain.grad)


def test_the_learning_rate_warms_up_and_comes_down_to_a_tenth() -> None:
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] == 0.2 and max(rates) == 1.0 and rates[-1] == pytest.approx(0.1, abs=0.01)
