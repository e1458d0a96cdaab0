"""`python -m pipress.store.testing.benchmark BYTES ROUNDS AWS…`: the store in S3 beside the AWS CLI, on one S3 server.

Prints one JSON document. Each side moves the same random file, in processes of its own; who goes first alternates, and
the median of a side's rounds counts. Ours computes and checks SHA-256 on the way, which the CLI does not do.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pipress.store.testing.s3_server import BUCKET, ROOT, S3Server

KEY = "be" * 32
PUT = """
import sys; from pathlib import Path
from pipress.store.store import open_store
open_store(sys.argv[1], Path(sys.argv[2])).commit(sys.argv[3], {"run": "bench"})
"""
GET = """
import sys; from pathlib import Path
from pipress.store.store import open_store
open_store(sys.argv[1], Path(sys.argv[2])).open(sys.argv[3])
"""


def main(size: int, rounds: int, peer: list[str]) -> dict[str, Any]:
    """Runs it; `peer` is the command of the AWS CLI."""
    folder = Path(tempfile.mkdtemp(prefix="pipress-bench-"))
    server = S3Server(folder / "server")
    try:
        file = folder / "file"
        _write_random(file, size)
        seconds: dict[str, list[float]] = {name: [] for name in ("put", "get", "peer_put", "peer_get")}
        memory: dict[str, list[int]] = {name: [] for name in seconds}
        for index in range(rounds):
            for name, (took, peak) in _round(server, folder, file, peer, index).items():
                seconds[name].append(took)
                memory[name].append(peak)
        speed = {name: size / statistics.median(times) for name, times in seconds.items()}
        return {
            "put_bytes_per_second": round(speed["put"]),
            "get_bytes_per_second": round(speed["get"]),
            "peak_rss_bytes": max(memory["put"] + memory["get"]),
            "peer": {
                "put_bytes_per_second": round(speed["peer_put"]),
                "get_bytes_per_second": round(speed["peer_get"]),
                "peak_rss_bytes": max(memory["peer_put"] + memory["peer_get"]),
            },
            "seconds": seconds,
        }
    finally:
        server.stop()
        shutil.rmtree(folder)


def _round(server: S3Server, folder: Path, file: Path, peer: list[str], index: int) -> dict[str, tuple[float, int]]:
    """One put and one get of each side; who goes first alternates."""
    sender, receiver = folder / "here" / "jobs", folder / "there" / "jobs"
    (sender / KEY / "out").mkdir(parents=True)
    os.link(file, sender / KEY / "out" / "file")
    url = server.url(f"ours-{index}")
    copied = folder / "copied"
    s3 = [*peer, "s3", "--endpoint-url", server.endpoint, "cp", "--only-show-errors"]
    object_url = f"s3://{BUCKET}/peer-{index}/file"
    ours = {
        "put": [sys.executable, "-c", PUT, url, str(sender), KEY],
        "get": [sys.executable, "-c", GET, url, str(receiver), KEY],
    }
    theirs = {"peer_put": [*s3, str(file), object_url], "peer_get": [*s3, object_url, str(copied)]}
    results = {}
    for side in (ours, theirs) if index % 2 == 0 else (theirs, ours):
        for name, command in side.items():
            os.sync()
            results[name] = _timed(command)
    if not _same(file, next((receiver.parent / "cache" / "artifacts" / KEY).iterdir())) or not _same(file, copied):
        raise RuntimeError("what came back is not what went in")
    for name in (sender.parent, receiver.parent):
        shutil.rmtree(name)
    copied.unlink()
    for item in server.client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        server.client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return results


def _timed(command: list[str]) -> tuple[float, int]:
    """Seconds and largest resident size, bytes, of one process."""
    environment = {**os.environ, **ROOT, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{command[:4]} failed with status {status}")
    return time.monotonic() - began, usage.ru_maxrss * 1024


def _write_random(file: Path, size: int) -> None:
    with open(file, "wb") as out:
        for left in range(size, 0, -(1 << 24)):
            out.write(os.urandom(min(left, 1 << 24)))


def _same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "-s", one, other]).returncode == 0


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
