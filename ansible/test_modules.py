"""Every module, started as Ansible starts it on a host, and held against its manual; what each does is tested beside it."""

from __future__ import annotations

import ast
import json
import runpy
from pathlib import Path

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

MODULES = sorted(Path(__file__).with_name("library").glob("pipress_*.py"))
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)


def manual_of(module: Path):
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return yaml.safe_load(node.value.value)
    raise AssertionError(f"{module} has no manual")


@every_module
def test_a_module_that_is_started_answers(module, capsys):
    with patch_module_args(), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(module), run_name="__main__")
    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == (1 if answer.get("failed") else 0) and answer["msg"] is not None


@every_module
def test_a_module_that_is_only_read_does_nothing(module, capsys):
    runpy.run_path(str(module), run_name="module")
    assert capsys.readouterr().out == ""


class Read(Exception):
    """The module has said what it takes."""


@every_module
def test_a_module_takes_what_its_manual_says_and_can_tell_what_it_would_do(module, monkeypatch):
    given = {}

    def take(**what):
        given.update(what)
        raise Read

    monkeypatch.setattr(basic, "AnsibleModule", take)
    with pytest.raises(Read):
        runpy.run_path(str(module), run_name="__main__")

    def shape(options):
        keys = ("type", "required", "default", "choices", "elements")
        return {
            name: {key: option[key] for key in keys if option.get(key) not in (None, False)}
            for name, option in options.items()
        }

    assert shape(given["argument_spec"]) == shape(manual_of(module)["options"])
    assert given["supports_check_mode"] is True
    hidden = [name for name, option in given["argument_spec"].items() if option.get("no_log")]
    assert hidden == (["secrets"] if module.stem == "pipress_files" else [])
