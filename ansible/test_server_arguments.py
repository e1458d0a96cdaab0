"""How llama-server is started on a host, as Ansible itself renders it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = Path(__file__).resolve().parent / "group_vars/all/server-arguments.yml"
PLAY = f"""
- name: Arguments
  hosts: all
  gather_facts: false
  vars_files: [{ARGUMENTS}]
  tasks:
    - name: Report them
      ansible.builtin.set_stats: {{data: {{line: "{{{{ pipress_server_arguments | join(' ') }}}}"}}, per_host: true}}
"""
SETTINGS = {
    "port": 8080,
    "threads": 4,
    "parallel": 2,
    "contextLength": 1024,
    "cacheType": "f16",
    "speculation": "none",
    "flags": {"--verbosity": 2},
}


@pytest.fixture
def line(play):
    """Renders the arguments of a release with these parts."""

    def render(**parts: Any) -> str:
        release = {"name": "m", "settings": SETTINGS, "memoryMax": 1, **parts}
        variables = {"pipress_release": release, "pipress_root": "/r", "pipress_build": "prebuilt"}
        code, events = play(PLAY, variables)
        assert code == 0, events
        return events[-1]["customByHost"]["pi-0"]["line"]

    return render


def test_a_model_that_chats_is_started_without_what_embeds(line):
    said = line(smokeTest={"prompt": "p", "expect": "e", "maxTokens": 8})
    assert "--model /r/current/model.gguf --alias m" in said and "--embeddings" not in said


def test_an_embedding_model_reads_the_text_of_a_request_in_one_piece(line):
    settings = {**SETTINGS, "speculation": "ngram"}
    said = line(settings=settings, embedding={"pooling": "cls", "prompt": "p", "vector": "1"})
    assert "--spec-type" not in said
    assert said.endswith("--embeddings --pooling cls --batch-size 512 --ubatch-size 512 --verbosity 2")


def test_tokens_are_guessed_where_the_settings_say_so(line):
    guesses = (
        "--spec-type ngram-mod --spec-ngram-mod-n-match 3 --spec-ngram-mod-n-min 1 --spec-ngram-mod-n-max 2"
    )
    assert guesses in line(settings={**SETTINGS, "speculation": "ngram"})
    assert "--spec-" not in line(settings=SETTINGS)
