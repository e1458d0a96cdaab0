"""How llama-server is started, by the settings of its release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parent
RENDER = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ pipress_server_arguments | join(' ') }}"
        dest: "{{ arguments }}"
        mode: "0600"
"""


@pytest.mark.parametrize(
    ("speculation", "expected"),
    [
        (
            "ngram",
            "--spec-type ngram-mod --spec-ngram-mod-n-match 3 --spec-ngram-mod-n-min 1 --spec-ngram-mod-n-max 2",
        ),
        ("none", ""),
    ],
)
def test_tokens_are_guessed_where_the_settings_say_so(tmp_path, play, speculation, expected):
    settings = {
        "port": 8080,
        "contextLength": 2048,
        "threads": 4,
        "parallel": 1,
        "cacheType": "f16",
        "speculation": speculation,
        "flags": {},
    }
    given = {
        "arguments": str(tmp_path / "arguments"),
        "pipress_root": "/opt/pipress",
        "pipress_build": "prebuilt",
        "pipress_release": {"name": "tiny", "memoryMax": 2**30, "settings": settings},
    }
    variables = ANSIBLE / "group_vars" / "all" / "server-arguments.yml"
    code, events = play(RENDER, given, "-e", f"@{variables}", "-e", json.dumps(given))
    assert code == 0, events
    arguments = (tmp_path / "arguments").read_text()
    start = arguments.find("--spec-")
    assert (arguments[start:] if start >= 0 else "") == expected
