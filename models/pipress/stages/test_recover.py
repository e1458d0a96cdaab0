"""Recovery on a tiny model: the real stage, seconds instead of minutes."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipress.conftest import KEY, killed_in_call, write_conversations, write_texts
from pipress.errors import StageError
from pipress.programs import when_started
from pipress.recovery import precision, teacher, together
from pipress.recovery import training as step_of_training
from pipress.stages import add_chats, fetch_dataset, prune, recover
from pipress.store.file_store import FileStore
from pipress.texts.records import read_records
from pipress.validation import check_params
from pipress.weights.folder import check_loads


@pytest.fixture
def pruned(make_spec: Any, tiny_model: Path, tiny_texts: Path, tmp_path: Path) -> Path:
    out = tmp_path / "pruned"
    out.mkdir()
    sizes = {"pruningRatio": 0.15, "calibrationTokens": 2048, "sequenceLength": 64}
    # A refit would leave a random model little to learn.
    params = check_params("prune", {**sizes, "reconstruct": False})
    prune.run(make_spec("prune", **params), {"model": tiny_model, "datasets": tiny_texts}, out)
    return out


@pytest.fixture
def inputs(pruned: Path, tiny_model: Path, tiny_texts: Path) -> dict[str, Path]:
    return {"model": pruned, "teacher": tiny_model, "datasets": tiny_texts}


def training(**changes: Any) -> dict[str, Any]:
    params = {"tokens": 6 * 4 * 32, "sequenceLength": 32, "batchSize": 4, "checkpointEverySteps": 2, "rank": 4}
    return check_params("recover", {**params, "validationTokens": 256, "learningRate": 0.01, **changes})


def test_recovery_saves_the_merged_model_and_its_loss_curve(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    metrics = recover.run(
        make_spec("recover", **training(tokens=30 * 4 * 32, learningRate=0.001, earlyStoppingPatience=5)), inputs, out
    )
    curve = json.loads((out / "loss.json").read_text())
    assert [entry["step"] for entry in curve["training"]] == list(range(1, 31))
    assert curve["validation"][0]["step"] == 0 and curve["validation"][-1]["step"] == 30
    best = min(curve["validation"], key=lambda entry: entry["loss"])
    assert [entry["tokens"] for entry in curve["validation"]] == [128 * entry["step"] for entry in curve["validation"]]
    for entry in curve["validation"]:
        assert len(entry["rows"]) == 256 / 32 and sum(entry["rows"]) / 8 == pytest.approx(entry["loss"], abs=1e-5)
    assert metrics["bestStep"] == best["step"] > 0 and metrics["klAfter"] == round(best["kl"], 4) < metrics["klBefore"]
    # What was saved is the merged model in the shape and type of the pruned one.
    before, after = load_file(inputs["model"] / "model.safetensors"), load_file(out / "model.safetensors")
    assert {n: (t.shape, t.dtype) for n, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}
    check_loads(out)


def test_recovery_on_own_conversations_brings_those_back_that_are_held_back(
    make_spec: Any, chatty: Path, tmp_path: Path
) -> None:
    """From a file of conversations through every stage that has a part in it, and no other text at all."""
    data = write_conversations(tmp_path / "chats.jsonl", range(300), "Be brief.")
    parts = {"calibration": [{**data, "part": {"to": 0.9}}], "evaluation": [{**data, "part": {"from": 0.9}}]}
    sizes = {"pruningRatio": 0.15, "calibrationTokens": 2048, "sequenceLength": 64, "reconstruct": False}
    settings = training(tokens=40 * 4 * 64, sequenceLength=64, validationTokens=1024, learningRate=0.003)
    fetched, datasets, pruned, out = (tmp_path / name for name in ("fetched", "datasets", "pruned", "out"))
    for folder in (fetched, datasets, pruned, out):
        folder.mkdir()

    fetch_dataset.run(make_spec("fetch-dataset", **parts), {}, fetched)
    chats = make_spec("add-chats", **check_params("add-chats", {}))
    add_chats.run(chats, {"model": chatty, "datasets": fetched}, datasets)
    inputs = {"model": chatty, "datasets": datasets}
    prune.run(make_spec("prune", **check_params("prune", sizes)), inputs, pruned)
    inputs = {"model": pruned, "teacher": chatty, "datasets": datasets}
    metrics = recover.run(make_spec("recover", **settings), inputs, out)
    held_back = read_records(datasets / "validation.jsonl")
    learned = {document.text for document in read_records(datasets / "calibration.jsonl")}
    assert held_back and not any(document.text in learned for document in held_back)
    assert metrics["bestStep"] > 0 and metrics["klAfter"] < 0.9 * metrics["klBefore"], metrics


def test_training_stops_when_the_held_out_loss_rises_and_keeps_the_best_weights(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    losses = iter([0.9, 0.5, 0.6, 0.7, 0.4])
    monkeypatch.setattr(recover, "held_out_losses", lambda *_: torch.tensor([[next(losses), 1.0]], dtype=torch.float64))
    (out := tmp_path / "out").mkdir()
    spec = make_spec("recover", **training(tokens=8 * 4 * 32, earlyStoppingPatience=2, validations=5))
    metrics = recover.run(spec, inputs, out)
    assert metrics["stoppedEarly"] is True and metrics["steps"] == 6 and metrics["bestStep"] == 2
    # The same training, two steps long at the same rates, ends at the weights that were kept.
    plain = recover.learning_rate
    monkeypatch.setattr(recover, "learning_rate", lambda step, steps, *rest: plain(step, 8, *rest))
    falling = iter([0.9, 0.5])
    monkeypatch.setattr(
        recover, "held_out_losses", lambda *_: torch.tensor([[next(falling), 1.0]], dtype=torch.float64)
    )
    monkeypatch.setattr(recover, "read_training_text", _longer(recover.read_training_text))
    for file in spec.checkpoint.iterdir():
        file.unlink()
    (short := tmp_path / "short").mkdir()
    recover.run(make_spec("recover", **training(tokens=2 * 4 * 32, validations=2)), inputs, short)
    one, other = load_file(out / "model.safetensors"), load_file(short / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def _longer(read: Any) -> Any:
    """Reads the text of the eight-step training, whatever the tokens."""
    return lambda texts, model, p: read(texts, model, {**p, "tokens": 8 * 4 * 32})


def test_a_loss_that_is_no_number_ends_the_training(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    broken = (torch.tensor(float("nan"), requires_grad=True), 0.0, 0.0)
    monkeypatch.setattr(step_of_training, "student_loss", lambda *_: broken)
    monkeypatch.setattr(recover, "held_out_losses", lambda *_: torch.ones(1, 2, dtype=torch.float64))
    with pytest.raises(StageError, match=r"no longer a number — lower recover\.learningRate"):
        recover.run(make_spec("recover", **training()), inputs, tmp_path)


def test_a_model_that_was_not_made_from_its_teacher_is_refused(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    other = tmp_path / "other"
    config = LlamaConfig.from_pretrained(inputs["teacher"], hidden_size=32)
    LlamaForCausalLM(config).save_pretrained(other)
    with pytest.raises(StageError, match=r"hidden 64.*was not made from its teacher \(hidden 32"):
        recover.run(make_spec("recover", **training()), {**inputs, "teacher": other}, tmp_path)


def test_weights_that_are_no_numbers_are_refused(make_spec: Any, inputs: dict[str, Path], tmp_path: Path) -> None:
    file = inputs["model"] / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(tensors, file)
    with pytest.raises(StageError, match=r"up_proj.weight in model.safetensors holds values that are not finite"):
        recover.run(make_spec("recover", **training()), inputs, tmp_path)


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_weights(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    spec = make_spec("recover", **training(epochs=2, fullLayers=1, earlyStoppingPatience=5))
    (whole := tmp_path / "whole").mkdir()
    recover.run(spec, inputs, whole)
    for file in spec.checkpoint.iterdir():
        file.unlink()

    with killed_in_call(recover, "train_step", 5):
        recover.run(spec, inputs, tmp_path)
    capsys.readouterr()
    (resumed := tmp_path / "resumed").mkdir()
    recover.run(spec, inputs, resumed)
    output = capsys.readouterr().out
    assert "going on from the checkpoint after step 4" in output and "step 4/6" not in output and "step 5/6" in output
    one, other = load_file(whole / "model.safetensors"), load_file(resumed / "model.safetensors")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_text_that_is_too_much_to_keep_is_taught_step_by_step_to_the_same_losses(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec("recover", **training(tokens=12 * 4 * 32, learningRate=0.001, earlyStoppingPatience=5))
    (kept := tmp_path / "kept").mkdir()
    recover.run(spec, inputs, kept)
    assert (spec.checkpoint / teacher.FILE).exists()

    monkeypatch.setattr(teacher, "KEPT_BYTES", 1000)
    curves = [json.loads((kept / "loss.json").read_text())]
    for name, killed_in in (("whole", None), ("resumed", 9)):
        for file in spec.checkpoint.iterdir():
            file.unlink()
        if killed_in is not None:
            with killed_in_call(recover, "train_step", killed_in):
                recover.run(spec, inputs, tmp_path)
        (out := tmp_path / name).mkdir()
        recover.run(spec, inputs, out)
        assert not (spec.checkpoint / teacher.FILE).exists(), "nothing of the size of the text is kept"
        curves.append(json.loads((out / "loss.json").read_text()))
    assert curves[1] == curves[2], "a killed training goes on to the same losses"
    for one, other in zip(curves[0]["training"], curves[1]["training"], strict=True):
        assert one == pytest.approx(other, rel=1e-2)
    one, other = load_file(tmp_path / "whole" / "model.safetensors"), load_file(tmp_path / "resumed/model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_teacher_that_does_not_fit_beside_the_student_is_refused_before_anything_is_loaded(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "KEPT_BYTES", 1000)
    monkeypatch.setattr(teacher, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(teacher, "load_model", lambda *_: pytest.fail("loaded"))
    with pytest.raises(StageError, match=r"teacher and student take \d+ kB together, and 1.00 kB of memory are free"):
        recover.run(make_spec("recover", **training()), inputs, tmp_path)


def test_a_job_killed_in_the_middle_repeats_no_step_beyond_the_interval(
    job_spec: Any, attach: Any, pruned: Path, tiny_model: Path, tiny_texts: Path
) -> None:
    """The whole runner: SIGKILL of the job's process group, then the same command again."""
    keys = {"model": "01" * 32, "teacher": "02" * 32, "datasets": "03" * 32}
    spec = job_spec("recover", training(tokens=400 * 4 * 32, checkpointEverySteps=5), keys)
    store = FileStore(spec["store"])
    for key, folder in zip(keys.values(), (pruned, tiny_model, tiny_texts), strict=True):
        artifact = store.begin(key)
        for file in folder.iterdir():
            (artifact / file.name).write_bytes(file.read_bytes())
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


