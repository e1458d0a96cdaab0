"""What a llama-server says about itself; the program here is a shell script in its place."""

from __future__ import annotations

import subprocess

import pytest

from pipress_host import server as server_module
from pipress_host.errors import HostError
from pipress_host.server import check_server


@pytest.fixture
def server(tmp_path):
    """Stands for llama-server b11434, and writes down that it was asked."""
    path = tmp_path / "llama-server"
    path.write_text(
        f"#!/bin/sh\necho asked >> {tmp_path}/asked\n"
        'case $1 in --version) echo "version: 0.2 (build 11434, commit pinned)" >&2 ;;\n'
        '--help) echo "-m,    --model FNAME   model path"; echo "--no-ui, --no-webui   no page" ;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_the_pinned_build_that_knows_its_flags_is_fine_and_asked_only_once(server, tmp_path):
    for _ in range(2):
        check_server(server, "b11434", 11393, ["--model", "--no-webui"], "`npm start`")
    assert (tmp_path / "asked").read_text().count("asked") == 2


@pytest.mark.parametrize(
    ("build", "minimum", "flags", "message"),
    [
        ("b11500", 11393, [], "not the pinned b11500 — what builds it anew on the controller: `npm start`"),
        ("", 12000, [], "builds below b12000 have known security holes"),
        ("", 11393, ["--model", "--mmap"], "does not know --mmap"),
    ],
)
def test_another_build_an_unsafe_build_and_an_unknown_flag_are_refused(
    server, build, minimum, flags, message
):
    with pytest.raises(HostError, match=message):
        check_server(server, build, minimum, flags, "`npm start`")


def test_a_program_that_does_not_run_is_refused(server):
    server.write_text("#!/bin/sh\nkill -4 $$\n")
    with pytest.raises(HostError, match="killed by signal 4"):
        check_server(server, "", 1, [], "`npm start`")


def test_a_program_that_changed_is_asked_again(server, tmp_path):
    check_server(server, "b11434", 1, [], "`npm start`")
    server.write_text(server.read_text().replace("11434", "11500"))
    check_server(server, "b11500", 1, [], "`npm start`")
    with pytest.raises(HostError, match="is build b11500, not the pinned b11434"):
        check_server(server, "b11434", 1, [], "`npm start`")


def test_what_a_program_says_is_only_kept_where_that_is_wanted(server, tmp_path):
    for _ in range(2):
        check_server(server, "", 1, [], "`npm start`", keep=False)
    assert (tmp_path / "asked").read_text().count("asked") == 4
    assert not server.with_name("llama-server.says").exists()


@pytest.mark.parametrize("minimum", [11434, 11433])
def test_the_oldest_build_without_known_holes_is_good_enough(server, minimum):
    check_server(server, "", minimum, [], "`npm start`")


@pytest.mark.parametrize(
    ("says", "build"),
    [
        ("version: 11434 (abc)", 11434),
        ("version: b9 (abc)", 9),
        ("version: 0.3 (build 12, commit 7)", 12),
        ("llama", None),
    ],
)
def test_newer_and_older_builds_say_their_number_in_their_own_way(server, says, build):
    server.write_text(f"#!/bin/sh\necho '{says}'\n")
    if build is None:
        with pytest.raises(HostError, match="does not tell its version"):
            check_server(server, "", 1, [], "`npm start`")
    else:
        check_server(server, f"b{build}", build, [], "`npm start`")


def test_short_and_long_flags_are_known_and_words_with_dashes_are_none(server):
    check_server(server, "", 1, ["-m", "--model", "--no-ui", "--no-webui"], "`npm start`")
    server.write_text("#!/bin/sh\necho 'version: 1'; echo 'built-in path--model ---x'\n")
    for flag in ("-in", "--model"):
        with pytest.raises(HostError, match=f"does not know {flag}"):
            check_server(server, "", 1, [flag], "`npm start`")


def test_every_unknown_flag_is_named(server):
    with pytest.raises(HostError, match="b11434 does not know --a, --b"):
        check_server(server, "", 1, ["--a", "--model", "--b"], "`npm start`")


def test_a_program_of_another_machine_and_one_that_hangs_are_refused(server, monkeypatch):
    server.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(HostError, match="does not run here.*build the release for this host"):
        check_server(server, "", 1, [], "`npm start`")

    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(server_module.subprocess, "run", hang)
    with pytest.raises(HostError, match="does not run here: .* timed out after 120 seconds"):
        check_server(server, "", 1, [], "`npm start`")


def test_a_program_that_ends_with_an_error_may_have_said_enough(server):
    server.write_text(server.read_text() + "exit 1\n")
    check_server(server, "b11434", 1, ["--model"], "`npm start`")
