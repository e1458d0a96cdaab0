"""The bucket's own promises, on a real S3 server; where a test meddles with the traffic, a proxy in between does it."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

from pipress.errors import StageError
from pipress.store.conftest import KEY, make
from pipress.store.s3_download import RANGE_BYTES
from pipress.store.s3_upload import MAX_PARTS, PART_BYTES, part_bytes
from pipress.store.store import open_store
from pipress.store.testing.proxy import Meddle, Proxy
from pipress.store.testing.s3_server import BUCKET, S3Server

OpenS3 = Callable[..., Any]
PARTS = 3


@pytest.fixture
def behind(s3_server: S3Server, s3_url: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the test's store through a proxy that meddles."""
    proxies = []

    def open_behind(
        meddle: Meddle = lambda *_: None, machine: str = "here", unknown_headers: tuple[str, ...] = ()
    ) -> tuple[Any, Proxy]:
        proxies.append(Proxy(s3_server.port, meddle, unknown_headers))
        url = s3_url.replace(s3_server.endpoint, proxies[-1].endpoint)
        return open_store(url, tmp_path / machine / "jobs"), proxies[-1]

    yield open_behind
    for proxy in proxies:
        proxy.stop()


def large(store: Any, key: str = KEY) -> bytes:
    """Puts a file of three parts, the last one short, where `begin` says. Returns its content."""
    content = os.urandom(1 << 20) * (PARTS * 8 - 4)
    (store.begin(key) / "model.gguf").write_bytes(content)
    return content


def objects(server: S3Server, prefix: str) -> list[str]:
    """Names of the objects under `prefix`, without it."""
    entries = server.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return sorted(entry["Key"].removeprefix(prefix).lstrip("/") for entry in entries)


def stored_file(server: S3Server, store: Any, path: str) -> Path:
    """The file in which the server keeps an object."""
    attempt = store.manifest(KEY)["attempt"]
    return server.buckets / BUCKET / store.bucket.address.name("artifacts", KEY, attempt, path)


def test_a_large_file_goes_in_parts_and_comes_back_in_ranges(behind: Any) -> None:
    store, proxy = behind()
    content = large(store)
    store.commit(KEY, {"run": "r"})
    elsewhere, reading = behind(machine="elsewhere")
    assert (elsewhere.open(KEY) / "model.gguf").read_bytes() == content
    assert sum("partNumber=" in request for request in proxy.requests) == PARTS
    assert len([request for request in reading.requests if "model.gguf" in request]) == -(-len(content) // RANGE_BYTES)


def test_an_upload_that_was_cut_off_goes_on_and_sends_no_part_twice(behind: Any) -> None:
    fail = {"at": "partNumber=3"}
    store, _ = behind(lambda method, path, number: (403, "ExpiredToken") if fail["at"] in path else None)
    content = large(store)
    with pytest.raises(StageError, match="have expired — sign in again"):
        store.commit(KEY, {"run": "r"})
    store.discard(KEY)  # as the job does after any failure
    assert store.manifest(KEY) is None and store.unfinished(KEY) == {"run": "r"}

    again, proxy = behind()
    again.commit(KEY, again.unfinished(KEY))
    assert [request.split("partNumber=")[1][0] for request in proxy.requests if "partNumber=" in request] == ["3"]
    elsewhere, _ = behind(machine="elsewhere")
    assert (elsewhere.open(KEY) / "model.gguf").read_bytes() == content


def test_a_part_that_is_not_what_the_file_holds_is_sent_again(behind: Any) -> None:
    store, _ = behind(lambda method, path, number: (403, "ExpiredToken") if "partNumber=3" in path else None)
    content = large(store)
    with pytest.raises(StageError):
        store.commit(KEY, {"run": "r"})
    changed = b"x" + content[1:]
    (store.jobs / KEY / "out" / "model.gguf").write_bytes(changed)
    again, _ = behind()
    again.commit(KEY, again.unfinished(KEY))
    elsewhere, _ = behind(machine="elsewhere")
    assert (elsewhere.open(KEY) / "model.gguf").read_bytes() == changed


def test_an_upload_that_the_bucket_forgot_begins_anew(behind: Any, s3_server: S3Server) -> None:
    store, _ = behind(lambda method, path, number: (403, "ExpiredToken") if "partNumber=3" in path else None)
    large(store)
    with pytest.raises(StageError):
        store.commit(KEY, {"run": "r"})
    prefix = store.bucket.address.prefix
    for upload in s3_server.client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)["Uploads"]:
        s3_server.client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    again, proxy = behind()
    again.commit(KEY, again.unfinished(KEY))
    assert sum("partNumber=" in request for request in proxy.requests) == PARTS


