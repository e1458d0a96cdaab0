"""The one error class for what a user can fix."""

from __future__ import annotations


class HostError(Exception):
    """Something is wrong on the host: what it is, and what to do about it."""

    def __init__(self, what: str, remedy: str):
        super().__init__(f"{what} — {remedy}")
        self.what = what
        self.remedy = remedy
