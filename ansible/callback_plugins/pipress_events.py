"""Tells the controller what a play does: one JSON document per line on stdout, as it happens.

    {"event": "play", "name"}
    {"event": "task", "host", "role", "task"}
    {"event": "ok" | "changed" | "failed" | "skipped" | "unreachable" | "retry", "host", "role", "task", "msg"?,
     "diff"?, "result"?, "ignored"?}
    {"event": "stats", "hosts": {host: {ok, changed, failures, unreachable, skipped, …}}, "custom": {…},
     "customByHost": {host: {…}}}

`task` says that a host begins one. `custom` is what tasks reported by `set_stats` for all hosts, `customByHost` what they
reported with `per_host`. `result` is what a module returned
beside the usual, as long as it is short. Secrets do not get here: Ansible takes out what is marked no_log, and what was
given to a module is never repeated.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: pipress_events
type: stdout
short_description: One JSON line per event
description:
  - Made for a program that shows a play's progress as it happens and wants its results at the end.
author: [pipress]
"""

#: Keys of a result that say nothing to the one who reads events, or too much.
DROPPED = {
    "invocation",
    "changed",
    "failed",
    "skipped",
    "msg",
    "diff",
    "ansible_facts",
    "stats",
    "warnings",
    "deprecations",
    "exception",
    "attempts",
    "unreachable",
}
#: A `result` longer than this, in bytes of JSON, is left out.
RESULT_LIMIT = 4096
#: Text of a diff beyond this many characters is cut.
DIFF_LIMIT = 20000


class CallbackModule(CallbackBase):
    """Prints events; see the top of the file for their form."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "pipress_events"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        _print({"event": "play", "name": play.get_name()})

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        _print({"event": "task", "host": host.get_name(), **_role_and_task(task)})

    def v2_runner_on_ok(self, result: Any) -> None:
        self._print_event("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._print_event("failed", result, **({"ignored": True} if ignore_errors else {}))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._print_event("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._print_event("unreachable", result)

    def v2_runner_retry(self, result: Any) -> None:
        self._print_event("retry", result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        _print(
            {
                "event": "failed",
                "host": None,
                "role": None,
                "task": None,
                "msg": "the inventory names no host",
            }
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        by_host = {host: data for host, data in stats.custom.items() if host != "_run"}
        custom = stats.custom.get("_run", {})
        _print({"event": "stats", "hosts": hosts, "custom": custom, "customByHost": by_host})

    def _print_event(self, event: str, result: Any, **more: Any) -> None:
        given: dict[str, Any] = dict(result.result)
        document: dict[str, Any] = {
            "event": event,
            "host": result.host.get_name(),
            **_role_and_task(result.task),
            **more,
        }
        message = _message(given)
        if message:
            document["msg"] = message
        if given.get("diff"):
            document["diff"] = _diff(given["diff"])
        rest = {
            name: value for name, value in given.items() if name not in DROPPED and not name.startswith("_")
        }
        if rest and len(json.dumps(rest, default=str)) <= RESULT_LIMIT:
            document["result"] = rest
        _print(document)


def _role_and_task(task: Any) -> dict[str, str | None]:
    role = task._role.get_name() if task._role else None
    return {"role": role, "task": task.name or task.action}


def _message(result: dict[str, Any]) -> str | None:
    message = result.get("msg")
    if isinstance(message, str) and message:
        # Modules that run a program say little in `msg`; what the program said is what helps.
        detail = result.get("stderr") or result.get("module_stderr") or ""
        return f"{message}: {detail.strip()[-500:]}" if detail and result.get("failed") else message
    return str(message) if message else None


def _diff(diff: Any) -> Any:
    documents = diff if isinstance(diff, list) else [diff]
    return [
        {name: value[:DIFF_LIMIT] if isinstance(value, str) else value for name, value in document.items()}
        for document in documents
        if document
    ]


def _print(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, default=str) + "\n")
    sys.stdout.flush()
