"""The module in this process, on a record in a folder."""

from __future__ import annotations

import json

import pytest

HOME = {"project": "pipress", "stack": "home", "id": "aa", "name": "pi-1"}
OTHER = {**HOME, "id": "bb"}


@pytest.fixture
def record(tmp_path):
    return tmp_path / "owner.json"


@pytest.fixture
def ask(module, record):
    return lambda **given: module(path=record, **given)


def test_a_host_gets_its_owner_once(ask, record):
    assert ask(owner=HOME, claim="c", check=True)["changed"] and not record.exists()
    assert ask(owner=HOME, claim="c") == {"changed": True, "remarks": []}
    assert json.loads(record.read_text()) == {**HOME, "claim": "c"}
    assert ask(owner=HOME, claim="c")["changed"] is False
    assert ask(owner=HOME, claim="d")["changed"]


def test_another_stacks_host_is_refused_and_keeps_its_owner(ask, record):
    ask(owner=HOME, claim="c")
    answer = ask(owner=OTHER, claim="d")
    assert answer["failed"] and 'belongs to stack "home"' in answer["msg"]
    assert json.loads(record.read_text())["id"] == "aa"


def test_unless_it_is_taken_over(ask, record):
    ask(owner=HOME, claim="c")
    answer = ask(owner=OTHER, claim="d", take_over=True)
    assert answer["changed"] and "it is taken over" in answer["remarks"][0]
    assert json.loads(record.read_text())["id"] == "bb"


@pytest.mark.parametrize(("claim", "owner", "ours"), [("c", HOME, True), ("d", OTHER, False)])
def test_a_removal_is_told_whether_the_host_is_its_own(ask, claim, owner, ours):
    ask(owner=HOME, claim="c")
    answer = ask(owner=owner, claim=claim, state="query")
    assert (answer["changed"], answer["ours"], bool(answer["why_not"])) == (False, ours, not ours)


def test_the_record_is_removed_once(ask, record):
    ask(owner=HOME, claim="c")
    assert ask(state="absent", check=True)["changed"] and record.exists()
    assert ask(state="absent") == {"changed": True} and not record.exists()
    assert ask(state="absent") == {"changed": False}
