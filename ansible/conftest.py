"""Plays on this machine, for the tests of what plays are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ANSIBLE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def play(tmp_path_factory):
    """A function that runs a playbook (YAML) against this machine as the host pi-0, and returns its exit code and events."""

    def run(
        text: str, variables: dict[str, Any], *arguments: str, environment: dict[str, str] | None = None
    ) -> tuple[int, list[dict[str, Any]]]:
        playbook = tmp_path_factory.mktemp("play") / "play.yml"
        playbook.write_text(text)
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "pi-0,", "-c", "local"]
        command += ["-e", json.dumps({**variables, "ansible_become": False}), *arguments, str(playbook)]
        done = subprocess.run(
            command,
            env={
                **os.environ,
                **(environment or {}),
                "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run
