"""Every module, started as Ansible starts it on a host; what each does is tested beside it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

MODULES = sorted(Path(__file__).with_name("library").glob("pipress_*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_that_is_started_answers(module, capsys):
    with patch_module_args(), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(module), run_name="__main__")
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == (1 if answer.get("failed") else 0) and answer["msg"] is not None


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_that_is_only_read_does_nothing(module, capsys):
    runpy.run_path(str(module), run_name="module")
    assert capsys.readouterr().out == ""
