"""The module in this process; the program is a shell script in the place of llama-server."""

from __future__ import annotations

import pytest


@pytest.fixture
def server(tmp_path):
    path = tmp_path / "llama-server"
    path.write_text("#!/bin/sh\necho 'version: 1 (build 11434)'; echo '--model FNAME'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def check_server(module, server):
    return lambda **given: module(**{"path": server, "minimum_build": 1, "flags": ["--model"], **given})


@pytest.mark.parametrize("check", [True, False])
def test_check_leaves_no_note_beside_the_program(check_server, server, check):
    assert check_server(check=check, build="b11434") == {"changed": False}
    assert server.with_name("llama-server.says").exists() is not check


def test_what_is_not_fetched_yet_is_only_passed_over_in_check_mode(check_server, server):
    server.unlink()
    assert check_server(check=True)["skipped_because"] == "it is not fetched yet"
    assert "does not run here" in check_server()["msg"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"build": "b2", "remedy": "build it anew"},
            "not the pinned b2 — what builds it anew on the controller: build it",
        ),
        ({"minimum_build": 20000}, "below b20000"),
        ({"flags": ["--unknown"]}, "does not know --unknown"),
    ],
)
def test_another_program_fails_the_play(check_server, wrong, message):
    answer = check_server(**wrong)
    assert answer["failed"] and message in answer["msg"]
