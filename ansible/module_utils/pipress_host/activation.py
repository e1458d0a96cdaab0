"""Switches a host to a staged release, and back by itself when that release fails its health check.

    <root>/releases/<release>/  binary, model (links into the store), unit, release.json, and the host's own verdict.json
    <root>/current              link to the release that serves; the unit in /etc/systemd is read through it
    <root>/previous             link to the one before, kept for a rollback
    <root>/pending.json         an activation under way: what a reboot in the middle of it has to settle, and how many
                                times one had to be settled already
    <root>/bad/<release>        why a release did not pass here
    <root>/activations/<id>.json  what came of one activation

A release is called by its digest and, behind a dash, a digest of all that was rendered for this host (roles/server/vars): a
folder never changes, and the one before is exactly what ran. `digest` is that whole name here.

One rename of `current` switches binary, model, flags and memory limits together. Runs as a transient systemd unit,
so that it ends in one of its two good states whether or not a controller is still there to hear of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from .errors import HostError
from .files import point_link, read_json, read_link, sync_folder, write_json
from .health_check import (
    HealthCheck,
    HealthCheckFailed,
    becomes_healthy,
    requests_at_work,
    run_health_check,
    wait_until_healthy,
)
from .store import stamp_of
from .system_prompt import check_system_prompts, restore_system_prompts, system_prompts_of

#: Seconds for which nothing that was just fetched or staged is pruned.
PRUNE_AGE = 3600
#: Seconds until a load balancer that asks every second has heard that this host wants to be drained.
DRAIN_NOTICE = 3
#: Activations whose outcome is kept.
KEPT_OUTCOMES = 20
#: Interruptions after which a release is not tried any more: one that takes the board down would do so for ever.
MOST_CUTS = 2
#: Files of a release whose change means that the running server is out of date.
PARTS = ("llama-server", "model.gguf", "page.html")


def digest_of(release: str) -> str:
    """The digest under which the controller knows a release of a host."""
    return release.partition("-")[0]


class Activation:
    """The releases of one host.

    `root` is pipress's folder, `keys` the file of API keys, `service` the unit (see service.SystemdService) and
    `note` hears what is being done.
    """

    def __init__(self, root: Path, keys: Path, service: Any, note: Callable[[str], None] = lambda step: None):
        self.root = root
        self.keys = keys
        self.service = service
        self.note = note

    def current(self) -> str | None:
        """Name of the release that serves."""
        return self._linked("current")

    def verdict(self, digest: str) -> dict[str, Any] | None:
        """What the health check last found about a release on this host."""
        return read_json(self._release(digest) / "verdict.json")

    def reason_to_activate(self, digest: str) -> str | None:
        """Why `digest` has to be (re)started and to pass its health check, or None where it serves as it should.

        A server that still loads its model, as on a board that has just booted, is waited for.
        """
        if read_json(self.root / "pending.json"):
            return "an activation was cut off"
        return self._unfitness(digest)

    def _unfitness(self, digest: str) -> str | None:
        current = self.current()
        if current != digest:
            return f"the host serves {current[:12] if current else 'no release'}"
        if not self._has_passed(digest):
            return "it has not passed its health check yet"
        if self.verdict(digest)["fingerprint"] != self.fingerprint(digest):
            return "unit, API keys, model or binary changed since it was started"
        state = self.service.state().active
        if state != "active":
            return f"the service is {state}"
        if self.service.needs_reload():
            return "systemd runs an older unit file"
        check = self._health_check_of(digest)
        if not becomes_healthy(check.port, check.start_timeout, self.service):
            return "it is not healthy"
        return None

    def fingerprint(self, digest: str) -> str:
        """Stands for everything that a running server was started with."""
        folder = self._release(digest)
        unit = next(folder.glob("*.service"), None)
        seen = {
            "unit": unit.read_text() if unit else None,
            "keys": self.keys.read_text() if self.keys.exists() else None,
            "parts": [stamp_of(folder / part) if (folder / part).exists() else None for part in PARTS],
        }
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One activation at a time on a host."""
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".activation.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def try_locked(self) -> Iterator[bool]:
        """The same without waiting: whether no activation is at work."""
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".activation.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def release(self, digest: str) -> dict[str, Any] | None:
        """The release as it was staged."""
        return read_json(self._release(digest) / "release.json")

    def activate(self, digest: str) -> dict[str, Any]:
        """Makes `digest` serve, or puts back what served before; returns and keeps the verdict.

        The verdict is `{ok, release, reason, tokensPerSecond, loadSeconds, answer or dimensions, systemPrompts?, serving,
        replaced?, fingerprint, at}`;
        `serving` is what the host serves afterwards (None: nothing), `replaced` what it served before, and how fast.
        """
        return self._activate(digest, self._fallback_of(digest))

    def _activate(self, digest: str, back: str | None, cuts: int = 0) -> dict[str, Any]:
        """`cuts` is how many times this activation was interrupted before."""
        pending = {"release": digest, "fallback": back, "cuts": cuts}
        if not self._keep(self.root / "pending.json", pending) and cuts == 0:
            raise HostError(
                "the disk is full or read-only",
                "the service was not touched; fix that and run `pulumi up` again",
            )
        try:
            if cuts > MOST_CUTS:
                raise HealthCheckFailed(
                    f"the host or its activation was cut off {cuts} times while this release was tried"
                )
            self._drain(digest)
            measured = self._switch_and_ask(digest)
        # Whatever goes wrong while a release is tried speaks against it; nothing may leave the host in between.
        except Exception as problem:  # noqa: BLE001
            verdict = self._fail(digest, back, str(problem) or type(problem).__name__)
        else:
            verdict = {"ok": True, "release": digest, "reason": None, "serving": digest, **measured}
            if back and back != digest:
                point_link(self.root / "previous", f"releases/{back}")
                verdict["replaced"] = self._speed_of(back)
            (self.root / "bad" / digest).unlink(missing_ok=True)
        verdict = {**verdict, "fingerprint": self.fingerprint(digest), "at": int(time.time())}
        self._keep(self._release(digest) / "verdict.json", verdict, 0o600)
        self._end_pending()
        if verdict["ok"]:
            self.prune()
        return verdict

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Takes the server away for as long as this lasts, and has the same release serve again, whatever happens meanwhile.

        While pending.json is there, a load balancer sends no requests, and what finds it after a reboot or a kill settles it as
        an activation of the release that served. Raises HostError, and stops nothing, where there is no release or it works
        on an answer; HealthCheckFailed where it does not get ready again: the watch goes on with that.
        """
        digest = self.current()
        release = digest and self.release(digest)
        if not digest or not release:
            raise HostError("the host serves no release", "roll one out with `./pipress up`")
        if read_json(self.root / "pending.json"):
            raise HostError(
                "an activation was cut off here, and is not settled yet",
                "run the same command again in a minute",
            )
        if not self._keep(self.root / "pending.json", {"release": digest, "fallback": digest, "cuts": 0}):
            raise HostError(
                "the disk is full or read-only", "the service was not touched; fix that and try again"
            )
        try:
            self._drain(digest)
            self.require_idle(release)
            self.note("stopping llama-server")
            self.service.stop()
            yield
        finally:
            self._serve_again(digest)

    def require_idle(self, release: dict[str, Any]) -> None:
        """Raises HostError where the server works on requests: none is cut off for the sake of a figure."""
        requests = requests_at_work(release["settings"]["port"], self._key())
        if requests:
            raise HostError(
                f"llama-server works on {requests} {'request' if requests == 1 else 'requests'}",
                "run the same command again when it is idle",
            )

    def _serve_again(self, digest: str) -> None:
        if self.service.state().active != "active":
            self.note("starting llama-server")
            self.service.restart()
        check = self._health_check_of(digest)
        wait_until_healthy(check.port, check.start_timeout, self.service)
        self._end_pending()

    def _end_pending(self) -> None:
        (self.root / "pending.json").unlink(missing_ok=True)
        sync_folder(self.root)

    def release_before(self) -> str:
        """The release that `go_back` would go back to. Raises HostError where there is none, or none to trust."""
        before = self._linked("previous")
        if before is None or before == self.current():
            raise HostError(
                "there is no earlier release on this host",
                "roll the wanted one out with `pulumi up`",
            )
        reason = self.mark_of(before)
        if reason:
            raise HostError(
                f"the release before, {before[:12]}, is marked bad here: {reason}",
                "roll the wanted one out with `pulumi up`",
            )
        return before

    def go_back(self) -> dict[str, Any]:
        """Makes the release before serve again, with a health check, and marks the one that is left as bad."""
        left, before = self.current(), self.release_before()
        verdict = self._activate(before, left)
        if verdict["ok"] and left:
            self._mark(left, "it was taken back by hand")
        return verdict

    def mark_of(self, digest: str) -> str | None:
        """Why a release is marked bad on this host, or None where it is not."""
        return (read_json(self.root / "bad" / digest) or {}).get("reason")

    def settle(self) -> dict[str, Any] | None:
        """Ends an activation that a reboot or a crash cut off; None where there is none."""
        pending = read_json(self.root / "pending.json")
        if not pending:
            return None
        # All was done but to say so: nothing is started anew for that.
        if self._has_served(pending["release"]) and self._unfitness(pending["release"]) is None:
            self._end_pending()
            return self.verdict(pending["release"])
        return self._activate(pending["release"], pending["fallback"], pending.get("cuts", 0) + 1)

    def prune(self) -> None:
        """Removes releases other than the current and the previous, and store files that no release needs."""
        kept = {self._linked("current"), self._linked("previous")}
        youngest = time.time() - PRUNE_AGE
        for folder in (self.root / "releases").iterdir():
            if folder.name not in kept and folder.stat().st_mtime < youngest:
                shutil.rmtree(folder)
        needed = {
            Path(os.readlink(link)).name for link in (self.root / "releases").glob("*/*") if link.is_symlink()
        }
        store = self.root / "store"
        for file in store.iterdir() if store.is_dir() else ():
            if file.name.lstrip(".").partition(".")[0] not in needed and file.stat().st_mtime < youngest:
                file.unlink()
        outcomes = sorted((self.root / "activations").glob("*.json"), key=lambda file: file.stat().st_mtime)
        for outcome in outcomes[:-KEPT_OUTCOMES]:
            outcome.unlink()

    def _drain(self, digest: str) -> None:
        """Lets requests end that are at work; a load balancer sends no new ones while pending.json is there."""
        timeout = self._health_check_of(digest).drain_timeout
        current = self.current()
        served = current and self.release(current)
        if timeout <= 0 or not served or self.service.state().active != "active":
            return
        self.note("draining")
        key = self._key()
        until = time.monotonic() + timeout
        time.sleep(min(DRAIN_NOTICE, timeout))
        while requests_at_work(served["settings"]["port"], key) and time.monotonic() < until:
            time.sleep(0.5)

    def _switch_and_ask(self, digest: str) -> dict[str, Any]:
        check = self._health_check_of(digest)
        key = self._key()
        self._switch_to(digest)
        found = run_health_check(check, key, self.service, self.note)
        folder, release = self._release(digest), self.release(digest) or {}
        return {**found, **check_system_prompts(self.root, folder, release, key, self.note)}

    def restore_system_prompts(self) -> None:
        """Waits until the server is ready and gives it the system prompts of its release. Raises HealthCheckFailed."""
        digest = self.current()
        release = digest and self.release(digest)
        if not digest or not release or not system_prompts_of(release):
            return
        check = self._health_check_of(digest)
        # A server that has crashed before is waited for as well: it is loading again.
        if not becomes_healthy(check.port, check.start_timeout, self.service):
            raise HealthCheckFailed("llama-server does not get ready: its system prompts are not restored")
        key = self._key()
        restore_system_prompts(self.root, self._release(digest), release, key, self.note)

    def _key(self) -> str:
        """One that the server takes."""
        return self.keys.read_text().split()[0]

    def _switch_to(self, digest: str) -> None:
        self.note(f"switching to {digest[:12]}")
        point_link(self.root / "current", f"releases/{digest}")
        self.service.restart()

    def _fail(self, digest: str, back: str | None, reason: str) -> dict[str, Any]:
        """Goes back to the release before and says how that went."""
        self._mark(digest, reason)
        serving = None
        if back:
            if back != self.current():
                self._switch_to(back)
            with contextlib.suppress(HealthCheckFailed, OSError, LookupError):
                check = self._health_check_of(back)
                wait_until_healthy(check.port, check.start_timeout, self.service)
                serving = back
        else:
            self.note("stopping: there is no release to go back to")
            self.service.stop()
            (self.root / "current").unlink(missing_ok=True)
        return {"ok": False, "release": digest, "reason": reason, "serving": serving, "fallback": back}

    def _speed_of(self, digest: str) -> dict[str, Any]:
        speed = (self.verdict(digest) or {}).get("tokensPerSecond")
        return {"release": digest, **({} if speed is None else {"tokensPerSecond": speed})}

    def _mark(self, digest: str, reason: str) -> None:
        self._keep(self.root / "bad" / digest, {"reason": reason, "at": int(time.time())})

    def _keep(self, path: Path, document: dict[str, Any], mode: int = 0o644) -> bool:
        """Writes a note where there is room for one: a full disk keeps no host from going back. Returns whether it did."""
        try:
            write_json(path, document, mode)
        except OSError as problem:
            self.note(f"{path.name} cannot be written: {problem}")
            return False
        return True

    def _fallback_of(self, digest: str) -> str | None:
        """The release to go back to: the current one, or the previous where `digest` itself is the current.

        An activation that was cut off has moved `current` already, but not yet `previous`: the note that it left knows what
        it would have gone back to.
        Where `digest` is the only one that ever served here, that is `digest` itself: it is left running. So is one that
        failed when it was started anew and was left running: worse than a release that passed, better than none.
        """
        noted = (read_json(self.root / "pending.json") or {}).get("fallback")
        served = [
            candidate
            for candidate in (self.current(), noted, self._linked("previous"))
            if candidate and self._has_served(candidate)
        ]

        def unfitness(candidate: str) -> tuple[bool, bool]:
            return not self._has_passed(candidate), candidate == digest or self.mark_of(candidate) is not None

        return min(served, key=unfitness, default=None)

    def _has_passed(self, digest: str) -> bool:
        return bool((self.verdict(digest) or {}).get("ok"))

    def _has_served(self, digest: str) -> bool:
        """Whether its last activation left it running, passed or for want of a better one."""
        return (self.verdict(digest) or {}).get("serving") == digest

    def _health_check_of(self, digest: str) -> HealthCheck:
        release = self.release(digest)
        if release is None:
            raise HealthCheckFailed(f"release {digest[:12]} is not staged completely on this host")
        return HealthCheck.of(release)

    def _linked(self, name: str) -> str | None:
        target = read_link(self.root / name)
        return Path(target).name if target and (self.root / name).is_dir() else None

    def _release(self, digest: str) -> Path:
        return self.root / "releases" / digest
