"""An instance's job queue, `boxes/<stack>-<id>/<instance>/` in the bucket: jobs, statuses, logs, checkpoints, boots.

The folders keep the names that they have in buckets of earlier versions.

jobs/<key>.json         wanted: {"submission", "submittedAt", "spec", "stage"}; gone when done or failed
status/<key>.json       what became of it: {"submission", "state", "line", "instance", "at", "error"?}
logs/<key>.txt          the job's log so far
checkpoints/<key>.tar   what a next instance resumes from
boots/<instance>.json   each instance that ran: type, price, since when, until when, why it ended
"""

import json
import time
from typing import Any, Protocol

# An instance whose word on a job is older than this is no longer at work on it.
STALE_SECONDS = 60.0


class Documents(Protocol):
    """What a queue needs of a bucket: `Objects` on the instance, boto3 where the operator is."""

    def get(self, path: str) -> bytes | None: ...

    def put(self, path: str, body: bytes, only_if_absent: bool = False) -> bool: ...

    def delete(self, path: str) -> None: ...

    def list(self, path: str) -> list[str]: ...


class JobQueue:
    """Jobs of one instance, and what it says of them."""

    def __init__(self, documents: Documents, name: str) -> None:
        self.documents, self.root = documents, f"boxes/{name}"

    def log(self, key: str) -> str:
        return f"{self.root}/logs/{key}.txt"

    def checkpoint(self, key: str) -> str:
        return f"{self.root}/checkpoints/{key}.tar"

    def job(self, key: str) -> dict[str, Any] | None:
        """What is wanted under a key; None when nothing is, or no longer."""
        return self._read(f"jobs/{key}")

    def submit(self, key: str, job: dict[str, Any]) -> bool:
        """Puts a job on the queue. Returns False when it lies there already."""
        return self._write(f"jobs/{key}", job, only_if_absent=True)

    def jobs(self) -> list[dict[str, Any]]:
        """What is wanted, the oldest first."""
        submitted = [self._read(f"jobs/{key}") for key in self._keys("jobs")]
        return sorted((job for job in submitted if job), key=lambda job: job["submittedAt"])

    def status(self, key: str) -> dict[str, Any] | None:
        """What the instance last report of a job."""
        return self._read(f"status/{key}")

    def statuses(self) -> list[dict[str, Any]]:
        return [status for key in self._keys("status") if (status := self._read(f"status/{key}"))]

    def report(self, job: dict[str, Any], state: str, line: str, instance: str, **more: Any) -> None:
        """Writes down how a job is: `working`, `interrupted`, `done` or `failed`."""
        spec = job["spec"]
        what = {"submission": job["submission"], "key": spec["key"], "name": spec["name"], "run": spec["run"]}
        report = {**what, "state": state, "line": line, "instance": instance, "at": time.time(), **more}
        self._write(f"status/{spec['key']}", report)

    def is_taken(self, job: dict[str, Any], instance: str) -> bool:
        """Whether another instance is at work on it."""
        status = self.status(job["spec"]["key"])
        return (
            status is not None
            and status["submission"] == job["submission"]
            and status["state"] == "working"
            and status["instance"] != instance
            and time.time() - status["at"] < STALE_SECONDS
        )

    def remove(self, key: str) -> None:
        """Nobody needs to work on it any more."""
        self.documents.delete(f"{self.root}/jobs/{key}.json")

    def note_instance(self, record: dict[str, Any]) -> None:
        self._write(f"boots/{record['instance']}", record)

    def instances(self) -> list[dict[str, Any]]:
        """Every instance that ran here, the first one first."""
        records = [self._read(f"boots/{name}") for name in self._keys("boots")]
        return sorted((record for record in records if record), key=lambda record: record["began"])

    def _keys(self, kind: str) -> list[str]:
        paths = self.documents.list(f"{self.root}/{kind}/")
        return [path.rsplit("/", 1)[1].removesuffix(".json") for path in paths if path.endswith(".json")]

    def _read(self, name: str) -> dict[str, Any] | None:
        content = self.documents.get(f"{self.root}/{name}.json")
        return None if content is None else json.loads(content)

    def _write(self, name: str, value: dict[str, Any], only_if_absent: bool = False) -> bool:
        body = json.dumps(value, ensure_ascii=False).encode()
        return self.documents.put(f"{self.root}/{name}.json", body, only_if_absent)
