"""What a resumed training finds, and what it makes of a file that is damaged."""

from pathlib import Path

import pytest
import torch

from pipress.errors import StageError
from pipress.recovery import checkpoints
from pipress.recovery.checkpoints import BEST, LATEST, load_checkpoint, save_checkpoint


def state(value: float) -> dict[str, torch.Tensor]:
    return {"layer.a": torch.full((2, 3), value), "layer.b": torch.full((3, 2), value)}


def test_what_was_saved_is_there_again_to_the_last_bit(tmp_path: Path) -> None:
    saved = {"step": 7, "trained": state(1 / 3), "optimizer": {"state": {0: {"exp_avg": torch.full((2,), 1e-30)}}}}
    save_checkpoint(tmp_path, LATEST, saved)
    save_checkpoint(tmp_path, BEST, {"trained": state(2.0)})
    loaded = load_checkpoint(tmp_path, LATEST, state(0.0))
    assert (
        loaded is not None
        and loaded["step"] == 7
        and torch.equal(loaded["trained"]["layer.a"], state(1 / 3)["layer.a"])
    )
    assert torch.equal(loaded["optimizer"]["state"][0]["exp_avg"], torch.full((2,), 1e-30))
    best = load_checkpoint(tmp_path, BEST, state(0.0))
    assert best is not None and best["trained"]["layer.b"][0, 0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BEST, LATEST])


def test_a_training_killed_while_it_saves_has_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, LATEST, {"step": 2, "trained": state(2)})
    write = torch.save

    def killed(saved: object, file: object) -> None:
        write({"step": 3}, file)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, LATEST, {"step": 4, "trained": state(4)})
    loaded = load_checkpoint(tmp_path, LATEST, state(0))
    assert loaded is not None and loaded["step"] == 2


def test_a_checkpoint_is_on_the_disk_before_it_takes_the_place_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, replace = [], checkpoints.replace_synced

    def recorded(part: Path, path: Path) -> None:
        seen.append((path.exists(), torch.load(part, weights_only=True)["step"]))
        replace(part, path)

    monkeypatch.setattr(checkpoints, "replace_synced", recorded)
    save_checkpoint(tmp_path, LATEST, {"step": 2, "trained": state(2)})
    save_checkpoint(tmp_path, LATEST, {"step": 4, "trained": state(4)})
    assert seen == [(False, 2), (True, 4)]


@pytest.mark.parametrize("damage", [b"", b"cut off", b"PK\x03\x04", None])
def test_a_checkpoint_that_is_not_there_or_cannot_be_read_begins_the_training_anew(
    damage: bytes | None, tmp_path: Path
) -> None:
    if damage is not None:
        (tmp_path / LATEST).write_bytes(damage)
    assert load_checkpoint(tmp_path, LATEST, state(0)) is None


def test_a_checkpoint_cut_off_in_the_middle_begins_the_training_anew(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, LATEST, {"step": 2, "trained": state(2)})
    content = (tmp_path / LATEST).read_bytes()
    (tmp_path / LATEST).write_bytes(content[: len(content) // 2])
    assert load_checkpoint(tmp_path, LATEST, state(0)) is None


@pytest.mark.parametrize(
    "trained",
    [
        {"layer.a": torch.zeros(2, 3)},
        {**state(0), "layer.c": torch.zeros(1)},
        {"layer.a": torch.zeros(3, 2), "layer.b": torch.zeros(3, 2)},
    ],
)
def test_weights_of_another_training_are_refused(trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_checkpoint(tmp_path, LATEST, {"step": 2, "trained": state(2)})
    with pytest.raises(StageError, match=r"is of another training.* — `rm -r /"):
        load_checkpoint(tmp_path, LATEST, trained)
