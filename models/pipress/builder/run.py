"""`python3 -m pipress builder run SOURCE`: makes the machine ready, then runs a stage there as anywhere else."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from pipress.builder.prepare import Prepared, prepare


def run(source: Path, data: Path, cache: Path) -> NoReturn:
    """Reads `{"spec", "environment"}` on standard input, and goes on as `stage run` in the environment for it.

    The spec is one without `jobs` and `tools`; the environment holds secrets for the job.

    source: the unpacked archive that this package is part of.
    """
    order = json.load(sys.stdin)
    os.environ.update(order["environment"])
    jobs = data / "jobs"
    # A stage names llama.cpp among its tools when it uses them: a GPU need not wait for a compiler.
    prepared = prepare(source, jobs, cache, "llama.cpp" in order["spec"]["toolVersions"])
    _become_stage(complete(order["spec"], jobs, prepared), prepared.python)


def complete(spec: dict[str, Any], jobs: Path, prepared: Prepared) -> dict[str, Any]:
    """The spec with what only the machine knows: its folders and its tools."""
    tools = {"llamaCppBin": str(prepared.llama_cpp_bin), "convertScript": str(prepared.convert_script)}
    return {**spec, "jobs": str(jobs), "tools": tools}


def _become_stage(spec: dict[str, Any], python: Path) -> NoReturn:
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(spec).encode())
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        os.dup2(file.fileno(), 0)
    os.execv(python, [str(python), "-m", "pipress", "stage", "run"])
