"""llama-server as a host runs it, emulated on the builder: does it load the file, and what memory does it take."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pipress.bench.memory import PeakMemory
from pipress.errors import StageError

# Installed by bench:8b before the first step.
EMULATOR = "qemu-aarch64-static"
# An 8B takes minutes for a token under emulation.
TIMEOUT_SECONDS = 3600


def load_in_server(server: Path, model: Path, context: int) -> dict[str, Any]:
    """Loads `model` with the release's llama-server and asks it for one token.

    Returns secondsToReady and the peak memory, the emulator's own included. Raises StageError when the server ends or
    does not answer.
    """
    port = _free_port()
    arguments = ["--model", model, "--host", "127.0.0.1", "--port", port, "--threads", 2, "--parallel", 1]
    arguments += ["--ctx-size", context, "--cache-ram", 0, "--no-slots", "--no-ui", "--offline", "--no-warmup"]
    command = [EMULATOR, "-cpu", "cortex-a72", str(server), *map(str, arguments)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with PeakMemory(process.pid) as memory:
            _wait(process, f"http://127.0.0.1:{port}/health")
            ready = time.monotonic() - began
            answer = _complete(f"http://127.0.0.1:{port}/completion")
    finally:
        process.kill()
        process.wait()
    if "content" not in answer:
        raise StageError(f"llama-server gave no completion: {answer}", "the model is damaged")
    return {"secondsToReady": round(ready, 1), "peakRssBytes": memory.rss, "peakAnonymousBytes": memory.anonymous}


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StageError(f"llama-server ended with status {process.returncode}", "run it by hand to see why")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise StageError("llama-server does not become ready", "run it by hand to see why")


def _complete(url: str) -> dict[str, Any]:
    body = json.dumps({"prompt": "Hello", "n_predict": 1}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return json.load(response)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
