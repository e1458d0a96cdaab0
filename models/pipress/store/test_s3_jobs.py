"""Jobs whose store is a bucket: what is made stays made, and what somebody else made is not made again."""

import fcntl
import time
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import prose
from pipress.jobs.job import Job
from pipress.store.conftest import KEY, make
from pipress.store.testing.proxy import Proxy
from pipress.store.testing.s3_server import S3Server

SECONDS = 60


def test_after_a_failed_upload_the_stage_does_not_run_again(
    s3_server: S3Server, s3_url: str, job_spec: Any, text_source: Any, attach: Any, tmp_path: Path
) -> None:
    texts = {"calibration": [text_source("a.txt", prose(1, 50))], "evaluation": [text_source("b.txt", prose(2, 50))]}
    proxy = Proxy(s3_server.port, lambda method, path, _: (400, "ExpiredToken") if method == "PUT" else None)
    behind = s3_url.replace(s3_server.endpoint, proxy.endpoint)
    failed = attach({**job_spec("fetch-dataset", texts), "store": behind})
    _, err = failed.communicate(timeout=SECONDS)
    assert failed.returncode == 1 and "have expired — sign in again" in err
    (tmp_path / "a.txt").unlink()  # without it the stage could not run

    proxy.meddle = lambda *_: None
    again = attach({**job_spec("fetch-dataset", texts), "store": behind})
    out, err = again.communicate(timeout=SECONDS)
    proxy.stop()
    assert again.returncode == 0, err
    assert f'"key":"{KEY}"' in out and not (tmp_path / "jobs" / KEY / "upload.json").exists()


def test_what_somebody_else_made_meanwhile_is_not_made_again(
    s3_url: str, job_spec: Any, attach: Any, open_s3: Any, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    with open(tmp_path / "jobs" / "slot", "w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        process = attach({**job_spec("quantize", {"type": "Q4_K_M"}, {"model": "cd" * 32}), "store": s3_url})
        job, deadline = Job(tmp_path / "jobs", KEY), time.monotonic() + SECONDS
        while "waiting" not in str(job.progress):
            assert time.monotonic() < deadline, "the job does not wait for its turn"
            time.sleep(0.05)
        store = open_s3("elsewhere")
        folder = store.begin(KEY)
        (folder / "model.gguf").write_text("theirs")
        store.commit(KEY, {"run": "theirs", "stage": "quantize", "key": KEY, "metrics": {}, "seconds": 1})
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert '"run":"theirs"' in out


@pytest.mark.parametrize("missing", [[], ["model.gguf"]])
def test_inputs_come_from_the_bucket_only_when_they_are_not_here(
    s3_server: S3Server, s3_url: str, open_s3: Any, missing: list[str], tmp_path: Path
) -> None:
    make(open_s3())
    folder = open_s3().open(KEY)
    for name in missing:
        (folder / name).unlink()
    proxy = Proxy(s3_server.port)
    open_s3(url=s3_url.replace(s3_server.endpoint, proxy.endpoint)).open(KEY)
    proxy.stop()
    # What is gone from the folder only is linked again: its copy is still in the cache.
    assert proxy.requests == [proxy.requests[0]] and "manifest.json" in proxy.requests[0]
