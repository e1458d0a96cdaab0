"""The module in this process, with a stand-in for systemd; ../test_pipress_build.py compiles with the real script."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

PROGRAM = b"llama-server"
SHA256 = hashlib.sha256(PROGRAM).hexdigest()
BUILT = {"sha256": SHA256, "bytes": len(PROGRAM)}


@pytest.fixture
def build(module, tmp_path, programs):
    """Runs the module; `state` is what systemd says of the unit."""
    programs.add("systemd-run")

    def run(state="inactive", check=False, **changes):
        programs.add("systemctl", f"echo ActiveState={state}; test $1 = show")
        given = {
            "root": tmp_path / "root",
            "scratch": tmp_path / "scratch",
            "source_sha256": "a" * 64,
            "version": "b1234",
            "cpu": "cortex-a72",
            "files": {"build-llama-server.sh": "exit"},
            "start": True,
        }
        return module(check=check, **{**given, **changes})

    return run


def started(programs):
    return [line for line in programs.told if line.startswith("systemd-run")]


def key_of(programs):
    """What a build is called by, as its unit is."""
    return started(programs)[0].partition("--unit=pipress-build-")[2][:16]


def leave_program(tmp_path, programs):
    """What the compiler leaves at its end."""
    work = tmp_path / "scratch" / f"work-{key_of(programs)}"
    work.mkdir(parents=True)
    (work / "llama-server").write_bytes(PROGRAM)
    return work


def test_a_build_starts_in_a_sandbox_of_its_own(build, programs, tmp_path):
    assert build() == {"changed": True, "state": "building", "msg": "configuring"}
    key = key_of(programs)
    folder = tmp_path / "root/builds"
    [line] = started(programs)
    assert line.endswith(
        f"/bin/sh {folder}/{key}/build-llama-server.sh {tmp_path}/scratch/work-{key} "
        f"{tmp_path}/root/store/{'a' * 64} 1234 cortex-a72"
    )
    for wanted in ("DynamicUser=yes", "PrivateNetwork=yes", "ProtectSystem=strict", "StateDirectory=scratch"):
        assert f"--property={wanted} " in line
    for output in ("StandardOutput", "StandardError"):
        assert f"--property={output}=append:{folder}/{key}.log " in line
    script = folder / key / "build-llama-server.sh"
    assert (script.read_text(), script.stat().st_mode & 0o777) == ("exit", 0o644)
    assert f"systemctl reset-failed pipress-build-{key}.service" in programs.told
    assert not (folder / f"{key}.told").exists()


@pytest.mark.parametrize("what", ["source_sha256", "version", "cpu", "files"])
def test_a_build_of_anything_else_is_another_build(build, programs, what):
    build()
    build(**{what: {"source_sha256": "b" * 64, "version": "b1", "cpu": "cortex-a76", "files": {}}[what]})
    first, second = (line.partition("--unit=")[2][:40] for line in started(programs))
    assert first != second


@pytest.mark.parametrize(("check", "start"), [(True, True), (False, False), (True, False)])
def test_nothing_is_started_in_check_mode_nor_where_it_is_only_asked(build, programs, tmp_path, check, start):
    assert build(check=check, start=start) == {"changed": start, "state": "missing"}
    assert started(programs) == [] and not (tmp_path / "root").exists()


@pytest.mark.parametrize("state", ["active", "activating"])
@pytest.mark.parametrize(
    ("log", "progress"),
    [
        (None, "configuring"),
        ("-- The C compiler\n", "configuring"),
        ("[1/310] a.c\nwarning [9/9]\n[120/310] b.c\n", "compiling, 120 of 310 files"),
    ],
)
def test_a_build_at_work_tells_how_far_it_is(build, programs, tmp_path, state, log, progress):
    build()
    if log:
        (tmp_path / "root/builds" / f"{key_of(programs)}.log").write_text(log)
    assert build(state) == {"changed": True, "state": "building", "msg": progress}
    assert len(started(programs)) == 1


def test_a_program_that_was_compiled_is_taken_into_the_store_once(build, programs, tmp_path):
    build()
    work = leave_program(tmp_path, programs)
    assert build(check=True)["state"] == "missing" and work.exists()
    assert build() == {"changed": True, "state": "built", **BUILT}
    assert (tmp_path / "root/store" / SHA256).read_bytes() == PROGRAM and not work.exists()
    assert build() == build(check=True) == {"changed": False, "state": "built", **BUILT}
    assert len(started(programs)) == 1


def test_a_program_that_changed_in_the_store_is_compiled_anew(build, programs, tmp_path):
    build()
    leave_program(tmp_path, programs)
    build()
    program = tmp_path / "root/store" / SHA256
    program.chmod(0o755)
    program.write_bytes(b"something else")
    assert build()["state"] == "building"


def test_a_failure_is_told_once_with_the_end_of_its_log_and_tried_again_by_the_next_run(
    build, programs, tmp_path
):
    build()
    log = tmp_path / "root/builds" / f"{key_of(programs)}.log"
    log.write_text("one\ntwo\nthree\nfour\n")
    answer = build("failed")
    assert answer["failed"] and answer["state"] == "failed"
    assert f"does not compile on this host: two | three | four — the whole log is {log}" in answer["msg"]
    assert build("failed")["state"] == "building" and not log.exists()
    assert "it wrote no log" in build("failed")["msg"]


def test_a_failure_of_a_build_that_is_only_asked_for_is_no_failure(build):
    assert build("failed", start=False)["state"] == "missing"


def test_what_versions_before_compiled_as_root_goes(build, tmp_path):
    old = tmp_path / "root/builds/work-of-b1"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    (tmp_path / "root/builds/other.json").write_text(json.dumps(BUILT))
    build()
    assert not old.exists() and (tmp_path / "root/builds/other.json").exists()


def test_a_unit_that_cannot_be_started_is_no_build(build, programs):
    programs.add("systemd-run", "exit 1")
    with pytest.raises(Exception, match="systemd-run"):
        build()
