"""Activation with a service double: a subprocess in the place of systemd and llama-server, over real HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipress_host import activation as activation_module
from pipress_host import health_check
from pipress_host.activation import Activation
from pipress_host.errors import HostError
from pipress_host.service import ServiceState

#: Stands for llama-server: answers /health and chat as its model file tells, and dies of a broken model.
SERVER_DOUBLE = textwrap.dedent(
    """
    import http.server, json, sys
    root, port = sys.argv[1], int(sys.argv[2])
    model = json.load(open(root + "/current/model.gguf"))
    keys = open(root + "/keys").read().split()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/metrics":
                model["loading"] = model.get("loading", 0) - 1
                return self.reply(200 if model["loading"] < 0 else 503, {})
            # One request is at work the first two times somebody asks.
            Answer.asked = getattr(Answer, "asked", 0) + 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"llamacpp:requests_processing %d\\nllamacpp:requests_deferred 0\\n" % (Answer.asked < 3))

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            key = (self.headers["Authorization"] or "").removeprefix("Bearer ")
            if key not in keys and not model.get("open"):
                return self.reply(401, {})
            message = {"content": model["answer"]}
            if "thoughts" in model:
                message["reasoning_content"] = model["thoughts"]
            timings = {"predicted_per_second": model.get("speed", 5.0)}
            choices = [{"message": message}]
            self.reply(200, {"choices": choices, "usage": {"completion_tokens": 3}, "timings": timings})

        def reply(self, status, document):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *arguments):
            pass

    http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
    """
)


class ServiceDouble:
    """Runs the double of llama-server as systemd would run the unit, without restarting it."""

    def __init__(self, root: Path, port: int):
        self.command = [sys.executable, "-c", SERVER_DOUBLE, str(root), str(port)]
        self.process = None
        self.starts = 0

    def restart(self):
        self.stop()
        self.starts += 1
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            self.process = None

    def state(self):
        if self.process is None:
            return ServiceState("inactive", 0)
        return ServiceState("active" if self.process.poll() is None else "failed", 0)

    def needs_reload(self):
        return False

    def log_tail(self):
        return self.process.stderr.read().strip().splitlines()[-1] if self.process else ""


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(health_check, "POLL_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "keys").write_text("key-1\nkey-2\n")
    activation = Activation(tmp_path, tmp_path / "keys", ServiceDouble(tmp_path, port))
    yield activation
    activation.service.stop()


def stage(host: Activation, digest: str, **model: object) -> None:
    """Stages a release whose model answers as told; without an answer the file is garbage."""
    store, folder = host.root / "store", host.root / "releases" / digest
    store.mkdir(exist_ok=True)
    folder.mkdir(parents=True)
    (store / f"model-{digest}").write_text(json.dumps(model) if model else "no GGUF")
    (store / f"server-{digest}").write_text("")
    (folder / "model.gguf").symlink_to(f"../../store/model-{digest}")
    (folder / "llama-server").symlink_to(f"../../store/server-{digest}")
    (folder / "pipress-llama.service").write_text(f"[Unit]\nDescription={digest}\n")
    release = {
        "settings": {"port": int(host.service.command[-1]), "minTokensPerSecond": 1.0},
        "smokeTest": {"prompt": "Capital of France?", "expect": "Paris", "maxTokens": 8},
        "healthCheck": {"startTimeoutSeconds": 10, "answerTimeoutSeconds": 5},
    }
    (folder / "release.json").write_text(json.dumps(release))


def test_a_good_release_serves_and_then_there_is_nothing_to_do(host):
    stage(host, "one", answer="It is Paris.")
    assert host.reason_to_activate("one") == "the host serves no release"
    verdict = host.activate("one")
    assert (verdict["ok"], verdict["serving"], verdict["tokensPerSecond"]) == (True, "one", 5.0)
    assert verdict["answer"] == "It is Paris."
    assert host.reason_to_activate("one") is None


def test_a_model_that_is_still_thinking_has_said_enough(host):
    stage(host, "one", answer="", thoughts="They ask for a capital. Of France, that is Paris.")
    verdict = host.activate("one")
    assert (verdict["ok"], verdict["answer"]) == (True, "They ask for a capital. Of France, that is Paris.")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({}, "llama-server does not stay up.*JSONDecodeError"),
        ({"answer": "Berlin"}, "answered with 'Berlin', which does not match /Paris/"),
        (
            {"answer": None, "thoughts": "Hmm"},
            r"answered with '' after it thought 'Hmm' \(smokeTest.maxTokens, 8, may be too few for both\), which does not",
        ),
        (
            {"answer": "Rome", "thoughts": "Hmm"},
            "answered with 'Rome' after it thought 'Hmm', which does not match",
        ),
        ({"answer": "Paris", "speed": 0.5}, "0.50 tokens a second are fewer than the 1.0"),
        ({"answer": "Paris", "open": True}, "without an API key was answered with 200, not 401"),
    ],
)
def test_a_bad_release_gives_way_to_the_one_before_and_is_marked(host, model, reason):
    stage(host, "good", answer="Paris")
    stage(host, "bad", **model)
    host.activate("good")
    verdict = host.activate("bad")
    assert (verdict["ok"], verdict["serving"], host.current()) == (False, "good", "good")
    assert re.search(reason, verdict["reason"])
    assert (host.root / "bad" / "bad").exists()
    assert host.reason_to_activate("good") is None
    assert host.reason_to_activate("bad") == "the host serves good"


def test_a_bad_first_release_leaves_nothing_running(host):
    stage(host, "bad", answer="Berlin")
    verdict = host.activate("bad")
    assert (verdict["ok"], verdict["serving"], host.current()) == (False, None, None)
    assert host.service.state().active == "inactive"


def test_the_only_release_is_left_running_when_it_fails_after_a_change(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    (host.root / "store/model-one").write_text(json.dumps({"answer": "Berlin"}))
    assert "changed since" in host.reason_to_activate("one")
    verdict = host.activate("one")
    assert (verdict["ok"], verdict["serving"], host.service.state().active) == (False, "one", "active")
    assert host.reason_to_activate("one") == "it has not passed its health check yet"


def test_a_release_that_failed_is_tried_again_and_may_pass(host):
    stage(host, "one", answer="Berlin")
    host.activate("one")
    (host.root / "store/model-one").write_text(json.dumps({"answer": "Paris"}))
    assert host.activate("one")["ok"]
    assert not (host.root / "bad/one").exists()


@pytest.mark.parametrize("part", ["keys", "releases/one/pipress-llama.service", "store/server-one"])
def test_a_change_of_what_the_server_was_started_with_asks_for_a_restart(host, part):
    stage(host, "one", answer="Paris")
    host.activate("one")
    (host.root / part).write_text("changed by hand\n")
    assert host.reason_to_activate("one") == "unit, API keys, model or binary changed since it was started"


def test_a_stopped_service_is_a_reason(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    host.service.stop()
    assert host.reason_to_activate("one") == "the service is inactive"


def test_an_incomplete_release_is_refused_without_touching_the_service(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    starts = host.service.starts
    verdict = host.activate("two")
    assert "not staged completely" in verdict["reason"]
    assert (verdict["serving"], host.service.starts - starts) == ("one", 0)


def test_power_lost_after_the_switch_is_settled_at_boot(host):
    stage(host, "good", answer="Paris")
    stage(host, "bad", answer="Berlin")
    host.activate("good")
    # What the disk holds when power fails right after the rename.
    (host.root / "pending.json").write_text(json.dumps({"release": "bad", "fallback": "good"}))
    activation_module.point_link(host.root / "current", "releases/bad")
    assert host.settle()["serving"] == "good"
    assert host.current() == "good"
    assert host.settle() is None


@pytest.mark.parametrize("cuts", [0, 1])
def test_an_activation_that_was_cut_off_is_tried_again_at_boot(host, cuts):
    stage(host, "old", answer="Paris")
    stage(host, "new", answer="Paris, too")
    host.activate("old")
    (host.root / "pending.json").write_text(json.dumps({"release": "new", "fallback": "old", "cuts": cuts}))
    assert host.settle()["serving"] == "new"


def test_a_release_that_takes_the_board_down_again_and_again_is_given_up(host):
    stage(host, "old", answer="Paris")
    stage(host, "new", answer="Paris, too")
    host.activate("old")
    (host.root / "pending.json").write_text(json.dumps({"release": "new", "fallback": "old", "cuts": 2}))
    activation_module.point_link(host.root / "current", "releases/new")
    verdict = host.settle()
    assert (verdict["ok"], verdict["serving"], host.current()) == (False, "old", "old")
    assert "cut off 3 times" in host.mark_of("new")


def test_how_often_it_was_cut_off_is_on_the_disk_while_it_is_tried(host, monkeypatch):
    stage(host, "new", answer="Paris")
    (host.root / "pending.json").write_text(json.dumps({"release": "new", "fallback": None}))
    seen = []
    monkeypatch.setattr(
        host, "_drain", lambda digest: seen.append(json.loads((host.root / "pending.json").read_text()))
    )
    host.settle()
    assert seen == [{"release": "new", "fallback": None, "cuts": 1}]


def test_a_release_that_was_left_running_for_want_of_better_outlives_a_worse_one(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    (host.root / "store/model-one").write_text(json.dumps({"answer": "Berlin"}))
    assert host.activate("one")["serving"] == "one"
    stage(host, "two", answer="Rome")
    verdict = host.activate("two")
    assert (verdict["ok"], verdict["serving"], host.current()) == (False, "one", "one")
    assert host.activate("one")["serving"] == "one"
    assert host.service.state().active == "active"


def test_a_gate_that_cannot_be_asked_is_a_gate_that_was_not_passed(host):
    stage(host, "good", answer="Paris")
    stage(host, "bad", answer="Paris")
    release = json.loads((host.root / "releases/bad/release.json").read_text())
    release["smokeTest"]["expect"] = "(Paris"
    (host.root / "releases/bad/release.json").write_text(json.dumps(release))
    host.activate("good")
    verdict = host.activate("bad")
    assert (verdict["ok"], verdict["serving"]) == (False, "good")
    assert not (host.root / "pending.json").exists()


def test_a_full_disk_keeps_no_host_from_going_back(host, monkeypatch):
    stage(host, "good", answer="Paris")
    stage(host, "bad", answer="Berlin")
    host.activate("good")
    write_json = activation_module.write_json

    def full(path, document, mode=0o644):
        if path.name != "pending.json":
            raise OSError(28, "No space left on device")
        write_json(path, document, mode)

    monkeypatch.setattr(activation_module, "write_json", full)
    verdict = host.activate("bad")
    assert (verdict["ok"], verdict["serving"], host.current()) == (False, "good", "good")
    assert not (host.root / "pending.json").exists()


def test_nothing_is_switched_where_a_reboot_would_not_find_what_was_begun(host, monkeypatch):
    stage(host, "good", answer="Paris")
    stage(host, "next", answer="Paris")
    host.activate("good")

    def full(path, document, mode=0o644):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activation_module, "write_json", full)
    with pytest.raises(HostError, match="the service was not touched"):
        host.activate("next")
    assert host.current() == "good"


def test_current_and_previous_are_kept_and_older_ones_pruned(host, monkeypatch):
    monkeypatch.setattr(activation_module, "PRUNE_AGE", -1)
    for digest in ("one", "two", "three"):
        stage(host, digest, answer="Paris")
        host.activate(digest)
    assert sorted(os.listdir(host.root / "releases")) == ["three", "two"]
    assert sorted(os.listdir(host.root / "store")) == [
        "model-three",
        "model-two",
        "server-three",
        "server-two",
    ]


def test_what_was_staged_a_moment_ago_is_not_pruned(host):
    for digest in ("one", "two", "three"):
        stage(host, digest, answer="Paris")
        host.activate(digest)
    assert (host.root / "releases/one").exists()


def test_requests_at_work_end_before_the_server_is_switched(host, monkeypatch):
    monkeypatch.setattr(activation_module, "DRAIN_NOTICE", 0.01)
    stage(host, "one", answer="Paris")
    stage(host, "two", answer="Paris")
    release = json.loads((host.root / "releases/two/release.json").read_text())
    release["healthCheck"]["drainSeconds"] = 30
    (host.root / "releases/two/release.json").write_text(json.dumps(release))
    host.activate("one")
    steps = []
    host.note = steps.append
    started = time.monotonic()
    assert host.activate("two")["ok"]
    assert steps[:2] == ["draining", "switching to two"]
    assert 1.0 <= time.monotonic() - started < 15


def test_a_release_whose_description_is_gone_is_not_waited_for(host):
    stage(host, "one", answer="Paris")
    stage(host, "two", answer="Paris")
    release = json.loads((host.root / "releases/two/release.json").read_text())
    release["healthCheck"]["drainSeconds"] = 30
    (host.root / "releases/two/release.json").write_text(json.dumps(release))
    host.activate("one")
    (host.root / "releases/one/release.json").unlink()
    assert host.activate("two")["ok"]


def test_the_verdict_tells_how_fast_the_release_before_was(host):
    stage(host, "one", answer="Paris", speed=1.5)
    stage(host, "two", answer="Paris", speed=2.5)
    assert "replaced" not in host.activate("one")
    verdict = host.activate("two")
    assert (verdict["tokensPerSecond"], verdict["replaced"]) == (
        2.5,
        {"release": "one", "tokensPerSecond": 1.5},
    )


def test_going_back_serves_the_release_before_and_marks_the_one_that_is_left(host):
    stage(host, "one", answer="Paris")
    stage(host, "two", answer="Paris, too")
    host.activate("one")
    host.activate("two")
    verdict = host.go_back()
    assert (verdict["ok"], host.current(), host.mark_of("two")) == (True, "one", "it was taken back by hand")
    with pytest.raises(
        HostError, match="the release before, two, is marked bad here: it was taken back by hand"
    ):
        host.go_back()


def test_a_release_taken_back_by_hand_is_nothing_to_fall_back_on(host):
    for digest, answer in {"one": "Paris", "two": "Paris", "bad": "Berlin"}.items():
        stage(host, digest, answer=answer)
    host.activate("one")
    host.activate("two")
    host.go_back()
    assert host.activate("bad")["serving"] == "one"
    (host.root / "store/model-one").write_text(json.dumps({"answer": "Berlin"}))
    # `one` fails now, and `two` was taken back: nothing else is proven.
    verdict = host.activate("one")
    assert (verdict["ok"], verdict["serving"]) == (False, "one")


def test_without_an_earlier_release_there_is_nothing_to_go_back_to(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    with pytest.raises(HostError, match="no earlier release"):
        host.go_back()


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"throttled": lambda: 0x50005}, r"throttles the board under load \(get_throttled 0x5\)"),
        ({"available_bytes": lambda: 10_000_000}, "10.0 MB of memory are left"),
    ],
)
def test_a_board_that_does_not_stand_the_load_fails_the_gate(host, monkeypatch, patch, reason):
    for name, value in patch.items():
        monkeypatch.setattr(health_check, name, value)
    stage(host, "one", answer="Paris")
    assert re.search(reason, host.activate("one")["reason"])


def test_two_activations_at_once_take_turns(host):
    package = Path(activation_module.__file__).parents[1]
    program = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(package)!r})\n"
        "from pipress_host.activation import Activation\n"
        f"with Activation(Path({str(host.root)!r}), Path('x'), None).locked(): print('in')\n"
    )
    with host.locked():
        waiting = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        assert waiting.poll() is None
    assert waiting.communicate()[0] == "in\n"


def folder_of(host, release):
    """Everything in the folder of a release but the host's own verdict."""
    folder = host.root / "releases" / release
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != "verdict.json"}