def losses_of(folder: Path) -> list[float]:
    """Of every step and every look, KL and cross entropy."""
    curve = json.loads((folder / "loss.json").read_text())
    return [
        entry[name] for part in ("training", "validation") for entry in curve[part] for name in ("kl", "crossEntropy")
    ]


def test_two_processes_train_to_the_losses_of_one_also_when_they_are_killed(
    job_spec: Any, attach: Any, make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole runner in two processes, killed in the middle and started again, beside one process that is not."""
    params = training(tokens=24 * 5 * 32, batchSize=5, learningRate=0.001, validations=4, earlyStoppingPatience=9)
    spec = make_spec("recover", **params)
    (spec.checkpoint / precision.FILE).write_text("float32")
    (alone := tmp_path / "alone").mkdir()
    recover.run(spec, inputs, alone)

    monkeypatch.setenv(together.COUNT_VARIABLE, "2")
    keys = {name: f"0{index}" * 32 for index, name in enumerate(inputs)}
    job = job_spec("recover", params, keys)
    store = FileStore(job["store"])
    for name, key in keys.items():
        artifact = store.begin(key)
        for file in inputs[name].iterdir():
            (artifact / file.name).write_bytes(file.read_bytes())
        store.commit(key, {})
    folder = Path(job["jobs"], KEY)
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / precision.FILE).write_text("float32")
    attacher = attach(job)
    ranks = wait_for_ranks(folder / "checkpoint" / "recover.pt", 2)
    os.killpg(json.loads((folder / "process.json").read_text())["pid"], signal.SIGKILL)
    attacher.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(when_started(pid) == started for pid, started in ranks.items()):
        assert time.monotonic() < deadline, "a process outlives the stage that started it"
        time.sleep(0.1)
    out, err = attach(job).communicate(timeout=400)
    assert json.loads(out)["metrics"]["steps"] == 24, err
    assert "going on from the checkpoint after step" in (folder / "log.txt").read_text()
    assert losses_of(store.open(KEY)) == pytest.approx(losses_of(alone), rel=2e-3, abs=2e-5)
    one, other = (load_file(path / "model.safetensors") for path in (alone, store.open(KEY)))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-2, atol=1e-4)


def wait_for_ranks(file: Path, count: int) -> dict[int, str | None]:
    """Waits until the training has left a file; returns its processes, and when each began."""
    deadline = time.monotonic() + 300
    while not file.exists():
        assert time.monotonic() < deadline, f"there is no {file}"
        time.sleep(0.02)
    ranks = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"\0{file.parent / together.TASK}\0".encode() in (process / "cmdline").read_bytes():
                environment = (process / "environ").read_bytes().split(b"\0")
                if any(variable.startswith(b"RANK=") for variable in environment):
                    ranks[int(process.name)] = when_started(int(process.name))
        except OSError:
            continue
    assert len(ranks) == count
    return ranks


def test_a_process_that_dies_ends_the_training_with_one_clear_error(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(together.COUNT_VARIABLE, "2")
    spec = make_spec("recover", **training(tokens=100_000 * 4 * 32, epochs=100))

    def kill_one() -> None:
        os.kill(max(wait_for_ranks(spec.checkpoint / "recover.pt", 2)), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(StageError, match=r"one of the 2 processes that train together was ended by SIGKILL — .*`up`"):
        recover.run(spec, inputs, tmp_path)
    killer.join()
    assert any(message.startswith("step ") for message in make_spec.reports), "progress reaches whoever waits"


def test_what_one_of_several_processes_refuses_is_refused_in_its_words(
    make_spec: Any, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(together.COUNT_VARIABLE, "2")
    (texts := tmp_path / "datasets").mkdir()
    write_texts(texts, "Too little.")
    with pytest.raises(StageError, match=r"gives 0 sequences of 32 tokens, .* — take more text"):
        recover.run(make_spec("recover", **training()), {**inputs, "datasets": texts}, tmp_path)


def test_there_is_a_process_for_each_gpu_and_a_row_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, wanted, batch, expected in (
        (0, None, 8, 1),
        (0, "2", 8, 2),
        (1, None, 8, 1),
        (4, None, 8, 4),
        (8, None, 6, 6),
        (4, "2", 8, 2),
        (4, "9", 8, 4),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        monkeypatch.delenv(together.COUNT_VARIABLE, raising=False)
        if wanted is not None:
            monkeypatch.setenv(together.COUNT_VARIABLE, wanted)
        assert together.process_count(batch) == expected
