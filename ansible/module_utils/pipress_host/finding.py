"""What preflight says about a host."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    what: str
    remedy: str
    #: An error keeps the release off the host; a warning is only reported.
    error: bool = True

    def __str__(self) -> str:
        return f"{self.what} — {self.remedy}"