@pytest.mark.parametrize("model", [{"answer": "Paris"}, {"answer": "Berlin"}], ids=["good", "bad"])
@pytest.mark.parametrize("settled_by", ["the watch", "a reboot", "the next up"])
def test_a_kill_between_any_two_steps_of_a_switch_heals(
    host, monkeypatch, killed_at_every_step, model, settled_by
):
    old, new = "one-aaaa", "one-bbbb"

    def begin():
        host.service.stop()
        for name in ("releases", "store", "bad"):
            shutil.rmtree(host.root / name, ignore_errors=True)
        for name in ("current", "previous", "pending.json"):
            (host.root / name).unlink(missing_ok=True)
        stage(host, old, answer="Paris")
        stage(host, new, **model)
        host.activate(old)
        return lambda: host.activate(new)

    before = {}
    cases = 0
    steps = [(host.service, "restart"), (activation_module, "sync_folder")]
    for _ in killed_at_every_step(begin, steps):
        cases += 1
        before = before or folder_of(host, old)
        if settled_by == "a reboot":
            host.service.restart()
        if settled_by != "the next up":
            host.settle()
        elif host.reason_to_activate(new):
            host.activate(new)
        # Before anything was noted, the switch has not begun: the host goes on with what it serves.
        begun = settled_by == "the next up" or (host.root / "releases" / new / "verdict.json").exists()
        serving = new if model.get("answer") == "Paris" and begun else old
        assert (host.current(), host.service.state().active) == (serving, "active")
        assert not (host.root / "pending.json").exists()
        assert host.reason_to_activate(serving) is None
        # What served is exactly what it was, and there to go back to.
        assert folder_of(host, old) == before
        if serving == new:
            assert host.release_before() == old
    assert cases >= 5


