"""The module in this process; the kernel's command line is a file of the test's, and whether it counts memory is said."""

from __future__ import annotations

import pytest

SHIPPED, ON = "rootwait\n", "rootwait cgroup_enable=memory\n"


@pytest.fixture
def cmdline(module, tmp_path, monkeypatch):
    """The file of the newer name; there is none of the older."""
    file = tmp_path / "cmdline.txt"
    file.write_text(SHIPPED)
    monkeypatch.setattr(module.code, "COMMAND_LINES", (tmp_path / "none.txt", file))
    monkeypatch.setattr(module.code, "counts_memory", lambda: False)
    return file


def answer_of(module, tmp_path, check=False):
    answer = module(check=check, root=tmp_path / "root")
    return answer["changed"], answer["reboot"], answer.get("msg"), bool(answer["remark"])


def test_it_is_written_before_a_reboot(module, cmdline, tmp_path):
    said = (True, True, f"cgroup_enable=memory in {cmdline}, then a reboot", False)
    assert answer_of(module, tmp_path, check=True) == said
    assert cmdline.read_text() == SHIPPED
    assert answer_of(module, tmp_path) == said
    assert cmdline.read_text() == ON
    # Killed before the reboot: that is all there is left to do.
    assert answer_of(module, tmp_path) == (False, True, None, False)


def test_a_host_that_came_up_without_gets_its_file_back(module, cmdline, tmp_path, monkeypatch):
    module.code.write(tmp_path / "root", cmdline, "an earlier boot")
    said = (True, False, f"{cmdline} as it was before", True)
    assert answer_of(module, tmp_path, check=True) == said
    assert cmdline.read_text() == ON
    assert answer_of(module, tmp_path) == said
    assert cmdline.read_text() == SHIPPED


def test_a_kernel_that_counts_memory_is_left_alone(module, cmdline, tmp_path, monkeypatch):
    monkeypatch.setattr(module.code, "counts_memory", lambda: True)
    assert answer_of(module, tmp_path) == (False, False, None, False)


def test_without_the_file_there_is_a_remark(module, cmdline, tmp_path):
    cmdline.unlink()
    assert answer_of(module, tmp_path) == (False, False, None, True)


def test_a_file_that_cannot_be_written_fails_the_play(module, cmdline, tmp_path):
    cmdline.with_name("cmdline.txt.before-pipress").mkdir()
    answer = module(root=tmp_path / "root")
    assert answer["failed"] and f"{cmdline} cannot be written" in answer["msg"]