def test_of_two_runs_at_once_one_wins_whole_and_the_other_leaves_nothing(open_s3: OpenS3, s3_server: S3Server) -> None:
    together, results = threading.Barrier(2), {}

    def run(name: str) -> None:
        store = open_s3(name)
        together.wait()
        results[name] = make(store, name)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = results["one"]["run"]
    assert results["two"] == results["one"]
    store = open_s3("third")
    assert (store.open(KEY) / "model.gguf").read_text() == winner
    assert (store.open(KEY) / "sub" / "a b.txt").read_text() == winner[::-1]
    attempt = results["one"]["attempt"]
    assert objects(s3_server, f"{store.bucket.address.prefix}/artifacts/{KEY}") == sorted(
        [f"{attempt}/model.gguf", f"{attempt}/sub/a b.txt", "manifest.json"]
    )


def test_the_manifest_is_written_last(behind: Any) -> None:
    store, proxy = behind()
    make(store)
    written = [request for request in proxy.requests if request.startswith("PUT")]
    assert written[-1].endswith(f"{KEY}/manifest.json") and len(written) == 3


def test_what_was_made_here_is_not_fetched_again(behind: Any) -> None:
    store, proxy = behind()
    make(store)
    store.open(KEY)
    assert proxy.count("GET") == 1, proxy.requests  # the manifest


def test_a_copy_in_the_cache_that_went_bad_is_fetched_anew(open_s3: OpenS3) -> None:
    store = open_s3()
    make(store)
    file = store.open(KEY) / "model.gguf"
    file.chmod(0o644)
    file.write_text("WEIGHTS")
    assert (store.open(KEY) / "model.gguf").read_text() == "weights"


def test_a_dropped_connection_is_gone_on_with(behind: Any) -> None:
    store, _ = behind()
    content = large(store)
    store.commit(KEY, {"run": "r"})
    cut = []

    def meddle(method: str, path: str, number: int) -> str | None:
        if "model.gguf" in path and len(cut) < 3:
            cut.append(number)
            return "cut"
        return None

    elsewhere, _ = behind(meddle, machine="elsewhere")
    assert (elsewhere.open(KEY) / "model.gguf").read_bytes() == content
    assert len(cut) == 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(b"weighty"), "is damaged: its SHA-256 is"),
        (lambda file: file.write_bytes(b"w"), "is damaged: 1 bytes instead of 7"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_damaged_object_is_refused_and_leaves_nothing(
    open_s3: OpenS3, s3_server: S3Server, s3_url: str, damage: Any, message: str
) -> None:
    make(open_s3())
    damage(stored_file(s3_server, open_s3(), "model.gguf"))
    elsewhere = open_s3("elsewhere")
    with pytest.raises(StageError) as caught:
        elsewhere.open(KEY)
    assert f"/model.gguf {message}" in caught.value.what
    assert caught.value.remedy == (
        f"run `./pipress store rm {KEY[:12]} --store '{s3_url}' --yes`, then `up` again: "
        "the stage that makes it will run"
    )
    assert not list((elsewhere.cache.root / "files").iterdir())


def test_an_upload_that_arrived_short_is_no_artifact(open_s3: OpenS3, monkeypatch: Any) -> None:
    store = open_s3()
    monkeypatch.setattr(store.bucket.client, "head_object", lambda **_: {"ContentLength": 3})
    with pytest.raises(StageError, match=r"was cut short: 3 bytes instead of 7 — run `up` again: it is sent anew"):
        make(store)
    assert store.manifest(KEY) is None


@pytest.mark.parametrize(
    ("meddle", "message"),
    [
        ("drop", r"cannot be reached for s3://.* — check the network .*: it goes on where it was"),
        ("short", r"/model.gguf did not arrive as it was sent \(\w+\) — run `up` again: it is sent anew"),
    ],
)
@pytest.mark.parametrize("is_large", [False, True])
def test_an_upload_that_is_cut_off_on_the_way_is_no_artifact_and_goes_on(
    behind: Any, s3_server: S3Server, monkeypatch: Any, meddle: str, message: str, is_large: bool
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
    store, _ = behind(lambda method, path, number: meddle if method == "PUT" else None)
    content = b"weights"
    if is_large:
        content = large(store)
    else:
        (store.begin(KEY) / "model.gguf").write_bytes(content)
    with pytest.raises(StageError, match=message):
        store.commit(KEY, {"run": "r"})
    assert store.manifest(KEY) is None and objects(s3_server, store.bucket.address.prefix) == []
    again, _ = behind()
    again.commit(KEY, again.unfinished(KEY))
    elsewhere, _ = behind(machine="elsewhere")
    assert (elsewhere.open(KEY) / "model.gguf").read_bytes() == content


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "ExpiredToken", "have expired — sign in again"),
        (403, "InvalidAccessKeyId", "are refused (InvalidAccessKeyId) — set AWS_PROFILE"),
        (403, "AccessDenied", "may not do s3:GetObject on s3://artifacts/"),
        (400, "IllegalLocationConstraintException", "is in another region — add ?region="),
        (
            501,
            "NotImplemented",
            "does not implement what s3:GetObject needs — use an S3 server that knows multipart uploads and ranges",
        ),
    ],
)
def test_each_refusal_of_the_server_says_what_to_do(behind: Any, status: int, code: str, message: str) -> None:
    store, _ = behind(lambda *_: (status, code))
    with pytest.raises(StageError) as caught:
        store.manifest(KEY)
    assert message in str(caught.value)


