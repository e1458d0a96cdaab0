"""Stand-in for a board: Python on a test's host reads there that it is a Raspberry Pi 4 with systemd."""

import platform
from pathlib import Path

TEXTS = {"/proc/cpuinfo": "CPU part\t: 0xd08\n", "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}

read_text, is_dir = Path.read_text, Path.is_dir


def board_text(path: Path, *args: object, **options: object) -> str:
    return TEXTS.get(str(path)) or read_text(path, *args, **options)  # type: ignore[arg-type]


def board_folder(path: Path) -> bool:
    return str(path) == "/run/systemd/system" or is_dir(path)


platform.machine = lambda: "aarch64"
Path.read_text = board_text  # type: ignore[method-assign]
Path.is_dir = board_folder  # type: ignore[method-assign]
