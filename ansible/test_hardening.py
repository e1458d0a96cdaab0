"""What units of ours may do, as systemd itself judges them: from the files, without starting any."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jinja2
import pytest

ROLES = Path(__file__).resolve().parent / "roles"
TEMPLATES = sorted(ROLES.glob("*/templates/*.service.j2"))
RENDER = """
- name: A unit
  hosts: all
  gather_facts: false
  tasks:
    - name: Render it
      ansible.builtin.template: {src: "{{ roles }}/agent/templates/pipress-agent.service.j2", dest: "{{ unit }}", mode: "0600"}
"""
#: systemd's exposure level, tenfold. Those that restart units, or ask the firmware, are root.
MOST = {"pipress-watch": 60, "pipress-settle": 60, "pipress-facts": 40}
MOST_OF_OTHERS = 20
#: Who may reach it is HAProxy's own to say, and it asks the resolver of names.
UNFILTERED = {"pipress-balancer", "pipress-names"}


class Anything(jinja2.ChainableUndefined):
    """Stands for every variable of a template."""

    def __str__(self) -> str:
        return "8080"

    def __int__(self) -> int:
        return 8080


def render(template: Path, **variables: str) -> str:
    return jinja2.Environment(undefined=Anything).from_string(template.read_text()).render(**variables)


def name_of(template: Path) -> str:
    return template.name.removesuffix(".service.j2")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd here; install the package systemd"
)
@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_unit_may_do_little_besides_what_it_is_for(template, tmp_path):
    unit = tmp_path / template.name.removesuffix(".j2")
    unit.write_text(re.sub(r"^(Exec\w+)=8080\S*", r"\1=/bin/true", render(template), flags=re.MULTILINE))
    most = MOST.get(name_of(template), MOST_OF_OTHERS)
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={most}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_unit_says_whom_it_talks_to(template):
    text = render(template, pipress_address_filter=["IPAddressDeny=any"])
    if name_of(template) not in UNFILTERED:
        assert "IPAddressDeny=any" in text.splitlines()


def filter_lines(tmp_path: Path, play, settings: dict) -> list[str]:
    """What a play renders for a host with some settings."""
    unit = tmp_path / "unit"
    release = {"settings": settings}
    given = {
        "pipress_release": release,
        "pipress_balancer": "10.0.0.9",
        "unit": str(unit),
        "roles": str(ROLES),
    }
    code, events = play(
        RENDER, given, "-e", f"@{ROLES.parent}/group_vars/all/main.yml", "-e", json.dumps(given)
    )
    assert code == 0, events
    return [line for line in unit.read_text().splitlines() if line.startswith("IPAddress")]


def test_a_host_lets_in_itself_the_load_balancer_and_whom_its_settings_name(tmp_path, play):
    assert filter_lines(tmp_path, play, {"allowFrom": ["192.168.1.0/24", "fd00::/8"]}) == [
        "IPAddressDeny=any",
        "IPAddressAllow=localhost 192.168.1.0/24 fd00::/8 10.0.0.9",
    ]
    assert filter_lines(tmp_path, play, {"allowFrom": []})[1] == "IPAddressAllow=localhost 10.0.0.9"
    assert filter_lines(tmp_path, play, {}) == []
