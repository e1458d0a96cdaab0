import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipress.conftest import PACKAGE_ROOT
from pipress.store.cache import LIMIT_BYTES, Cache, is_intact

KEYS = [digit * 64 for digit in "abcd"]


def files_of(content: str) -> dict[str, Any]:
    return {"model.gguf": {"sha256": hashlib.sha256(content.encode()).hexdigest(), "bytes": len(content)}}


def provide(cache: Cache, key: str, content: str, age: int = 0) -> Path:
    """Has `content` fetched as the artifact `key`, as if it had been used `age` seconds ago."""
    folder = cache.provide(key, files_of(content), lambda path, target: target.write_text(content))
    os.utime(folder, (1_000_000 - age,) * 2)
    return folder


def leave(cache: Cache) -> None:
    """What the end of a process does to its locks."""
    while cache._in_use:
        os.close(cache._in_use.pop())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=25)


def test_what_was_used_longest_ago_goes_when_the_limit_is_reached(cache: Cache) -> None:
    old, older = provide(cache, KEYS[0], "a" * 10, age=10), provide(cache, KEYS[1], "b" * 10, age=20)
    leave(cache)
    new = provide(cache, KEYS[2], "c" * 10)
    assert old.exists() and not older.exists() and new.exists()
    assert sum(file.stat().st_size for file in (cache.root / "files").iterdir()) == 20


def test_what_is_used_again_is_not_the_oldest(cache: Cache) -> None:
    first, second = provide(cache, KEYS[0], "a" * 10, age=20), provide(cache, KEYS[1], "b" * 10, age=10)
    cache.provide(KEYS[0], files_of("a" * 10), lambda path, target: pytest.fail("it is here"))
    leave(cache)
    provide(cache, KEYS[2], "c" * 10)
    assert first.exists() and not second.exists()


def test_what_a_process_uses_stays(cache: Cache) -> None:
    code = (
        "import sys; from pathlib import Path; from pipress.store.cache import Cache;"
        f"Cache(Path(sys.argv[1])).provide('{KEYS[0]}', {{}}, None); print('here', flush=True); sys.stdin.read()"
    )
    used = provide(cache, KEYS[0], "a" * 10, age=20)
    leave(cache)
    user = subprocess.Popen(
        [sys.executable, "-c", code, str(cache.root)],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
    )
    assert user.stdout is not None and user.stdout.readline() == b"here\n"
    os.utime(used, (0, 0))
    provide(cache, KEYS[1], "b" * 20)
    assert used.exists(), "a process uses it"
    user.communicate()
    leave(cache)
    provide(cache, KEYS[2], "c" * 10)
    assert not used.exists()


def test_a_file_that_two_artifacts_share_stays_with_the_younger(cache: Cache) -> None:
    older, younger = provide(cache, KEYS[0], "a" * 10, age=20), provide(cache, KEYS[1], "a" * 10, age=5)
    other = provide(cache, KEYS[2], "b" * 10, age=10)
    leave(cache)
    provide(cache, KEYS[3], "c" * 10)
    assert not older.exists() and not other.exists(), "the first frees nothing"
    assert (younger / "model.gguf").read_text() == "a" * 10


def test_what_was_made_here_counts_too(cache: Cache, tmp_path: Path) -> None:
    old = provide(cache, KEYS[0], "a" * 20, age=10)
    leave(cache)
    made = tmp_path / "made"
    made.write_text("b" * 10)
    cache.adopt(made, hashlib.sha256(b"b" * 10).hexdigest())
    assert not old.exists()
    cache.provide(KEYS[1], files_of("b" * 10), lambda path, target: pytest.fail("it is here"))


def test_what_was_made_here_may_fill_the_cache_to_its_limit(cache: Cache, tmp_path: Path) -> None:
    old = provide(cache, KEYS[0], "a" * 15, age=10)
    leave(cache)
    (tmp_path / "made").write_text("b" * 10)
    cache.adopt(tmp_path / "made", hashlib.sha256(b"b" * 10).hexdigest())
    assert old.exists()


