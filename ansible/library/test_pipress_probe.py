"""The module in this process; the server does not answer, and systemd is a stand-in."""

from __future__ import annotations

import pytest


@pytest.fixture
def probe(module, tmp_path):
    (tmp_path / "releases/one").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/one")
    return lambda: module(root=tmp_path, keys=tmp_path / "keys", unit="x.service", digest="one", port=1)


def test_whatever_is_wrong_fails_the_play(probe, programs):
    programs.add("systemctl", "echo ActiveState=active; echo NRestarts=2")
    programs.add("journalctl", "echo out of memory")
    answer = probe()
    assert answer["failed"]
    assert "restart the service 2 times: out of memory; /health does not say" in answer["msg"]


def test_a_release_that_serves_changes_nothing(probe, module, monkeypatch):
    monkeypatch.setattr(module.code, "what_is_wrong", lambda activation, digest, port: [])
    assert probe() == {"changed": False}
