"""Checks a llama-server program: its build, and the flags it will be started with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from .errors import HostError
from .files import read_json, write_json
from .store import stamp_of


def check_server(
    path: Path, build: str, minimum_build: int, flags: list[str], remedy: str, keep: bool = True
) -> None:
    """Raises HostError unless the program runs, is `build` (where given), not below `minimum_build`, and knows `flags`.

    What it says about itself is kept beside it (with `keep`) and asked for again only when the file has changed.
    """
    properties = _properties_of(path, keep)
    if build and properties["build"] != int(build.lstrip("b")):
        raise HostError(
            f"llama-server is build b{properties['build']}, not the pinned {build}",
            f"what builds it anew on the controller: {remedy}",
        )
    if properties["build"] < minimum_build:
        raise HostError(
            f"llama-server is build b{properties['build']}; builds below b{minimum_build} have known security holes",
            "pin a newer llama.cpp",
        )
    unknown = [flag for flag in flags if flag not in properties["flags"]]
    if unknown:
        raise HostError(
            f"llama-server b{properties['build']} does not know {', '.join(unknown)}",
            "fit the flags in the role server to the pinned build",
        )


def _properties_of(path: Path, keep: bool) -> dict[str, Any]:
    note = path.with_name(path.name + ".says")
    kept = read_json(note)
    if kept and kept["stamp"] == stamp_of(path):
        return kept
    text = _run(path, "--version")
    # `version: 0.3 (build 11434, commit …)`, and `version: 11434 (…)` in older builds.
    version = re.search(r"\(build (\d+)", text) or re.search(r"version:\s*b?(\d+)\b", text)
    if version is None:
        raise HostError(
            "llama-server does not tell its version", "see that the release was built from the pinned source"
        )
    flags = sorted(set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", _run(path, "--help"))))
    properties = {"stamp": stamp_of(path), "build": int(version[1]), "flags": flags}
    if keep:
        write_json(note, properties)
    return properties


def _run(path: Path, flag: str) -> str:
    try:
        done = subprocess.run([str(path), flag], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise HostError(
            f"llama-server does not run here: {problem}", "build the release for this host"
        ) from problem
    if done.returncode < 0:
        raise HostError(
            f"`llama-server {flag}` was killed by signal {-done.returncode}",
            "signal 4 means an instruction that a Cortex-A72 does not have: build the release for armv8-a",
        )
    return done.stdout + done.stderr
