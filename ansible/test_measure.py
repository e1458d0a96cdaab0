"""The play that measures, with every module but Ansible's own at work; systemd is a stand-in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parent
BENCH = b"#!/bin/sh\n"
OUTCOME = {"ok": True, "reason": None, "generation": 0.7, "board": None}


@pytest.fixture
def host(tmp_path, programs, serve_tiny_model):
    """A host that serves a model, with llama-bench in its store; gives the variables of the play."""
    root = tmp_path / "root"
    serve_tiny_model(root)
    sha256 = hashlib.sha256(BENCH).hexdigest()
    (root / "store").mkdir()
    (root / "store" / sha256).write_bytes(BENCH)
    (tmp_path / "comes").write_text(json.dumps(OUTCOME))
    programs.add("systemctl", "echo ActiveState=inactive")
    programs.add("systemd-run", f"cp {tmp_path}/comes {root}/measurement.json")
    tool = {"path": f"{tmp_path}/tools/digest/measure", "content": "measure", "mode": "0755"}
    return {
        "pipress_root": str(root),
        "pipress_key_file": str(root / "keys"),
        "pipress_unit": "pipress-llama.service",
        "pipress_tools": str(tmp_path / "tools"),
        "pipress_tool_set": {"digest": "digest", "files": [tool]},
        "pipress_owner_file": str(tmp_path / "owner.json"),
        "pipress_owner": {"id": "ours"},
        "pipress_remedies": {},
        "pipress_socket": "/nowhere",
        "pipress_bench": {"sha256": sha256, "bytes": len(BENCH)},
        "pipress_measure": {
            "prompt": 512,
            "generate": 128,
            "repetitions": 2,
            "stock": False,
            "threads": 3,
            "limit": 600,
        },
    }


def reported(events):
    [stats] = [event for event in events if event["event"] == "stats"]
    return stats["customByHost"]["pi-0"]


def started(programs):
    return [line for line in programs.told if line.startswith("systemd-run")]


def test_a_look_changes_nothing_and_tells_what_would_be_measured(play, host, programs, tmp_path):
    code, events = play((ANSIBLE / "measure.yml").read_text(), host, "--check")
    assert code == 0
    assert reported(events)["subject"]["model"]["name"] == "llama 2K"
    assert started(programs) == [] and not (tmp_path / "tools").exists()


def test_the_tools_of_the_controller_measure_with_its_llama_bench(play, host, programs, tmp_path):
    code, events = play((ANSIBLE / "measure.yml").read_text(), host)
    assert code == 0
    assert reported(events)["outcome"] == OUTCOME
    [line] = started(programs)
    bench = host["pipress_bench"]["sha256"]
    command = f"{tmp_path}/tools/digest/measure {tmp_path}/root/store/{bench} --limit 600"
    assert line.endswith(f"{command} --prompt 512 --generate 128 --repetitions 2 --threads 3")
    assert (tmp_path / "tools/digest/measure").read_text() == "measure"
    assert (tmp_path / "root/store" / bench).stat().st_mode & 0o111


def test_a_host_of_another_stack_is_refused(play, host, programs, tmp_path):
    (tmp_path / "owner.json").write_text(json.dumps({"id": "theirs", "stack": "other", "project": "pipress"}))
    code, events = play((ANSIBLE / "measure.yml").read_text(), host)
    [failed] = [event for event in events if event["event"] == "failed"]
    assert code != 0 and "other" in failed["msg"]
    assert started(programs) == []


def test_a_measurement_is_stopped_as_a_unit(play, host, programs):
    programs.add("systemctl", "echo ActiveState=active; echo LoadState=loaded")
    code, _ = play((ANSIBLE / "measure-stop.yml").read_text(), host)
    assert code == 0
    assert "systemctl stop pipress-measure.service" in programs.told