def test_more_than_the_limit_is_fetched_all_the_same(cache: Cache) -> None:
    assert (provide(cache, KEYS[0], "a" * 99) / "model.gguf").stat().st_size == 99


def names(cache: Cache) -> set[str]:
    """What the cache's files begin with: each has one letter, many times."""
    return {file.read_text()[:1] for file in (cache.root / "files").iterdir()}


def test_exactly_what_fits_the_limit_stays(cache: Cache) -> None:
    provide(cache, KEYS[0], "a" * 15, age=10)
    leave(cache)
    provide(cache, KEYS[1], "b" * 10)
    assert names(cache) == {"a", "b"}
    leave(cache)
    provide(cache, KEYS[2], "c")
    assert names(cache) == {"b", "c"}


def test_no_more_goes_than_has_to(cache: Cache) -> None:
    for key, letter, age in zip(KEYS, "abc", (30, 20, 10), strict=False):
        provide(cache, key, letter * 8, age=age)
    leave(cache)
    provide(cache, KEYS[3], "d" * 16)
    assert names(cache) == {"c", "d"}


@pytest.mark.parametrize(("total", "free", "left"), [(100, 100, "ab"), (48, 100, "b"), (100, 4, "b"), (100, 5, "ab")])
def test_copies_take_half_of_a_small_disk_and_no_more_than_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, left: str
) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=1000)
    usage = SimpleNamespace(total=1000, used=0, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    provide(cache, KEYS[0], "a" * 20, age=20)
    leave(cache)
    usage.total, usage.free = total, free
    provide(cache, KEYS[1], "b" * 5, age=10)
    assert names(cache) == set(left)


def test_the_usual_limit_holds_a_few_large_recipes(tmp_path: Path) -> None:
    assert Cache(tmp_path).limit_bytes == LIMIT_BYTES == 200e9


def test_a_copy_that_no_artifact_links_to_goes_like_any_other(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "made").write_text("x" * 10)
    cache.adopt(tmp_path / "made", hashlib.sha256(b"x" * 10).hexdigest())
    [lone] = (cache.root / "files").iterdir()
    provide(cache, KEYS[0], "a" * 10, age=0)
    leave(cache)
    os.utime(lone, (1_000_000 - 10,) * 2)
    provide(cache, KEYS[1], "b" * 10)
    assert names(cache) == {"a", "b"}


def test_what_is_on_its_way_is_left_to_whoever_fetches_it(cache: Cache) -> None:
    provide(cache, KEYS[0], "a" * 10, age=10)
    leave(cache)
    part = cache.root / "files" / "c0ffee.part"
    part.write_text("p" * 20)
    os.utime(part, (0, 0))
    provide(cache, KEYS[1], "b" * 10)
    assert names(cache) == {"b", "p"}, "it takes its room all the same"


@contextmanager
def busy(cache: Cache, name: str) -> Iterator[None]:
    """Another process that holds a lock of the cache."""
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(cache.root / "locks" / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield
        process.communicate()


def test_a_file_that_somebody_works_on_is_passed_over(cache: Cache) -> None:
    provide(cache, KEYS[0], "a" * 10, age=20)
    provide(cache, KEYS[1], "b" * 10, age=10)
    leave(cache)
    with busy(cache, hashlib.sha256(b"a" * 10).hexdigest()):
        provide(cache, KEYS[2], "c" * 10)
    assert names(cache) == {"a", "c"}
    assert not cache.artifact(KEYS[0]).exists() and not cache.artifact(KEYS[1]).exists()


def test_one_process_at_a_time_fetches_a_file(cache: Cache) -> None:
    (cache.root / "locks").mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from pipress.store.cache import Cache;"
        f"Cache(Path(sys.argv[1])).provide('{KEYS[0]}', {files_of('a')!r}, lambda _, target: target.write_text('a'))"
    )
    with busy(cache, hashlib.sha256(b"a").hexdigest()):
        fetching = subprocess.Popen(
            [sys.executable, "-c", code, str(cache.root)], env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
        )
        time.sleep(0.4)
        assert fetching.poll() is None and not cache.artifact(KEYS[0]).exists()
    assert fetching.wait(10) == 0 and (cache.artifact(KEYS[0]) / "model.gguf").read_text() == "a"


@pytest.mark.parametrize("damage", ["flipped", "cut off", "gone"])
def test_a_damaged_copy_is_fetched_anew(cache: Cache, damage: str) -> None:
    copy = provide(cache, KEYS[0], "a" * 10) / "model.gguf"
    file = cache.file(hashlib.sha256(b"a" * 10).hexdigest())
    if damage == "gone":
        file.unlink()
    else:
        file.write_text("b" * 10 if damage == "flipped" else "a")
    assert (provide(cache, KEYS[0], "a" * 10) / "model.gguf").read_text() == "a" * 10
    assert copy.samefile(file) and file.stat().st_nlink == 2


def test_an_artifact_s_files_are_links_to_the_copies(cache: Cache) -> None:
    files = {f"{name}/a.gguf": entry for name in "xy" for entry in files_of("a" * 10).values()}
    fetched: list[str] = []

    def fetch(path: str, target: Path) -> None:
        fetched.append(path)
        target.write_text("a" * 10)

    folder = cache.provide(KEYS[0], files, fetch)
    assert folder == cache.artifact(KEYS[0]) and fetched == ["x/a.gguf"], "one content is fetched once"
    copy = cache.file(hashlib.sha256(b"a" * 10).hexdigest())
    assert copy.stat().st_nlink == 3
    (folder / "x/a.gguf").unlink()
    (folder / "x/a.gguf").write_text("another file")
    (folder / "x" / f".a.gguf.{os.getpid()}.part").write_text("left by a crash")
    cache.provide(KEYS[0], files, fetch)
    assert (folder / "x/a.gguf").samefile(copy) and fetched == ["x/a.gguf"]
    assert [path.name for path in (folder / "x").iterdir()] == ["a.gguf"]


def test_a_link_that_is_right_is_left_as_it_is(cache: Cache) -> None:
    folder = provide(cache, KEYS[0], "a")
    os.utime(folder, (0, 0))
    inside = folder / "model.gguf"
    before = folder.stat().st_ctime_ns, inside.stat().st_ctime_ns
    cache._link(cache.file(hashlib.sha256(b"a").hexdigest()), inside)
    assert (folder.stat().st_ctime_ns, inside.stat().st_ctime_ns) == before


def test_what_was_made_here_is_read_only_and_used_last(cache: Cache, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_text("b")
    os.utime(made, (0, 0))
    cache.adopt(made, hashlib.sha256(b"b").hexdigest())
    file = cache.file(hashlib.sha256(b"b").hexdigest())
    assert not made.exists() and file.stat().st_mode & 0o777 == 0o444
    assert abs(file.stat().st_mtime - time.time()) < 60


def test_what_one_process_uses_twice_is_no_trouble(cache: Cache) -> None:
    provide(cache, KEYS[0], "a")
    provide(Cache(cache.root, limit_bytes=25), KEYS[0], "a")
    provide(cache, KEYS[1], "b" * 30)
    assert names(cache) == {"a", "b"}
    leave(cache)


@pytest.mark.parametrize(
    ("content", "expected", "intact"),
    [("ab", "ab", True), ("ab", "ba", False), ("ab", "abc", False), (None, "", False)],
)
def test_a_file_is_intact_in_size_and_digest(tmp_path: Path, content: str | None, expected: str, intact: bool) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    assert is_intact(file, files_of(expected)["model.gguf"]) is intact


def test_a_wrong_size_is_told_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("ab")
    monkeypatch.setattr("pipress.store.cache.file_sha256", lambda path: pytest.fail("read"))
    assert not is_intact(tmp_path / "file", files_of("abc")["model.gguf"])
