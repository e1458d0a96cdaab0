"""The module in this process; systemd is a stand-in whose transient unit leaves the verdict that a test has prepared."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from ansible.module_utils.pipress_host.activation import Activation

ONE, TWO = "1" * 64, "2" * 64
GOOD = {"ok": True, "release": TWO, "reason": None, "serving": TWO}
BAD = {"ok": False, "release": TWO, "reason": "it answered 'Berlin'", "serving": ONE, "fallback": ONE}


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def host(tmp_path, programs):
    """A host that serves the release ONE, healthily; `end_with` prepares what an activation comes to."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    (tmp_path / "keys").write_text("key\n")
    release = {
        "settings": {"port": server.server_address[1], "minTokensPerSecond": 1.0},
        "smokeTest": {"prompt": "?", "expect": "!", "maxTokens": 8},
        "healthCheck": {"startTimeoutSeconds": 5, "answerTimeoutSeconds": 5},
    }
    folder = tmp_path / "releases" / ONE
    folder.mkdir(parents=True)
    (folder / "release.json").write_text(json.dumps(release))
    (tmp_path / "current").symlink_to(f"releases/{ONE}")
    fingerprint = Activation(tmp_path, tmp_path / "keys", None).fingerprint(ONE)
    verdict = {"ok": True, "serving": ONE, "fingerprint": fingerprint}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    programs.add(
        "systemctl",
        "case $* in *DropInPaths*) echo DropInPaths=/etc/over.conf ;;"
        " *pipress-llama*) echo ActiveState=active ;; *) echo ActiveState=inactive ;; esac",
    )
    yield tmp_path
    server.shutdown()
    server.server_close()


@pytest.fixture
def activate(module, host, programs):
    def run(release, verdict=None, **more):
        (host / "activations").mkdir(exist_ok=True)
        (host / "comes").write_text(json.dumps(verdict))
        programs.add(
            "systemd-run",
            f"for id; do :; done; cp {host}/comes {host}/activations/$id.json" if verdict else "",
        )
        given = {"root": host, "keys": host / "keys", "unit": "pipress-llama.service", "timeout": 5}
        return module(release=release, **{**given, **more})

    return run


def started(programs):
    return [line for line in programs.told if line.startswith("systemd-run")]


def test_a_release_that_serves_as_it_should_is_left_alone(activate, programs):
    answer = activate(ONE)
    assert (answer["changed"], answer["reason"]) == (False, None)
    assert (answer["verdict"]["serving"], answer["overrides"]) == (ONE, ["/etc/over.conf"])
    assert "diff" not in answer and started(programs) == []


def test_another_release_is_activated_by_a_unit_that_outlives_the_module(activate, programs, host):
    answer = activate(TWO, GOOD)
    assert answer["changed"] and answer["verdict"] == GOOD and answer["overrides"] == ["/etc/over.conf"]
    assert answer["reason"] == answer["msg"] == "the host serves 111111111111"
    [line] = started(programs)
    assert f"/activate {TWO} --id {TWO[:12]}-" in line
    assert (answer["diff"]["before"], answer["diff"]["after"]) == (
        f"{ONE} (the host serves 111111111111)\n",
        f"{TWO} (serving)\n",
    )
    assert answer["diff"]["before_header"] == answer["diff"]["after_header"] == f"{host}/current"


def test_check_tells_the_same_and_starts_nothing(activate, programs):
    answer = activate(TWO, GOOD, check=True)
    assert (answer["changed"], answer["reason"]) == (True, "the host serves 111111111111")
    assert answer["verdict"] is None and started(programs) == []


def test_what_staging_would_change_is_a_reason(activate):
    answer = activate(ONE, check=True, staged_changes=["model", "unit"])
    assert (answer["changed"], answer["reason"]) == (True, "model, unit changed")


def test_a_host_without_a_release_says_so(activate, host):
    (host / "current").unlink()
    assert activate(ONE, check=True)["diff"]["before"].startswith("no release (")


def test_a_release_that_does_not_pass_fails_the_play_with_what_serves_now(activate):
    answer = activate(TWO, BAD)
    assert answer["failed"] and answer["verdict"] == BAD
    for part in (
        "release 222222222222 failed its health check: it answered 'Berlin'",
        "serves 111111111111, as before",
    ):
        assert part in answer["msg"]


def test_an_activation_without_a_verdict_fails_the_play(activate):
    answer = activate(TWO)
    assert "the activation of release 222222222222 gave no verdict within 5 seconds" in answer["msg"]
