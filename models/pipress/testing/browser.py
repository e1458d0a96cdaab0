"""A real browser without a window."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Seconds.
ANSWERS_WITHIN = 120


def button_of(name: str) -> str:
    """JavaScript expression for the button of that name."""
    return f"[...document.querySelectorAll('button')].find(one => one.textContent.trim() === {json.dumps(name)})"


class Browser:
    """Chromium without a window, spoken to in its DevTools protocol through two pipes: its descriptors 3 and 4."""

    def __init__(self, profile: Path) -> None:
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        # As root it has no sandbox; a container's /dev/shm may be too small for it.
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        line = f'exec "$@" 3<&{commands} 4>&{answers}'
        command = ["bash", "-c", line, "bash", str(CHROMIUM), *flags, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(commands, answers), stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self._rest, self._number = b"", 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Result of a method. What happens meanwhile is added to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], ANSWERS_WITHIN)[0], "chromium does not answer"
            read = os.read(self._in, 1 << 16)
            assert read, "chromium has ended"
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url: str, width: int, height: int, mobile: bool = False) -> None:
        """Shows a page on a screen of that size; returns when it is loaded."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if mobile else 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, script: str) -> Any:
        """Value of a JavaScript expression on the page; None for undefined."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = ANSWERS_WITHIN) -> Any:
        """Value of a JavaScript expression once it is true; else raises AssertionError with the page's text."""
        until = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            assert time.monotonic() < until, (script, self.evaluate("document.body.innerText"))
            time.sleep(0.1)
        return value

    def click(self, name: str) -> None:
        """Clicks the button of that name, as soon as it can be."""
        self.wait_for(f"(button => button && !button.disabled && (button.click(), true))({button_of(name)})")

    def write(self, selector: str, text: str) -> None:
        """Writes into the field that a CSS selector finds, as a keyboard would, over what is there."""
        self.wait_for(f"(field => field && (field.select(), true))(document.querySelector({json.dumps(selector)}))")
        self.call("Input.insertText", text=text)

    def photograph(self, file: Path) -> None:
        """Writes what the screen shows, as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def errors(self) -> list[dict[str, Any]]:
        """What a console would show in red."""
        bad = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [event for event in self.events if event.get("method") in bad]

    def requests(self) -> list[str]:
        """Addresses that the page has asked for since it was opened."""
        sent = (event for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def close_page(self) -> None:
        """Closes the tab."""
        self._session = {}
        self.call("Target.closeTarget", targetId=self._target)

    def close(self) -> None:
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(30)
        os.close(self._out)
        os.close(self._in)
