"""What becomes of one result; test_pipress_events.py reads the events of a real play."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PLUGIN = Path(__file__).with_name("callback_plugins") / "pipress_events.py"


@pytest.fixture
def told(capsys):
    """Tells the callback of something, and returns the events that it prints."""
    spec = importlib.util.spec_from_file_location("pipress_events", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    callback = module.CallbackModule()

    def tell(happening, *arguments, **named):
        getattr(callback, f"v2_{happening}")(*arguments, **named)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return tell


def of(role="server", name="Start it", **result):
    """A result as Ansible hands it over."""
    named = SimpleNamespace(get_name=lambda: role) if role else None
    task = SimpleNamespace(_role=named, name=name, action="pipress_unit")
    return SimpleNamespace(result=result, task=task, host=SimpleNamespace(get_name=lambda: "pi-0"))


@pytest.mark.parametrize(
    ("happening", "event"),
    [
        ("runner_on_failed", "failed"),
        ("runner_on_skipped", "skipped"),
        ("runner_on_unreachable", "unreachable"),
        ("runner_retry", "retry"),
        ("runner_on_ok", "ok"),
    ],
)
def test_every_outcome_has_its_name_with_host_role_and_task(told, happening, event):
    assert told(happening, of()) == [{"event": event, "host": "pi-0", "role": "server", "task": "Start it"}]


def test_a_task_begins_with_the_same_names(told):
    result = of()
    begun = {"event": "task", "host": "pi-0", "role": "server", "task": "Start it"}
    assert told("runner_on_start", result.host, result.task) == [begun]


def test_a_task_without_a_name_or_role_is_called_after_its_module(told):
    [event] = told("runner_on_ok", of(role=None, name=""))
    assert (event["role"], event["task"]) == (None, "pipress_unit")


def test_a_change_is_told_from_none(told):
    assert [told("runner_on_ok", of(changed=changed))[0]["event"] for changed in (True, False)] == [
        "changed",
        "ok",
    ]


def test_a_failure_that_the_play_ignores_says_so(told):
    assert told("runner_on_failed", of(failed=True), ignore_errors=True)[0]["ignored"] is True
    assert "ignored" not in told("runner_on_failed", of(failed=True))[0]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            {"msg": "non-zero return code", "stderr": " no such unit \n", "failed": True},
            "non-zero return code: no such unit",
        ),
        ({"msg": "died", "module_stderr": "killed", "failed": True}, "died: killed"),
        ({"msg": "died", "stderr": "x" * 600 + "end", "failed": True}, "died: " + "x" * 497 + "end"),
        # A warning of a program that did well is nobody's failure.
        ({"msg": "done", "stderr": "a warning"}, "done"),
        ({"msg": ["one", "two"]}, "['one', 'two']"),
        ({"msg": ""}, None),
        ({"stderr": "alone", "failed": True}, None),
    ],
)
def test_a_failure_is_told_with_what_its_program_said_last(told, result, message):
    assert told("runner_on_failed", of(**result))[0].get("msg") == message


def test_a_long_diff_is_cut_and_an_empty_one_left_out(told):
    [event] = told("runner_on_ok", of(diff=[{"before": "", "after": "x" * 30_000, "line": 7}, {}]))
    assert event["diff"] == [{"before": "", "after": "x" * 20_000, "line": 7}]
    assert told("runner_on_ok", of(diff={"after": "y"}))[0]["diff"] == [{"after": "y"}]
    assert "diff" not in told("runner_on_ok", of(diff=[]))[0]


def test_what_a_module_was_given_and_what_ansible_adds_is_not_repeated(told):
    added = {
        "invocation": {"module_args": {"key": "s3cret"}},
        "_ansible_no_log": False,
        "warnings": ["w"],
        "attempts": 2,
    }
    [event] = told("runner_on_ok", of(verdict={"ok": True}, ansible_facts={"a": 1}, **added))
    assert event["result"] == {"verdict": {"ok": True}}
    assert "result" not in told("runner_on_ok", of(**added))[0]


@pytest.mark.parametrize(("length", "is_shown"), [(4096, True), (4097, False)])
def test_a_result_of_more_than_a_page_is_left_out(told, length, is_shown):
    text = "x" * (length - len('{"text": ""}'))
    assert ("result" in told("runner_on_ok", of(text=text))[0]) is is_shown


def test_a_play_is_named_and_one_without_hosts_fails(told):
    assert told("playbook_on_play_start", SimpleNamespace(get_name=lambda: "A play")) == [
        {"event": "play", "name": "A play"}
    ]
    [event] = told("playbook_on_no_hosts_matched")
    assert (event["event"], event["host"], event["msg"]) == ("failed", None, "the inventory names no host")


def test_what_tasks_reported_for_all_is_told_from_what_they_reported_by_host(told):
    stats = SimpleNamespace(
        processed={"pi-1": 1, "pi-0": 1},
        summarize=lambda host: {"ok": len(host)},
        custom={"_run": {"release": "one"}, "pi-0": {"speed": 2}},
    )
    assert told("playbook_on_stats", stats) == [
        {
            "event": "stats",
            "hosts": {"pi-0": {"ok": 4}, "pi-1": {"ok": 4}},
            "custom": {"release": "one"},
            "customByHost": {"pi-0": {"speed": 2}},
        }
    ]


def test_an_event_is_told_as_it_happens(told, monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        told("playbook_on_no_hosts_matched")
        assert os.read(reading, 1000).startswith(b'{"event": "failed"')
    os.close(reading)
