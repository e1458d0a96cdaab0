"""One word in cmdline.txt, one reboot, and the file as it was where that did not help. The file is a real one; the reboot is
another boot's identifier."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipress_host import memory_cgroup
from pipress_host.errors import HostError
from pipress_host.memory_cgroup import copy_of, next_step, put_back, with_word, write

SHIPPED = "console=serial0,115200 root=PARTUUID=4e639091-02 rootfstype=ext4 rootwait\n"
ON = "console=serial0,115200 root=PARTUUID=4e639091-02 rootfstype=ext4 rootwait cgroup_enable=memory\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cmdline.txt"
    path.write_text(SHIPPED)
    return path


def step(tmp_path: Path, file: Path | None, boot: str = "first", *, counts: bool = False):
    return next_step(tmp_path / "root", file, counts=counts, boot=boot)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=b rootwait\n", "a=b rootwait cgroup_enable=memory\n"),
        ("a=b rootwait", "a=b rootwait cgroup_enable=memory"),
        ("a=b  rootwait \n\n# not read\n", "a=b rootwait cgroup_enable=memory\n\n# not read\n"),
        ("cgroup_disable=memory a=b\n", "a=b cgroup_enable=memory\n"),
    ],
)
def test_the_word_joins_the_one_line(before, after):
    assert with_word(before) == after


def test_a_kernel_that_counts_memory_is_left_alone(tmp_path, file):
    assert step(tmp_path, file, counts=True).do == "nothing"


def test_it_is_written_once_with_a_copy_and_the_host_reboots_once(tmp_path, file):
    assert step(tmp_path, file).do == "write"
    write(tmp_path / "root", file, "first")
    assert (file.read_text(), copy_of(file).read_text()) == (ON, SHIPPED)
    # The controller was killed before the reboot: it is still due.
    assert step(tmp_path, file).do == "reboot"
    assert step(tmp_path, file, "second", counts=True).do == "nothing"


def test_where_the_kernel_does_not_take_it_the_file_is_put_back_and_nothing_is_tried_again(tmp_path, file):
    write(tmp_path / "root", file, "first")
    back = step(tmp_path, file, "second")
    assert back.do == "put back"
    assert "came up without memory accounting all the same" in back.remark
    put_back(file)
    assert file.read_text() == SHIPPED
    again = step(tmp_path, file, "third")
    assert (again.do, again.remark) == ("nothing", back.remark)


def test_what_its_owner_has_changed_since_is_not_put_back(tmp_path, file):
    write(tmp_path / "root", file, "first")
    file.write_text(f"quiet {ON}")
    assert step(tmp_path, file, "second").do == "nothing"


def test_a_word_that_stands_there_already_is_no_reason_to_reboot(tmp_path, file):
    file.write_text(ON)
    found = step(tmp_path, file)
    assert found.do == "nothing"
    assert "stands in" in found.remark and "reboot the host if it has not been since" in found.remark


def test_a_host_without_the_file_is_told_so(tmp_path):
    found = step(tmp_path, None)
    assert found.do == "nothing"
    assert "there is neither /boot/firmware/cmdline.txt nor /boot/cmdline.txt" in found.remark


def test_a_kill_between_the_note_and_the_file_writes_it_again_without_a_second_copy(
    tmp_path, file, monkeypatch
):
    replace = memory_cgroup._replace

    def killed(path, *rest, **named):
        if path == file:
            raise KeyboardInterrupt
        replace(path, *rest, **named)

    monkeypatch.setattr(memory_cgroup, "_replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "root", file, "first")
    monkeypatch.undo()
    assert step(tmp_path, file).do == "write"
    write(tmp_path / "root", file, "first")
    assert (file.read_text(), copy_of(file).read_text()) == (ON, SHIPPED)


def test_a_file_on_fat_keeps_the_mode_of_its_mount(tmp_path, file, monkeypatch):
    """FAT as Linux mounts it: a file is rwxr-xr-x, and fchmod to another mode is refused. Stands in for a mount of it."""
    file.chmod(0o755)
    fchmod = os.fchmod

    def fat(handle: int, mode: int) -> None:
        if mode != 0o755 and not os.readlink(f"/proc/self/fd/{handle}").count("memory-cgroup.json"):
            raise PermissionError(1, "Operation not permitted")
        fchmod(handle, mode)

    monkeypatch.setattr(os, "fchmod", fat)
    write(tmp_path / "root", file, "first")
    put_back(file)
    assert file.read_text() == SHIPPED


def test_a_file_that_cannot_be_written_is_named(tmp_path, file, monkeypatch):
    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(memory_cgroup, "write_atomically", read_only)
    with pytest.raises(HostError, match=r"cmdline.txt cannot be written \(Read-only file system\) — look at"):
        write(tmp_path / "root", file, "first")


def test_the_word_of_a_kernel_that_did_not_take_it_is_not_looked_for_beyond_the_one_line(tmp_path, file):
    file.write_text(f"{SHIPPED}# cgroup_enable=memory\n")
    assert step(tmp_path, file).do == "write"


def test_the_record_says_which_boot_and_file(tmp_path, file):
    write(tmp_path / "root", file, "first")
    record = json.loads((tmp_path / "root/memory-cgroup.json").read_text())
    assert record == {"boot": "first", "file": str(file)}


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_the_copy_has_the_mode_of_the_file(tmp_path, file, mode):
    file.chmod(mode)
    write(tmp_path / "root", file, "first")
    put_back(file)
    assert {path.stat().st_mode & 0o777 for path in (file, copy_of(file))} == {mode}


def test_what_was_tried_is_noted_before_the_file_is_touched(tmp_path, file, monkeypatch):
    """Killed in between, a host must not be started anew for it for ever."""
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: order.append(Path(new).name) or replace(old, new))
    write(tmp_path / "root", file, "first")
    assert order == ["cmdline.txt.before-pipress", "memory-cgroup.json", "cmdline.txt"]
