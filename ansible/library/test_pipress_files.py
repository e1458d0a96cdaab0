"""The module in this process."""

from __future__ import annotations

import pytest


def files(folder, count):
    return [{"path": str(folder / f"{number}"), "content": "text\n"} for number in range(count)]


def test_everything_is_placed_with_its_mode_and_a_secret_for_root_alone(module, tmp_path):
    answer = module(
        files=[{"path": str(tmp_path / "a"), "content": "text\n", "mode": "0755"}],
        links=[{"path": str(tmp_path / "b"), "target": "a"}],
        secrets={str(tmp_path / "c"): "s3cret\n"},
    )
    assert answer["changed"] and "s3cret" not in module.said
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if not path.is_symlink()}
    assert modes == {"a": 0o755, "c": 0o600}
    assert (tmp_path / "b").read_text() == "text\n"


def test_check_places_nothing(module, tmp_path):
    assert module(check=True, files=files(tmp_path, 1))["changed"]
    assert list(tmp_path.iterdir()) == []


def test_nothing_given_is_nothing_changed(module):
    answer = module()
    assert (answer["changed"], answer["msg"]) == (False, "")


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (4, " and 1 more"), (6, " and 3 more")])
def test_the_message_names_the_first_three(module, tmp_path, count, more):
    named = ", ".join(str(tmp_path / f"{number}") for number in range(min(count, 3)))
    assert module(files=files(tmp_path, count))["msg"] == named + more


def test_a_file_that_cannot_be_written_is_named(module, tmp_path):
    (tmp_path / "file").touch()
    answer = module(files=[{"path": str(tmp_path / "file/below"), "content": ""}])
    assert (
        answer["failed"] and f"{tmp_path / 'file'}" in answer["msg"] and "cannot be written" in answer["msg"]
    )