def test_a_switch_that_was_cut_off_when_all_was_done_starts_nothing_anew(host):
    stage(host, "one", answer="Paris")
    host.activate("one")
    starts = host.service.starts
    (host.root / "pending.json").write_text(json.dumps({"release": "one", "fallback": None}))
    assert host.reason_to_activate("one") == "an activation was cut off"
    assert host.settle()["ok"]
    assert (host.service.starts, (host.root / "pending.json").exists()) == (starts, False)


def test_a_server_that_still_loads_is_waited_for_and_not_started_anew(host):
    stage(host, "one", answer="Paris", loading=3)
    host.activate("one")
    host.service.restart()
    starts = host.service.starts
    assert host.reason_to_activate("one") is None
    assert host.service.starts == starts


def test_a_server_that_says_nothing_is_not_waited_for_as_long_as_one_that_loads(host, monkeypatch):
    stage(host, "one", answer="Paris")
    host.activate("one")
    monkeypatch.setattr(health_check, "SILENCE", 0.2)
    monkeypatch.setattr(health_check, "health_of", lambda port, timeout: None)
    started = time.monotonic()
    assert host.reason_to_activate("one") == "it is not healthy"
    assert time.monotonic() - started < 5


def test_going_back_runs_exactly_what_ran_unit_included(host):
    """Two renderings of one release: the same binary, model and settings under another unit."""
    for release in ("one-aaaa", "one-bbbb"):
        stage(host, release, answer="Paris")
        host.activate(release)
    before = folder_of(host, "one-aaaa")
    assert host.go_back()["serving"] == "one-aaaa"
    assert (host.root / "current/pipress-llama.service").read_text() == before["pipress-llama.service"]
    assert folder_of(host, "one-aaaa") == before


