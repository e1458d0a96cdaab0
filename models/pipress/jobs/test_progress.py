import errno
from pathlib import Path

from pipress.jobs.progress import Progress, describe
from pipress.jobs.work import explain


def test_a_line_says_how_far_what_and_how_long() -> None:
    progress = {"fraction": 0.45, "message": "step 135/300 · loss 2.31", "etaSeconds": 80}
    assert describe(progress, "recover") == "recover 45 % · step 135/300 · loss 2.31 · 1 min 20 s left"
    assert describe({**progress, "etaSeconds": None}, "recover") == "recover 45 % · step 135/300 · loss 2.31"
    assert describe(None, "recover") == "recover starting"


def test_waiting_has_no_fraction(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json", "evaluate", "evaluate-base")
    progress.write(None, "waiting for prune (builder is busy)")
    from pipress.atomic import read_json

    written = read_json(tmp_path / "progress.json")
    assert describe(written, "evaluate-base") == "evaluate-base waiting for prune (builder is busy)"


def test_a_full_disk_is_one_clear_error_however_it_is_wrapped() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = full
    for error in (full, wrapped, Exception("I/O error: No space left on device (os error 28)")):
        explained = explain(error, Path("/store"))
        assert (explained.what, explained.remedy) == (
            "the disk that holds /store is full",
            "free some space there and run `up` again",
        )


def test_what_nobody_foresaw_keeps_its_type_and_first_line() -> None:
    assert str(explain(KeyError("x"), Path("/"))) == "failed: KeyError: 'x' — the log has the details"
