"""The command `activate`; the releases of the host are a stand-in."""

from __future__ import annotations

import contextlib
import json
import os
import time

import pytest

from pipress_host import main as program
from pipress_host.errors import HostError
from pipress_host.health_check import HealthCheckFailed

GOOD = {"ok": True, "release": "one"}
BAD = {"ok": False, "release": "one"}


class Releases:
    """In the place of an Activation: writes down what it is asked, while the lock is held, and answers `verdict`."""

    def __init__(self):
        self.asked = []
        self.verdict = GOOD
        self.is_locked = False

    @contextlib.contextmanager
    def locked(self):
        self.is_locked = True
        yield
        self.is_locked = False

    def _answer(self, *question):
        assert self.is_locked
        self.asked.append(question)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    def activate(self, digest):
        return self._answer("activate", digest)

    def go_back(self):
        return self._answer("back")

    def settle(self):
        return self._answer("settle")

    def restore_system_prompts(self):
        assert not self.is_locked
        self.asked.append(("prompts",))
        if isinstance(self.verdict, Exception):
            raise self.verdict


@pytest.fixture
def releases(tmp_path, monkeypatch):
    made = Releases()
    monkeypatch.setattr(program, "Activation", lambda *arguments, **named: made)
    monkeypatch.setattr(program, "ROOT", tmp_path / "root")
    monkeypatch.setattr(program, "TOOLS", tmp_path / "tools")
    return made


@pytest.fixture
def old_tools(tmp_path):
    """A version of the tools that is not in use any more."""
    for name in ("old", "new"):
        (tmp_path / "tools" / name).mkdir(parents=True)
        os.utime(tmp_path / "tools" / name, (0, time.time() - 2 * 86400))
    (tmp_path / "tools/current").symlink_to("new")
    return tmp_path / "tools/old"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["one"], ("activate", "one")),
        (["--back"], ("back",)),
        (["--settle"], ("settle",)),
    ],
)
def test_each_command_does_its_own_and_prints_the_verdict(releases, capsys, arguments, asked):
    assert program.main(arguments) == 0
    assert releases.asked == [asked]
    assert json.loads(capsys.readouterr().out) == GOOD


@pytest.mark.parametrize(
    "arguments", [[], ["one", "--back"], ["--back", "--settle"], ["--settle", "--watch"], ["--id", "x"]]
)
def test_anything_but_one_command_is_refused(releases, arguments):
    with pytest.raises(SystemExit) as refused:
        program.main(arguments)
    assert refused.value.code == 2 and releases.asked == []


def test_the_outcome_is_kept_for_root_alone_under_its_name(releases, tmp_path):
    program.main(["one", "--id", "one-7"])
    outcome = tmp_path / "root/activations/one-7.json"
    assert json.loads(outcome.read_text()) == GOOD
    assert outcome.stat().st_mode & 0o777 == 0o600


def test_only_a_release_that_serves_lets_older_tools_go(releases, old_tools, tmp_path):
    releases.verdict = BAD
    assert program.main(["one", "--id", "one-7"]) == 1
    assert json.loads((tmp_path / "root/activations/one-7.json").read_text()) == BAD
    assert old_tools.exists()
    releases.verdict = GOOD
    assert program.main(["one"]) == 0
    assert not old_tools.exists()
    assert not list((tmp_path / "root/activations").glob("None*"))


def test_where_nothing_was_cut_off_nothing_is_said(releases, old_tools, capsys):
    releases.verdict = None
    assert program.main(["--settle"]) == 0
    assert capsys.readouterr().out == "" and old_tools.exists()


def test_what_cannot_be_done_is_told_without_a_verdict(releases, capsys):
    releases.verdict = HostError("the disk is full", "free some space")
    assert program.main(["one"]) == 1
    assert capsys.readouterr() == ("", "the disk is full — free some space\n")


def test_watching_looks_after_the_service_without_holding_the_lock(releases, monkeypatch):
    def watch(activation, note):
        assert activation is releases and not releases.is_locked
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "watch", watch)
    with pytest.raises(KeyboardInterrupt):
        program.main(["--watch"])
    assert releases.asked == []


def test_system_prompts_are_restored_beside_whatever_is_at_work(releases, capsys):
    assert program.main(["--prompts"]) == 0
    assert releases.asked == [("prompts",)]
    releases.verdict = HealthCheckFailed("llama-server does not get ready")
    assert program.main(["--prompts"]) == 1
    assert capsys.readouterr().err == "llama-server does not get ready\n"
