"""What roles place on a host of `module_utils` runs there without Ansible: it must be complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ANSIBLE = Path(__file__).resolve().parent
PACKAGE = ANSIBLE / "module_utils/pipress_host"
ROLES = [path for path in sorted(ANSIBLE.glob("roles/*/vars/main.yml")) if "_modules:" in path.read_text()]


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.parts[-3])
def test_every_module_comes_with_those_that_it_imports(path: Path) -> None:
    lists = [value for name, value in yaml.safe_load(path.read_text()).items() if name.endswith("_modules")]
    assert len(lists) == 1
    for module in lists[0]:
        imported = re.findall(
            r"^\s*from \.(\w+) import", (PACKAGE / f"{module}.py").read_text(), re.MULTILINE
        )
        assert set(imported) <= set(lists[0]), module
