"""versitygw, an S3 server over a folder, on loopback: for tests and the benchmark.

`npm run bootstrap -- --test` brings it.
"""

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

VERSION = "v1.8.0"  # as in toolchain/s3-server/go.mod
ROOT = {"AWS_ACCESS_KEY_ID": "pipress-root", "AWS_SECRET_ACCESS_KEY": "pipress-root-secret"}
BUCKET = "artifacts"


def server_program() -> Path:
    """Where bootstrap puts it; same rule as `common/paths.ts`."""
    cache = os.environ.get("PIPRESS_CACHE")
    if cache is None:
        cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pipress")
    return Path(cache) / "s3-server" / VERSION / "versitygw"


class S3Server:
    """A running server with one bucket, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buckets = folder / "buckets"
        for name in ("buckets", "iam"):
            (folder / name).mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        command = [server_program(), "--port", f"127.0.0.1:{self.port}", "--iam-dir", folder / "iam"]
        command += ["--access", ROOT["AWS_ACCESS_KEY_ID"], "--secret", ROOT["AWS_SECRET_ACCESS_KEY"]]
        with open(folder / "server.log", "wb") as log:
            self.process = subprocess.Popen([*command, "posix", self.buckets], stdout=log, stderr=log)
        self._wait_until_it_listens()
        self.client = self._client()
        self.client.create_bucket(Bucket=BUCKET)

    def url(self, prefix: str, bucket: str = BUCKET) -> str:
        """URL of a store in this server's bucket."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def allow(self, user: str, *actions: str) -> None:
        """Lets `user` do `actions`, and nothing else, in the bucket."""
        arn = f"arn:aws:s3:::{BUCKET}"
        statement = {"Effect": "Allow", "Principal": [user], "Action": list(actions), "Resource": [arn, f"{arn}/*"]}
        self.client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [statement]}))

    def add_user(self, name: str, secret: str) -> None:
        """Makes an account that may do nothing yet."""
        admin = [server_program(), "admin", "--endpoint-url", self.endpoint]
        admin += ["--access", ROOT["AWS_ACCESS_KEY_ID"], "--secret", ROOT["AWS_SECRET_ACCESS_KEY"]]
        command = [*admin, "create-user", "--access", name, "--secret", secret, "--role", "user"]
        subprocess.run(command, check=True, capture_output=True)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ROOT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ROOT["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"versitygw does not listen: {(self.folder / 'server.log').read_text()}")
