"""What a llama-server says about itself; the program here is a shell script in its place."""

from __future__ import annotations

import pytest

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
