"""Plays on this machine, and kills: for the tests of what plays are made of."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import ansible.module_utils
import gguf
import numpy as np
import pytest
from ansible.module_utils.testing import patch_module_args

ANSIBLE = Path(__file__).resolve().parent
# Ansible itself sends a module's imports to the host beside the module.
ansible.module_utils.__path__.append(str(ANSIBLE / "module_utils"))


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


class Module:
    """A module of `library/` that is run in this process, as Ansible runs it on a host."""

    def __init__(self, name: str, capsys: pytest.CaptureFixture[str]):
        spec = importlib.util.spec_from_file_location(name, ANSIBLE / "library" / f"{name}.py")
        assert spec and spec.loader
        #: Its code, for what a test has to replace there.
        self.code: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.code)
        self._capsys = capsys
        #: All that it last said, with what it was given.
        self.said = ""

    def __call__(self, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """What it answers; without `changed` where it failed."""
        self._capsys.readouterr()
        given = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
        with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
            self.code.main()
        self.said = self._capsys.readouterr().out
        answer = json.loads(self.said)
        assert bool(answer.get("failed")) is (ended.value.code != 0)
        del answer["invocation"]
        return answer


@pytest.fixture
def module(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Module:
    """The module that a file of tests is called after."""
    return Module(Path(request.path).stem.removeprefix("test_"), capsys)


class Programs:
    """Stand-ins for programs of a host, first on PATH: each writes down what it was told, and does what its script says."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._told = folder / "told"

    def add(self, name: str, script: str = "") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._told}\n{script}\n')
        path.chmod(0o755)

    @property
    def told(self) -> list[str]:
        """Command lines, without folders, in their order."""
        return self._told.read_text().splitlines() if self._told.exists() else []


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """No stand-in yet, and nothing else of this machine's systemd."""
    folder = tmp_path_factory.mktemp("programs")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    made = Programs(folder)
    for name in ("systemctl", "systemd-run", "journalctl"):
        made.add(name, "exit 1")
    return made


@pytest.fixture
def serve_tiny_model() -> Callable[[Path], None]:
    """Fills the folder of a host that serves a release: a GGUF of 2,240 weights, labelled 2K, with one matrix in its one
    layer."""

    def serve(root: Path) -> None:
        folder = root / "releases" / "one"
        folder.mkdir(parents=True)
        (root / "current").symlink_to("releases/one")
        (root / "keys").write_text("key\n")
        release = {"settings": {"port": 1, "threads": 4}, "healthCheck": {}}
        (folder / "release.json").write_text(json.dumps(release))
        writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
        writer.add_size_label("2K")
        writer.add_tensor("blk.0.attn_q.weight", np.ones((32, 64), np.float16))
        writer.add_tensor("token_embd.weight", np.ones((3, 64), np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return serve


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
