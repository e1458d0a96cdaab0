"""Runs a peer the way a job runs a stage: inputs from the store, its artifact into the store.

`python -m pipress.bench.peer`, with the job's instructions on standard input; called by `npm run bench:compression`. It
is no job: killed, it begins anew.
"""

import importlib
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipress.bench.eight_b import report_seldom
from pipress.jobs.machine import describe_machine
from pipress.jobs.work import explain
from pipress.spec import Spec
from pipress.store.store import open_store, workplace


def main() -> int:
    """Returns the exit status; a failure is one line on standard error."""
    spec = json.load(sys.stdin)
    try:
        make(spec)
    except Exception as error:
        failure = explain(error, workplace(spec["store"], Path(spec["jobs"])))
        print(f"{spec['name']}: {failure}", file=sys.stderr)
        return 1
    return 0


def make(spec: dict[str, Any]) -> None:
    """Runs `pipress.bench.peers.<stage>` unless the store has what it makes. Raises what it raises."""
    store, key = open_store(spec["store"], Path(spec["jobs"])), spec["key"]
    if store.manifest(key) is not None:
        return
    module = importlib.import_module(f"pipress.bench.peers.{spec['stage'].replace('-', '_')}")
    inputs = {name: store.open(upstream) for name, upstream in spec["inputs"].items()}
    out, began = store.begin(key), time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as checkpoint:
            metrics = module.run(
                Spec(
                    stage=spec["stage"],
                    name=spec["name"],
                    params=spec["params"],
                    llama_cpp_bin=Path(spec["tools"]["llamaCppBin"]),
                    convert_script=Path(spec["tools"]["convertScript"]),
                    checkpoint=Path(checkpoint),
                    report=report_seldom(spec["name"]),
                ),
                inputs,
                out,
            )
        manifest = {
            "schema": 1,
            **{name: spec[name] for name in ("key", "stage", "name", "run", "params", "inputs", "toolVersions")},
            "metrics": metrics,
            "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began, 1),
            "machine": describe_machine(),
            "costUsd": 0,
        }
        store.commit(key, manifest)
    except BaseException:
        store.discard(key)
        raise


if __name__ == "__main__":
    sys.exit(main())
