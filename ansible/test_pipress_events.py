"""The event stream of a real play on this machine."""

from __future__ import annotations

import json

import pytest

PLAY = """
- name: A play
  hosts: all
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.copy: {content: "new\\n", dest: "{{ folder }}/file", mode: "0644"}
    - name: Use a secret
      ansible.builtin.command: "true"
      environment: {KEY: "{{ secret }}"}
      no_log: true
      changed_when: false
    - name: Report
      ansible.builtin.set_stats: {data: {tokensPerSecond: 2.5}, per_host: true}
    - name: Refuse
      ansible.builtin.fail: {msg: "the disk is full — free some space"}
"""


@pytest.fixture(scope="module")
def events(play, tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed")
    code, events = play(PLAY, {"folder": str(folder), "secret": "s3cret-key"}, "--diff")
    assert code == 2
    assert "s3cret-key" not in json.dumps(events)
    return events


def test_every_task_is_announced_before_its_outcome(events):
    kinds = [event["event"] for event in events]
    assert kinds == ["play", "task", "changed", "task", "ok", "task", "ok", "task", "failed", "stats"]
    assert {event["host"] for event in events[1:-1]} == {"pi-0"}


def test_a_change_carries_host_task_and_diff(events):
    changed = next(event for event in events if event["event"] == "changed")
    assert (changed["host"], changed["role"], changed["task"]) == ("pi-0", None, "Change something")
    assert changed["diff"][0]["after"] == "new\n"


def test_a_failure_carries_the_message_of_its_task_as_it_is(events):
    failed = next(event for event in events if event["event"] == "failed")
    assert failed["msg"] == "the disk is full — free some space"


def test_the_statistics_carry_what_the_play_reported(events):
    assert events[-1]["custom"] == {}
    assert events[-1]["customByHost"] == {"pi-0": {"tokensPerSecond": 2.5}}
    assert events[-1]["hosts"]["pi-0"]["failures"] == 1
