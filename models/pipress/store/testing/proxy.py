"""A proxy in front of the S3 server: counts requests, cuts connections, answers in the server's stead."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# (method, path with query, number of this request) -> None: pass it on; "cut": drop the connection after half of the
# answer; "drop": drop it after half of the request's body; "short": pass on half of the body as if it were all of it;
# (status, code): answer with an S3 error in the server's stead. A request with a header of `unknown_headers` is
# answered as by a server that does not know it.
Meddle = Callable[[str, str, int], Any]


class Proxy:
    """`requests` lists what came through, `method path`."""

    def __init__(
        self, port: int, meddle: Meddle = lambda method, path, number: None, unknown_headers: tuple[str, ...] = ()
    ) -> None:
        self.requests: list[str] = []
        self.meddle = meddle
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.requests.append(f"{self.command} {self.path}")
                what = proxy.meddle(self.command, self.path, len(proxy.requests))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if any(name.lower().startswith(unknown_headers) for name in self.headers):
                    return self.answer_error(501, "NotImplemented")
                if isinstance(what, tuple):
                    return self.answer_error(*what)
                server = http.client.HTTPConnection("127.0.0.1", port)
                headers = dict(self.headers)
                if what in ("drop", "short"):
                    body = body[: len(body) // 2]
                if what == "short":
                    headers["Content-Length"] = str(len(body))
                server.request(self.command, self.path, body, headers)
                if what == "drop":
                    server.close()
                    self.close_connection = True
                    return
                answer = server.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.end_headers()
                if what == "cut":
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                elif self.command != "HEAD":
                    self.wfile.write(content)
                server.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def answer_error(self, status: int, code: str) -> None:
                content = f"<Error><Code>{code}</Code><Message>made up by the test</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def count(self, start: str) -> int:
        """How many requests began like this: `PUT /artifacts`."""
        return sum(request.startswith(start) for request in self.requests)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
