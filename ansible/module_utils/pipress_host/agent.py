"""Tells a load balancer whether this host wants requests: HAProxy's agent check, one word per TCP connection.

`drain` from the moment an activation begins until it has ended, so that the load balancer sends nothing new while the
server is switched, nor to a release whose health check is still running. The same holds for an activation that a reboot cut off.
"""

from __future__ import annotations

import socketserver
from pathlib import Path


def state_of(root: Path) -> str:
    """What the load balancer is told."""
    return "drain\n" if (root / "pending.json").exists() else "ready\n"


def make_server(root: Path, port: int) -> socketserver.TCPServer:
    """A server that answers on `port`; the caller runs it, as a user that may do nothing else."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(state_of(root).encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    return Server(("0.0.0.0", port), Answer)
