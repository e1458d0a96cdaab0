"""The one error class for what a user can mend."""


class StageError(Exception):
    """A condition that only the user can mend. Printed without a stack trace.

    what: what is wrong with which thing, as a sentence without a full stop.
    remedy: what to do next.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} — {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy
