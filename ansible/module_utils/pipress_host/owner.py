"""Whose a host is: the stack, and the resource of it, that put there what runs there.

An owner is a dict of `project`, `stack`, `id` (random, of the stack) and `name` (the host's in that stack). On the host it
also has a `claim`, a random id that a resource makes once. The last resource that brought the host something has its claim
there: a removal by any other one, of another stack, of the host's former name, or of what it was replaced by, leaves the
host alone.
"""

from __future__ import annotations

from typing import Any

from .finding import Finding


def describe(owner: dict[str, Any]) -> str:
    """An owner as messages name it."""
    return f'stack "{owner.get("stack")}" of project {owner.get("project")} (id {owner.get("id")})'


def may_remove(there: dict[str, Any] | None, claim: str) -> bool:
    """Whether what the owner `there` has put on the host is a removal's own. None is what versions without owners left."""
    return there is None or (claim != "" and there.get("claim") == claim)


def is_same_stack(there: dict[str, Any] | None, ours: dict[str, Any]) -> bool:
    """Whether a host that `there` owns, or nobody, is ours to change. Two stacks may share a name, never an id."""
    return there is None or there.get("id") == ours.get("id")


def judge_owner(there: dict[str, Any] | None, ours: dict[str, Any], take_over: bool) -> list[Finding]:
    """A finding where the host belongs to another stack. Empty `ours` is a play without a stack, which nobody is asked about."""
    if not ours or there is None or is_same_stack(there, ours):
        return []
    what = f'it belongs to {describe(there)}, as "{there.get("name")}"'
    if take_over:
        return [Finding(what, "it is taken over: take it out of that stack's configuration", error=False)]
    return [Finding(what, "remove it there first, or set `takeOver: true` at this host to take it over")]


def why_left_alone(there: dict[str, Any], ours: dict[str, Any]) -> str:
    """What to say of a host that a removal leaves as it is; nothing where the host was brought anew under its own name."""
    if not is_same_stack(there, ours):
        return f'it belongs to {describe(there)} now, as "{there.get("name")}": what runs there is left alone'
    if there.get("name") == ours.get("name"):
        return ""
    return f'it is "{there.get("name")}" of this stack now: what runs there is left alone'
