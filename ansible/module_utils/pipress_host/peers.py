"""Serves verified files of this host's store to its peers: `GET /sha256/<hex>`, by range, read-only.

Whoever fetches checks the digest, so that a peer need not be trusted. What is not stamped as verified is not served.
A host that serves enough others already answers 503, and its peer goes elsewhere.
"""

from __future__ import annotations

import http.server
import re
import threading
from pathlib import Path
from typing import Any

from .files import CHUNK
from .store import is_stamped

#: Peers that are served at the same time; an SD card has no more to give.
MAX_PEERS = 2


def make_server(store: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server for the files of `store`; the caller runs it."""
    free = threading.BoundedSemaphore(MAX_PEERS)

    class PeerHandler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            match = re.fullmatch(r"/sha256/([0-9a-f]{64})", self.path)
            path = store / match[1] if match else None
            if path is None or not is_stamped(path):
                self._refuse(404)
            elif not free.acquire(blocking=False):
                self._refuse(503)
            else:
                try:
                    self._send(path)
                except OSError:
                    # The peer has gone; it resumes where it was, here or elsewhere.
                    self.close_connection = True
                finally:
                    free.release()

        def _send(self, path: Path) -> None:
            size = path.stat().st_size
            ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(ranged[1]) if ranged else 0
            if start >= size:
                return self._refuse(416)
            self.send_response(206 if ranged else 200)
            if ranged:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            with open(path, "rb") as source:
                source.seek(start)
                for piece in iter(lambda: source.read(CHUNK), b""):
                    self.wfile.write(piece)

        def _refuse(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing: a journal line per request would wear the card out."""

    return http.server.ThreadingHTTPServer(("0.0.0.0", port), PeerHandler)
