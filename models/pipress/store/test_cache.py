import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipress.conftest import PACKAGE_ROOT
from pipress.store.cache import Cache

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


def test_more_than_the_limit_is_fetched_all_the_same(cache: Cache) -> None:
    assert (provide(cache, KEYS[0], "a" * 99) / "model.gguf").stat().st_size == 99
