#!/usr/bin/python3 -I
"""Stands for llama-server: answers as its model file tells."""

import http.server
import json
import sys
from pathlib import Path

if "--version" in sys.argv:
    sys.exit("version: 0 (build 11434)")
if "--help" in sys.argv:
    sys.exit(
        "--model --host --port --threads --parallel --ctx-size --cache-ram --load-mode --metrics --no-slots --no-ui "
        "--offline --cors-origins --api-key-file"
    )
options = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
model = json.loads(Path(options["--model"]).read_text())
keys = Path(options["--api-key-file"]).read_text().split()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if (self.headers["Authorization"] or "").removeprefix("Bearer ") not in keys:
            return self.reply(401, {})
        # With more threads than a Pi has cores it talks nonsense: a unit that fails its health check.
        answer = model["answer"] if int(options["--threads"]) <= 4 else "nonsense"
        choices = [{"message": {"content": answer}}]
        timings = {"predicted_per_second": 5.0}
        self.reply(200, {"choices": choices, "usage": {"completion_tokens": 3}, "timings": timings})

    def reply(self, status, document):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(options["--port"])), Answer).serve_forever()
