"""Plays on this machine, and kills: for the tests of what plays are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is put away."""


def is_killed(
    patched: pytest.MonkeyPatch, allowed: int, run: Callable[[], object], methods: list[tuple[object, str]]
) -> bool:
    """Runs something until it has done `allowed` steps; whether it was killed before its end."""
    done = 0

    def step(work: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            nonlocal done
            if done == allowed:
                raise Killed
            done += 1
            return work(*arguments, **named)

        return counted

    patched.setattr(os, "replace", step(os.replace))
    for owner, name in methods:
        patched.setattr(owner, name, step(getattr(owner, name)))
    try:
        run()
    except Killed:
        return True
    return False


@pytest.fixture
def killed_at_every_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[int]]:
    """Runs what `begin` returns again and again, killed one step later each time, until it comes to its end.

    A step is a rename, or a call of one of `methods` (pairs of object and name). Yields after each kill: the caller looks at
    what is left there, and lets it heal.
    """

    def kills(begin: Callable[[], Callable[[], object]], methods: list[tuple[object, str]]) -> Iterator[int]:
        for allowed in range(1000):
            run = begin()
            with monkeypatch.context() as patched:
                killed = is_killed(patched, allowed, run, methods)
            if not killed:
                return
            yield allowed

    return kills
