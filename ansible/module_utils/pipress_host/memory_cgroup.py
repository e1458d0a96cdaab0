"""The kernel's memory accounting, which Raspberry Pi OS has off: a word in cmdline.txt and one reboot switch it on.

What was tried is written down before the file is touched, so that no host is started anew for it twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from .errors import HostError
from .files import read_json, write_atomically

WORD, OPPOSITE = "cgroup_enable=memory", "cgroup_disable=memory"
#: Since bookworm, and before; bookworm keeps a file of the old name that nothing reads.
COMMAND_LINES = (Path("/boot/firmware/cmdline.txt"), Path("/boot/cmdline.txt"))


class Step(NamedTuple):
    """What there is to do, and what is to be told."""

    #: `nothing`, `write` and then reboot, only `reboot`, or `put back`.
    do: str
    remark: str = ""


def next_step(root: Path, file: Path | None, *, counts: bool, boot: str) -> Step:
    """What brings the kernel to count memory per service.

    `root` is pipress's folder, `file` the kernel's command line, `counts` whether the kernel that runs does it already,
    `boot` the identifier of this boot.
    """
    if counts:
        return Step("nothing")
    if file is None:
        looked = " nor ".join(map(str, COMMAND_LINES))
        return Step(
            "nothing",
            f"the kernel counts no memory per service, and there is neither {looked} to switch that on — "
            f"add `{WORD}` to the kernel's command line where this system's boot loader has it, and reboot",
        )
    tried = read_json(_record(root))
    written = WORD in _first_line(file.read_text()).split()
    if tried and tried["boot"] == boot:
        return Step("reboot" if written else "write")
    if tried:
        put_back = written and file.read_text() == with_word(copy_of(file).read_text())
        return Step(
            "put back" if put_back else "nothing",
            f"`{WORD}` was written to {file} and the host came up without memory accounting all the same; "
            f"the file is as it was before, and it is not tried again — see why in `dmesg | grep -i cgroup`; "
            f"`rm {_record(root)}` lets the next `up` try once more",
        )
    if written:
        return Step(
            "nothing",
            f"`{WORD}` stands in {file} already, but the kernel that runs counts no memory per service — "
            "reboot the host if it has not been since; otherwise its kernel or boot loader does not take it",
        )
    return Step("write")


def write(root: Path, file: Path, boot: str) -> None:
    """Keeps a copy of the file and writes the word into it."""
    text = file.read_text()
    try:
        _replace(copy_of(file), text, like=file)
        write_atomically(_record(root), json.dumps({"boot": boot, "file": str(file)}).encode())
        _replace(file, with_word(text), like=file)
    except OSError as problem:
        raise HostError(
            f"{file} cannot be written ({problem.strerror})",
            f"look at `mount | grep {file.parent}` on the host, or set `prepare: false` for it",
        ) from problem


def put_back(file: Path) -> None:
    """Makes the file what it was before."""
    _replace(file, copy_of(file).read_text(), like=file)


def with_word(text: str) -> str:
    """The kernel's command line with memory accounting on; it is one line, whatever else the file has."""
    first = _first_line(text)
    words = [word for word in first.split(" ") if word not in (OPPOSITE, "")]
    return f"{' '.join([*words, WORD])}{text[len(first) :]}"


def copy_of(file: Path) -> Path:
    """Where the copy is: beside the file, so that a reader for cards is enough to put it back."""
    return file.with_name(f"{file.name}.before-pipress")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _record(root: Path) -> Path:
    return root / "memory-cgroup.json"


def _replace(path: Path, text: str, like: Path) -> None:
    # FAT knows one mode for all files of a mount, and refuses to set another.
    write_atomically(path, text.encode(), like.stat().st_mode & 0o777)
