"""What is on a host's disk before, while and after it switches; health check and service manager are stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from pipress_host import activation as activation_module
from pipress_host import health_check
from pipress_host.activation import Activation
from pipress_host.errors import HostError
from pipress_host.service import ServiceState


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose health check passes at once, and whose service is a stand-in: for what is on its disk."""

    class Service:
        active = "active"
        is_older = False

        def __init__(self):
            self.done = []

        def restart(self):
            self.done.append("restart")

        def stop(self):
            self.done.append("stop")

        def state(self):
            return ServiceState(self.active, 0)

        def needs_reload(self):
            return self.is_older

    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: {"tokensPerSecond": 5.0})
    monkeypatch.setattr(activation_module, "wait_until_healthy", lambda *_: 0.0)
    monkeypatch.setattr(activation_module, "becomes_healthy", lambda *_: True)
    (tmp_path / "keys").write_text("key-1\nkey-2\n")
    steps = []
    made = Activation(tmp_path, tmp_path / "keys", Service(), note=steps.append)
    made.steps = steps
    return made


def stage(host, *releases, drain=None):
    """Stages releases, each with a model and a server of its own."""
    store = host.root / "store"
    store.mkdir(exist_ok=True)
    for name in releases:
        folder = host.root / "releases" / name
        folder.mkdir(parents=True)
        for part, file in (("model", "model.gguf"), ("server", "llama-server")):
            (store / f"{part}-{name}").write_text(name)
            (folder / file).symlink_to(f"../../store/{part}-{name}")
        (folder / "pipress-llama.service").write_text(f"[Unit]\nDescription={name}\n")
        release = {
            "settings": {"port": 8080, "minTokensPerSecond": 1.0},
            "smokeTest": {"prompt": "Capital of France?", "expect": "Paris", "maxTokens": 8},
            "healthCheck": {"startTimeoutSeconds": 10, "answerTimeoutSeconds": 5},
        }
        if drain is not None:
            release["healthCheck"]["drainSeconds"] = drain
        (folder / "release.json").write_text(json.dumps(release))


def test_the_verdict_is_for_root_alone_and_says_when(host):
    """It holds the model's answer."""
    stage(host, "one")
    verdict = host.activate("one")
    file = host.root / "releases/one/verdict.json"
    assert (file.stat().st_mode & 0o777, json.loads(file.read_text())) == (0o600, verdict)
    assert abs(verdict["at"] - time.time()) < 60 and verdict["reason"] is None


def test_why_a_release_is_bad_is_kept_with_the_time(host, monkeypatch):
    stage(host, "one", "two")
    host.activate("one")
    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: 1 / 0)
    verdict = host.activate("two")
    mark = json.loads((host.root / "bad/two").read_text())
    assert (mark["reason"], verdict["reason"]) == ("division by zero", "division by zero")
    assert abs(mark["at"] - time.time()) < 60
    assert verdict["fallback"] == "one" and "replaced" not in verdict


def test_a_failure_without_words_is_called_by_its_kind(host, monkeypatch):
    def fail(*_):
        raise LookupError

    stage(host, "one")
    monkeypatch.setattr(activation_module, "run_health_check", fail)
    assert host.activate("one")["reason"] == "LookupError"


def test_a_first_release_that_fails_leaves_no_link_behind(host, monkeypatch):
    stage(host, "one")
    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: 1 / 0)
    verdict = host.activate("one")
    assert (verdict["serving"], verdict["fallback"]) == (None, None)
    assert host.service.done == ["restart", "stop"] and not (host.root / "current").is_symlink()
    assert host.steps[-1].startswith("stopping")


def test_a_fallback_that_does_not_come_up_serves_nothing(host, monkeypatch):
    def fail(*_):
        raise health_check.HealthCheckFailed("it does not stay up")

    stage(host, "one", "two")
    host.activate("one")
    for name in ("run_health_check", "wait_until_healthy"):
        monkeypatch.setattr(activation_module, name, fail)
    verdict = host.activate("two")
    assert (verdict["serving"], verdict["fallback"], host.current()) == (None, "one", "one")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda host: setattr(host.service, "is_older", True), "systemd runs an older unit file"),
        (lambda host: setattr(host.service, "active", "activating"), "the service is activating"),
        (
            lambda host: (host.root / "pending.json").write_text('{"release": "one"}'),
            "an activation was cut off",
        ),
        (
            lambda host: (host.root / "releases/one/verdict.json").unlink(),
            "it has not passed its health check yet",
        ),
        (
            lambda host: (host.root / "keys").unlink(),
            "unit, API keys, model or binary changed since it was started",
        ),
        (
            lambda host: (host.root / "releases/one/model.gguf").unlink(),
            "unit, API keys, model or binary changed",
        ),
        (
            lambda host: (host.root / "releases/one/pipress-llama.service").unlink(),
            "unit, API keys, model or binary",
        ),
        (lambda host: (host.root / "current").unlink(), "the host serves no release"),
    ],
)
def test_everything_that_is_not_as_it_was_started_is_a_reason(host, change, reason):
    stage(host, "one")
    host.activate("one")
    assert host.reason_to_activate("one") is None
    change(host)
    assert host.reason_to_activate("one").startswith(reason)


def test_the_digest_of_a_release_is_before_the_dash():
    assert [activation_module.digest_of(name) for name in ("ab", "ab-cd", "ab-cd-ef")] == ["ab", "ab", "ab"]


def test_a_link_to_a_release_that_is_gone_is_no_release(host):
    stage(host, "one")
    host.activate("one")
    shutil.rmtree(host.root / "releases/one")
    assert host.current() is None


def test_the_release_before_is_the_one_that_served_and_not_the_same_again(host):
    stage(host, "one", "two")
    for release in ("one", "one", "two", "two"):
        host.activate(release)
    assert host.release_before() == "one"
    (host.root / "previous").unlink()
    (host.root / "previous").symlink_to("releases/two")
    with pytest.raises(HostError, match="no earlier release"):
        host.release_before()


def test_going_back_to_one_that_fails_marks_nothing_but_that(host, monkeypatch):
    stage(host, "one", "two")
    for release in ("one", "two"):
        host.activate(release)
    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: 1 / 0)
    assert host.go_back()["serving"] == "two"
    assert (host.mark_of("one"), host.mark_of("two")) == ("division by zero", None)


def test_a_third_release_that_fails_goes_back_to_the_second(host, monkeypatch):
    stage(host, "one", "two", "three")
    for release in ("one", "two"):
        host.activate(release)
    monkeypatch.setattr(activation_module, "run_health_check", lambda *_: 1 / 0)
    assert host.activate("three")["serving"] == "two"
    assert host.release_before() == "one"


def test_a_settled_switch_is_counted_and_given_up_after_the_third(host):
    stage(host, "one", "two")
    host.activate("one")
    counts = []
    host._drain = lambda digest: (
        counts.append(json.loads((host.root / "pending.json").read_text())["cuts"]) or 1 / 0
    )
    for cuts in (None, 0, 1, 2):
        noted = {"release": "two", "fallback": "one", **({} if cuts is None else {"cuts": cuts})}
        (host.root / "pending.json").write_text(json.dumps(noted))
        verdict = host.settle()
    assert counts == [1, 1, 2]
    assert "cut off 3 times" in verdict["reason"] and verdict["serving"] == "one"
    assert not (host.root / "pending.json").exists()


def test_settling_goes_on_where_nothing_can_be_noted(host, monkeypatch):
    """A host whose disk filled up meanwhile still has to come to a good end."""
    stage(host, "one", "two")
    host.activate("one")
    (host.root / "pending.json").write_text(json.dumps({"release": "two", "fallback": "one", "cuts": 0}))

    def full(path, document, mode=0o644):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activation_module, "write_json", full)
    assert host.settle()["ok"] and host.current() == "two"
    assert any("cannot be written" in step for step in host.steps)


