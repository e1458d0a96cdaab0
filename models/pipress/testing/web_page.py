"""llama-server's web page in a real browser: what a user does there.

    ./pipress key | python -m pipress.testing.web_page http://pi-1.local:8000/ "Who are you?" docs/pictures/web-page.png

asks a fleet's page a question and photographs the answer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .browser import Browser, button_of

QUESTION_FIELD = "form textarea"
STOP = "Stop"
LAST_ANSWER = "[...document.querySelectorAll('.chat-message-assistant')].at(-1)"


def give_key(browser: Browser, key: str) -> None:
    """Answers what the page asks first."""
    browser.click("Enter API Key")
    browser.write("#api-key-input", key)
    browser.click("Save & Retry")


def send(browser: Browser, question: str) -> None:
    """Asks, without waiting for the answer."""
    browser.write(QUESTION_FIELD, question)
    browser.click("Send")


def ask(browser: Browser, question: str, seconds: float = 120) -> str:
    """What the page shows of the answer once that has ended: its text, and what it took."""
    send(browser, question)
    browser.wait_for(f"{LAST_ANSWER} && !{button_of(STOP)} && {LAST_ANSWER}.innerText.trim() !== ''", seconds)
    return browser.evaluate(f"{LAST_ANSWER}.innerText")


def main(url: str, question: str, picture: str) -> None:
    """Asks a page that is served somewhere; the key comes from standard input."""
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        try:
            browser.open(url, 1160, 760)
            give_key(browser, sys.stdin.readline().strip())
            print(ask(browser, question, 600))
            browser.photograph(Path(picture))
        finally:
            browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