def test_a_host_of_the_version_before_moves_over_and_can_go_back(host):
    """Its folders are called by the release's digest alone."""
    stage(host, "one", answer="Paris")
    host.activate("one")
    stage(host, "one-bbbb", answer="Paris")
    assert host.reason_to_activate("one-bbbb") == "the host serves one"
    assert host.activate("one-bbbb")["ok"]
    assert host.go_back()["serving"] == "one"


def test_a_release_whose_system_prompt_is_not_that_of_its_state_goes_back(host, monkeypatch):
    stage(host, "one", answer="Paris")
    host.activate("one")
    stage(host, "two", answer="Paris")
    asked = []

    def check(root, folder, release, key, note):
        asked.append((root, folder.name, key))
        raise health_check.HealthCheckFailed("the state is not this model's")

    monkeypatch.setattr(activation_module, "check_system_prompts", check)
    verdict = host.activate("two")
    assert (verdict["ok"], verdict["reason"], verdict["serving"]) == (
        False,
        "the state is not this model's",
        "one",
    )
    assert asked == [(host.root, "two", "key-1")]


def test_the_verdict_tells_how_system_prompts_were_found(host, monkeypatch):
    stage(host, "one", answer="Paris")
    found = {"systemPrompts": [{"name": "desk", "tokens": 4, "kld": 0.001}]}
    monkeypatch.setattr(activation_module, "check_system_prompts", lambda *given: found)
    assert host.activate("one").items() >= found.items()


def test_system_prompts_are_restored_once_the_server_is_ready(host, monkeypatch):
    restored = []
    monkeypatch.setattr(
        activation_module, "restore_system_prompts", lambda *given: restored.append(given[1].name)
    )
    host.restore_system_prompts()
    stage(host, "one", answer="Paris", loading=3)
    host.activate("one")
    host.restore_system_prompts()
    assert restored == [], "there is nothing to restore in this release"
    path = host.root / "releases" / "one" / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "systemPrompts": [{"name": "desk"}]}))
    host.service.restart()
    host.restore_system_prompts()
    assert restored == ["one"]
    host.service.stop()
    with pytest.raises(health_check.HealthCheckFailed, match="does not get ready"):
        monkeypatch.setattr(health_check, "SILENCE", 0)
        host.restore_system_prompts()