@pytest.mark.parametrize("unknown", [("x-amz-checksum", "x-amz-sdk-checksum"), ("if-none-match",)])
def test_a_server_that_does_not_know_a_header_is_asked_once_and_serves(behind: Any, unknown: tuple[str, ...]) -> None:
    store, proxy = behind(unknown_headers=unknown)
    content = large(store)
    store.commit(KEY, {"run": "first"})
    assert (behind(machine="elsewhere", unknown_headers=unknown)[0].open(KEY) / "model.gguf").read_bytes() == content
    assert len(store.bucket.lacks) == 1
    before = len(proxy.requests)
    make(store, key="cd" * 32)
    assert sum(request.startswith("PUT") for request in proxy.requests[before:]) == 3, "nothing is tried again"
    late, _ = behind(machine="late", unknown_headers=unknown)
    assert make(late)["run"] == "first"


@pytest.mark.parametrize("refusal", [(501, "NotImplemented"), (403, "AccessDenied")])
def test_where_parts_are_not_listed_all_are_sent_anew(behind: Any, refusal: tuple[int, str]) -> None:
    store, _ = behind(lambda method, path, number: (403, "ExpiredToken") if "partNumber=3" in path else None)
    content = large(store)
    with pytest.raises(StageError):
        store.commit(KEY, {"run": "r"})
    again, proxy = behind(lambda method, path, number: refusal if method == "GET" and "uploadId=" in path else None)
    again.commit(KEY, again.unfinished(KEY))
    assert sum("partNumber=" in request for request in proxy.requests) == PARTS
    assert (behind(machine="elsewhere")[0].open(KEY) / "model.gguf").read_bytes() == content


def test_a_bucket_that_is_not_there(s3_server: S3Server, open_s3: OpenS3) -> None:
    store = open_s3(url=s3_server.url("p", bucket="nowhere"))
    with pytest.raises(StageError, match="there is no bucket nowhere — make it, or mend `store`"):
        store.manifest(KEY)
    with pytest.raises(StageError, match="there is no bucket nowhere"):
        make(store)


def test_a_user_who_may_read_but_not_write(s3_server: S3Server, open_s3: OpenS3, monkeypatch: Any) -> None:
    make(open_s3())
    s3_server.add_user("reader", "reader-secret")
    s3_server.allow("reader", "s3:GetObject", "s3:ListBucket")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret")
    reader = open_s3("reader")
    assert (reader.open(KEY) / "model.gguf").read_text() == "weights"
    with pytest.raises(StageError, match=r"may not do s3:PutObject on .* — grant s3:GetObject, s3:PutObject"):
        make(reader, key="cd" * 32)


def test_wrong_credentials_and_none(open_s3: OpenS3, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StageError, match=r"are refused .* — set AWS_PROFILE"):
        open_s3().manifest(KEY)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(StageError, match=r"there are no credentials for s3://artifacts/.* — set AWS_PROFILE"):
        open_s3().manifest(KEY)


def test_a_server_that_does_not_answer(open_s3: OpenS3, monkeypatch: Any) -> None:
    store = open_s3(url="s3://artifacts/p?endpoint=http://127.0.0.1:9&region=r")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(
        StageError, match=r"http://127.0.0.1:9 cannot be reached for s3://artifacts/p .* — check the network"
    ):
        store.manifest(KEY)


@pytest.mark.parametrize("size", [PART_BYTES + 1, 80 << 30, 1 << 40, (1 << 40) + 1])
def test_every_size_fits_into_the_number_of_parts_that_s3_takes(size: int) -> None:
    step = part_bytes(size)
    assert step >= PART_BYTES and step % (1 << 20) == 0 and -(-size // step) <= MAX_PARTS


def test_client_errors_without_a_remedy_keep_their_code(behind: Any) -> None:
    store, _ = behind(lambda *_: (409, "SomethingNew"))
    with pytest.raises(StageError, match="failed: SomethingNew made up by the test") as caught:
        store.manifest(KEY)
    assert isinstance(caught.value.__cause__, exceptions.ClientError)
