"""llama-server on this machine, for as long as something asks it: what a host runs, chat template and all."""

import http.client
import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipress.errors import StageError
from pipress.programs import run_program

LISTENS = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
# After it has been asked to end; then it is killed.
END_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """url: `http://127.0.0.1:PORT`. key: what it wants as bearer token, known to nobody else."""

    url: str
    key: str


def post(server: Server, path: str, body: dict[str, Any], timeout: float) -> http.client.HTTPResponse:
    """What the server answers, whatever its status; it is read, and closed, by the caller.

    timeout: seconds without a byte. Raises OSError or HTTPException, of which `serving` makes a StageError.
    """
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=timeout)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.key}", "Connection": "close"}
    connection.request("POST", path, json.dumps(body).encode(), headers)
    return connection.getresponse()


def refusal(refused: str, document: dict[str, Any]) -> StageError:
    """The server's own words for why it refuses something."""
    reason = document.get("error", document)
    reason = reason.get("message", reason) if isinstance(reason, dict) else reason
    return StageError(f"llama-server refuses {refused}: {reason}", "the log has its output")


@contextmanager
def serving(
    llama_cpp_bin: Path, model: Path, parallel: int, context: int, more: Sequence[str] = ()
) -> Iterator[Server]:
    """Runs llama-server with a model until the block is left, however it is left; it ends with this process, too.

    parallel: requests answered at once. context: tokens for each of them, prompt and answer. more: further arguments.
    Raises StageError when it does not load the model, or has ended before it was asked to.
    """
    key = secrets.token_urlsafe(24)
    command = [llama_cpp_bin / "llama-server", "--model", model, "--host", "127.0.0.1", "--port", "0"]
    command += ["--parallel", str(parallel), "--ctx-size", str(parallel * context), "--cache-ram", "0"]
    command += ["--threads", str(len(os.sched_getaffinity(0))), "--gpu-layers", "0"]
    command += ["--no-ui", "--no-slots", "--no-warmup", "--offline", *more]
    process = _Process(command, {"LLAMA_API_KEY": key})
    try:
        process.start()
        process.listens.wait()
        process.check()
        yield Server(process.url, key)
    except (
        OSError,
        http.client.HTTPException,
    ) as error:  # a request that was not answered: the reason is in what the server said last
        process.join(END_SECONDS)
        process.check()
        raise StageError(f"llama-server does not answer: {error}", "the log has its output") from error
    finally:
        process.end()


class _Process(threading.Thread):
    """The server, read by a thread of its own: its output goes into the log. It lives no longer than the thread."""

    def __init__(self, command: list[str | Path], env: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.command, self.env = command, env
        self.began, self.listens = threading.Event(), threading.Event()
        self.pid: int | None = None
        self.url = ""
        self.error: StageError | None = None

    def run(self) -> None:
        try:
            run_program(self.command, self._read, env=self.env, on_start=self._note)
        except StageError as error:
            self.error = error
        finally:
            self.began.set()
            self.listens.set()

    def _note(self, pid: int) -> None:
        self.pid = pid
        self.began.set()

    def _read(self, line: str) -> None:
        if match := LISTENS.search(line):
            self.url = match[1]
            self.listens.set()

    def check(self) -> None:
        """Raises StageError when it has ended."""
        if self.error is not None:
            raise self.error
        if not self.is_alive():
            raise StageError("llama-server ended by itself", "the log has its output")

    def end(self) -> None:
        self.began.wait()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.is_alive() and self.pid is not None:
                try:
                    os.kill(self.pid, number)
                except ProcessLookupError:
                    pass
            self.join(END_SECONDS)