def test_only_what_is_old_and_of_no_release_that_may_serve_again_is_removed(host):
    old = time.time() - 2 * 3600
    stage(host, "one", "two", "three", "new")
    store = host.root / "store"
    for name in ("lone", ".lone.lock", "lone.ok", "young", "model-three.ok", "model-two.ok"):
        (store / name).write_text("")
    for release in ("one", "two"):
        host.activate(release)
    kept = {"one", "two", "new"}
    for path in [*(host.root / "releases").iterdir(), *store.iterdir()]:
        if "new" not in path.name and path.name != "young":
            os.utime(path, (old, old))
    host.prune()
    assert {path.name for path in (host.root / "releases").iterdir()} == kept
    names = {path.name for path in store.iterdir()}
    assert names == {f"{part}-{release}" for part in ("model", "server") for release in kept} | {
        "young",
        "model-two.ok",
    }


def test_a_host_without_a_store_is_pruned_too(host):
    stage(host, "one")
    host.activate("one")
    shutil.rmtree(host.root / "store")
    host.prune()
    assert host.root.joinpath("releases/one").is_dir()


def test_the_last_twenty_outcomes_are_kept(host):
    stage(host, "one")
    folder = host.root / "activations"
    folder.mkdir()
    for number in range(25):
        (folder / f"{99 - number}.json").write_text("{}")
        os.utime(folder / f"{99 - number}.json", (number, number))
    host.activate("one")
    assert {int(path.stem) for path in folder.iterdir()} == {99 - number for number in range(5, 25)}


@pytest.fixture
def drained(host, monkeypatch):
    """The requests at work, one answer after the other; and the seconds that were waited."""
    counts, pauses, asked = [], [], []

    def at_work(port, key):
        asked.append((port, key))
        return counts.pop(0)

    monkeypatch.setattr(activation_module, "requests_at_work", at_work)
    monkeypatch.setattr(activation_module.time, "sleep", pauses.append)
    return counts, pauses, asked


def test_a_server_is_drained_until_it_has_nothing_to_do(host, drained):
    counts, pauses, asked = drained
    stage(host, "one", "two", drain=30)
    host.activate("one")
    assert (host.steps, pauses) == (["switching to one"], [])
    counts += [2, 1, 0]
    host.activate("two")
    assert host.steps[1:] == ["draining", "switching to two"]
    # The load balancer asks every second.
    assert pauses == [3, 0.5, 0.5] and asked == [(8080, "key-1")] * 3


def test_one_that_does_not_say_what_it_does_is_not_waited_for(host, drained):
    counts, pauses, _ = drained
    stage(host, "one", "two", drain=1)
    host.activate("one")
    counts += [None]
    host.activate("two")
    assert pauses == [1]


def test_requests_are_waited_for_only_as_long_as_was_said(host, drained, monkeypatch):
    counts, pauses, _ = drained
    stage(host, "one", "two", drain=10)
    host.activate("one")
    counts += [1] * 100
    monkeypatch.setattr(activation_module.time, "monotonic", lambda: sum(pauses))
    host.activate("two")
    assert sum(pauses) == 10


@pytest.mark.parametrize(("drain", "active"), [(0, "active"), (None, "active"), (30, "inactive")])
def test_without_a_load_balancer_or_a_server_nothing_is_drained(host, drained, drain, active):
    stage(host, "one", "two", drain=drain)
    host.activate("one")
    host.service.active = active
    host.activate("two")
    assert "draining" not in host.steps and drained[1] == []


def test_whether_an_activation_is_at_work_is_told_without_waiting(tmp_path):
    one, other = (Activation(tmp_path / "not/yet", tmp_path / "keys", None) for _ in range(2))
    with one.try_locked() as locked:
        assert locked
        with other.try_locked() as also:
            assert also is False
    with other.locked(), one.try_locked() as locked:
        assert locked is False
