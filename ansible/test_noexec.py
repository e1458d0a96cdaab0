"""A host whose TMPDIR and home forbid to start programs: Ansible hands modules to Python's input, so that nothing is started
from there. The mounts are real, in a namespace of the test's own, which takes root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parent


def test_a_module_and_a_file_reach_a_host_whose_tmpdir_is_mounted_noexec(tmp_path):
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    (home / ".ansible").mkdir(parents=True)
    mounts = [f"mount -t tmpfs -o noexec tmpfs {folder}" for folder in (temporary, home / ".ansible")]
    ansible = Path(sys.executable).with_name("ansible")
    copy = f"{ansible} all -i pi-0, -c local -e ansible_become=false -m ansible.builtin.copy"
    script = " && ".join([*mounts, f"exec {copy} -a 'content=arrived dest={tmp_path}/file'"])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={
            **os.environ,
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert (tmp_path / "file").read_text() == "arrived", done.stdout + done.stderr
