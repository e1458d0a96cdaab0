"""A machine that boots with an instance's user data: real boot.sh, server, watchdog and stages, in namespaces here.

It has processes of its own, which end with it, and its own `/var/lib`; the network is this machine's. Only what would
turn this machine off, and the GPU, are doubles: `shutdown`, `poweroff`, `nvidia-smi`.
"""

import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipress.cloud.testing.aws import AwsDouble
from pipress.store.testing.s3_server import BUCKET, S3Server

MODELS = Path(__file__).parents[3]
SOURCE = "boxes/test/source/code.tar.gz"
SECONDS = 180

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    NAMESPACES.append("--map-root-user")

# The machine's first process: its end is the end of all others.
INIT = """
mount -t tmpfs none /var/lib && mkdir /var/lib/pipress && mount --bind "$1" /var/lib/pipress || exit 1
bash "$1/user-data"
echo $? >"$1/status.part" && mv "$1/status.part" "$1/status"
until [ -e "$1/poweroff" ]; do sleep 0.1; done
"""


def has_namespaces() -> bool:
    """Whether this user may make namespaces: root may; others may where the system lets them."""
    return subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode == 0


def pack_source() -> bytes:
    """The code as `infra/builder/ssh/source.ts` packs it; the environment is this test's own."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("pipress", "schemas", "requirements.lock"):
            tar.add(MODELS / name, f"models/{name}", filter=lambda i: None if "__pycache__" in i.name else i)
        settings = json.dumps(
            {"uvVersion": "1", "venv": "test", "llamaCpp": {"sha256": "ab" * 32, "archive": "a"}}
        ).encode()
        entry = tarfile.TarInfo("builder.json")
        entry.size = len(settings)
        tar.addfile(entry, io.BytesIO(settings))
    return archive.getvalue()


class Machine:
    """One boot. `limits` and `gpu` are those of the instance's settings."""

    def __init__(
        self, folder: Path, server: S3Server, prefix: str, aws: AwsDouble, gpu: bool = False, **limits: float
    ) -> None:
        self.home, self.aws = folder, aws
        self.init: subprocess.Popen[bytes] | None = None
        self.store = server.url(prefix)
        self.off = folder / "poweroff"
        self.gpu_percent = folder / "gpu"
        self.queue = "test/gpu" if gpu else "test/build"
        usual = {
            **{"stallTimeoutSeconds": 60, "gpuIdleTimeoutSeconds": 60, "idleTimeoutSeconds": 1},
            **{"maxSeconds": 36000, "maxCostUsd": 100},
        }
        settings = {
            "queue": self.queue,
            "store": self.store,
            "region": "us-east-1",
            "dnsSuffix": "amazonaws.com",
            "gpu": gpu,
            "usdPerHour": {"g6e.2xlarge": {"spot": 3600.0, "on-demand": 7200.0}},  # a dollar a second
            "tokenParameter": "/pipress/test/token",
            "limits": {**usual, **limits},
        }
        self._put_doubles_in_place()
        self._put_environment_in_place()
        code = pack_source()
        server.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{SOURCE}", Body=code)
        root = f"{server.endpoint}/{BUCKET}/{prefix}"
        variables = {
            "settings": json.dumps(settings),
            "queue_url": f"{root}/boxes/{self.queue}",
            "source_url": f"{root}/{SOURCE}",
            "source_sha256": hashlib.sha256(code).hexdigest(),
            "region": "us-east-1",
            "dns_suffix": "amazonaws.com",
            "max_minutes": "600",
        }
        first, script = (Path(__file__).parents[1] / "boot.sh").read_text().split("\n", 1)
        lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        self.user_data = folder / "user-data"
        self.user_data.write_text("\n".join([first, *lines, script]))

    def boot(self) -> int:
        """Runs the user data as cloud-init does; returns its status once the instance is ready or has failed."""
        status, command = self.home / "status", [*NAMESPACES, "sh", "-c", INIT, "init", str(self.home)]
        init = self.init = subprocess.Popen(command, env=self._environment(), stdin=subprocess.DEVNULL)
        self.wait(lambda: status.exists() or init.poll() is not None, "the end of its boot script")
        return int(status.read_text())

    def is_off(self) -> bool:
        return self.off.exists()

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {SECONDS} s for {what}; the instance says:\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        names = ("boot.log", "watch.log", "server.log", "job.err")
        return "\n".join(f"{n}: {(self.home / n).read_text()}" for n in names if (self.home / n).exists())

    def log_path(self, key: str) -> Path:
        """Log of a job on this machine."""
        return self.home / "data" / "jobs" / key / "log.txt"

    def cut_power(self) -> None:
        """Ends every process of this machine, at once."""
        if self.init is not None:
            self.init.kill()
            self.init.wait()

    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PIPRESS_", "HF_"))}
        return {
            **own,
            **self.aws.environment,
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "PIPRESS_WATCH_SECONDS": "0.2",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }

    def _put_doubles_in_place(self) -> None:
        (self.home / "bin").mkdir(parents=True)
        self.gpu_percent.write_text("90")
        scripts = {
            "shutdown": f'echo "$@" > {self.home}/shutdown',
            "poweroff": f"touch {self.off}",
            "nvidia-smi": f"cat {self.gpu_percent}",
            # -S: as on a fresh instance, there is nothing but the standard library.
            "python3": f'exec {sys.executable} -S "$@"',
        }
        for name, script in scripts.items():
            file = self.home / "bin" / name
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    def _put_environment_in_place(self) -> None:
        """This test's own Python as the environment that an instance would install."""
        venv = self.home / "cache" / "venv" / "test"
        (venv / "bin").mkdir(parents=True)
        python = venv / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (venv / ".complete").touch()
