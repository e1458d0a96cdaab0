#!/usr/bin/python3 -I
"""Lets HAProxy look names up again when one of its servers has another address than its name, or none.

HAProxy looks names up when it starts, and starts without those that do not resolve: these hosts are down. Its resolver for
later asks DNS servers alone, to which a name of mDNS (`pi-1.local`), of /etc/hosts or below a search domain does not exist:
it would take down hosts that are fine. So this asks as every other program does, and has HAProxy reload where that helps.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Callable

#: Seconds between two looks.
INTERVAL = 15

Resolve = Callable[[str], "set[str]"]


def addresses_of(name: str) -> set[str]:
    """Addresses of `name`, as this host's programs see them; none where it does not resolve."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def ask(run: Path, command: str) -> str:
    """What HAProxy says to a command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(run / "admin.sock"))
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def moved_servers(state: str, resolve: Resolve = addresses_of) -> list[str]:
    """Servers in the answer to `show servers state` whose name resolves, but not to the address that HAProxy uses."""
    lines = state.splitlines()
    columns = next(line for line in lines if line.startswith("# ")).split()[1:]
    servers = [dict(zip(columns, line.split())) for line in lines if len(line.split()) == len(columns)]
    named = [server for server in servers if server["srv_fqdn"] != "-"]
    moved = []
    for server in named:
        addresses = resolve(server["srv_fqdn"])
        if addresses and server["srv_addr"] not in addresses:
            moved.append(server["srv_name"])
    return moved


def look(run: Path, resolve: Resolve = addresses_of) -> list[str]:
    """One look; returns the servers for which HAProxy was told to reload. Answers that are on their way are not cut off."""
    moved = moved_servers(ask(run, "show servers state"), resolve)
    if moved:
        os.kill(int((run / "haproxy.pid").read_text().split()[0]), signal.SIGUSR2)
    return moved


def main(run: Path) -> None:
    """Looks until the process is ended."""
    while True:
        try:
            moved = look(run)
            if moved:
                print(f"{', '.join(moved)}: the name has another address now", flush=True)
        except (OSError, ValueError, StopIteration) as problem:
            # It is being reloaded, or restarted.
            print(f"HAProxy does not answer: {problem!r}", flush=True)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
