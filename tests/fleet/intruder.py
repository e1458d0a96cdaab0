"""Tries what a service that was taken over must not be able to do, and prints what came of it as one line of JSON."""

import ctypes
import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path


def write_to(folder: str) -> None:
    """Writes a file, and takes it away again."""
    file = Path(folder, "intruder")
    file.write_text("was here")
    file.unlink()


def open_raw_socket() -> None:
    """What sniffing and spoofing begin with."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def read_home() -> None:
    """Reads a file of the user's."""
    Path("/home/pi/.ssh/authorized_keys").read_text()


def load_module() -> None:
    """Hands the kernel a module. This is none, so that who may load modules gets ENOEXEC."""
    libc = ctypes.CDLL(None, use_errno=True)
    content = b"\x7fELF" + bytes(128)
    if libc.init_module(content, len(content), b"") != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


ATTEMPTS: dict[str, Callable[[], None]] = {
    "write to /": lambda: write_to("/"),
    "write to /etc": lambda: write_to("/etc"),
    "write to /var/lib/pipress": lambda: write_to("/var/lib/pipress"),
    "open a raw socket": open_raw_socket,
    "read /home": read_home,
    "load a kernel module": load_module,
}


def outcome_of(attempt: Callable[[], None]) -> str:
    """`done`, or the name of the error."""
    try:
        attempt()
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, str(error))
        return "refused for its content" if name == "ENOEXEC" else name
    return "done"


print(json.dumps({name: outcome_of(attempt) for name, attempt in ATTEMPTS.items()}))
