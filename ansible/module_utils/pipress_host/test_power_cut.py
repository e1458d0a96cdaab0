"""The order of flush and rename, recorded for every writer on the host: a Pi loses power at any time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socketserver
import threading

import pytest
from pipress.store.testing.disk import recorded

from pipress_host import activation as activation_module
from pipress_host import facts, memory_cgroup
from pipress_host.activation import Activation
from pipress_host.file_set import write_file_set
from pipress_host.files import make_folder, point_link, read_json, write_atomically, write_json
from pipress_host.server import check_server
from pipress_host.service import ServiceState
from pipress_host.store import Wanted, fetch, stamp, take_program

CONTENT = b"weights"
WANTED = Wanted(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "model")


@contextlib.contextmanager
def controller(path):
    """Serves CONTENT on a unix socket."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT)

    with socketserver.UnixStreamServer(str(path), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield str(path)
        server.shutdown()


def fetched(folder):
    with controller(folder / "socket") as socket:
        fetch(folder / "store", WANTED, socket)


def built(folder):
    for name in ("work", "store"):
        make_folder(folder / name)
    (folder / "work/llama-server").write_bytes(CONTENT)
    take_program(folder / "work", folder / "store")


def stamped(folder):
    (folder / "model").write_bytes(CONTENT)
    stamp(folder / "model")


def accounted(folder):
    (folder / "cmdline.txt").write_text("rootwait\n")
    memory_cgroup.write(folder / "root", folder / "cmdline.txt", "boot")
    memory_cgroup.put_back(folder / "cmdline.txt")


def asked_for_its_build(folder):
    (folder / "llama-server").write_text("#!/bin/sh\necho 'version: 1 (build 11434)'\n")
    (folder / "llama-server").chmod(0o755)
    check_server(folder / "llama-server", "", 1, [], "")


class Service:
    """In the place of the service manager."""

    def state(self):
        return ServiceState("active", 0)

    def restart(self):
        pass


def staged(root, *releases):
    (root / "keys").write_text("key\n")
    for release in releases:
        write_json(
            root / "releases" / release / "release.json",
            {
                "settings": {"port": 1, "minTokensPerSecond": 1.0},
                "smokeTest": {"prompt": "?", "expect": "!", "maxTokens": 8},
                "healthCheck": {"startTimeoutSeconds": 1, "answerTimeoutSeconds": 1},
            },
        )
    return Activation(root, root / "keys", Service())


WRITERS = {
    "a file": lambda folder: write_atomically(folder / "a/b/file", b"content"),
    "a document": lambda folder: write_json(folder / "a.json", {"a": 1}),
    "a link": lambda folder: point_link(folder / "a/current", "releases/one"),
    "files and links": lambda folder: write_file_set(
        [{"path": str(folder / "units/unit"), "content": "[Unit]\n"}],
        [{"path": str(folder / "wants/unit"), "target": "../unit"}],
        {str(folder / "secrets/keys"): "key"},
        check=False,
    ),
    "a file of the store": fetched,
    "a program that was compiled here": built,
    "a stamp": stamped,
    "the kernel's command line": accounted,
    "what a program says about itself": asked_for_its_build,
    "the link to figures": lambda folder: facts.publish("", folder / "run/figures", folder / "card/figures"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_has_its_name_is_on_the_disk(writer, tmp_path, monkeypatch):
    with recorded(monkeypatch) as disk:
        WRITERS[writer](tmp_path)
        disk.check()


@pytest.mark.parametrize("passes", [True, False], ids=["passes", "fails"])
def test_an_activation_is_on_the_disk_at_every_step(tmp_path, monkeypatch, passes):
    host = staged(tmp_path, "one", "two")

    def health_check(*_):
        if not passes and host.current() == "two":
            raise RuntimeError("it is not healthy")
        return {"tokensPerSecond": 5.0}

    monkeypatch.setattr(activation_module, "run_health_check", health_check)
    monkeypatch.setattr(activation_module, "wait_until_healthy", lambda *_: 0.0)
    host.activate("one")
    with recorded(monkeypatch) as disk:
        monkeypatch.setattr(host.service, "restart", disk.check, raising=False)
        host.activate("two")
        disk.check()
    assert host.current() == ("two" if passes else "one")
    names = [target.relative_to(tmp_path).as_posix() for target, _ in disk.renames]
    # What a reboot has to settle comes first; what it was settled by comes before that is forgotten.
    assert names == (
        ["pending.json", "current", "previous", "releases/two/verdict.json"]
        if passes
        else ["pending.json", "current", "bad/two", "current", "releases/two/verdict.json"]
    )


def test_that_an_activation_has_ended_is_on_the_disk_last(tmp_path, monkeypatch):
    """A reboot that finds the note again starts the server anew, for nothing."""
    host = staged(tmp_path, "one")
    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: {})
    flushes = []
    monkeypatch.setattr(
        activation_module,
        "sync_folder",
        lambda folder: flushes.append((folder, (folder / "pending.json").exists())),
    )
    host.activate("one")
    assert flushes[-1] == (tmp_path, False)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def broken(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(file, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize(("text", "document"), [('{"a": 1}', {"a": 1}), ('{"a"', None), ("", None)])
def test_a_document_that_was_cut_off_is_none(tmp_path, text, document):
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") == document
    assert read_json(tmp_path / "none.json") is None


def test_a_document_is_read_by_people_too(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": json.loads("[2]")}, 0o640)
    assert (tmp_path / "a.json").read_text().startswith('{\n  "a": [')
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
