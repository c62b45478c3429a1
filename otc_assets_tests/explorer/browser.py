"""A headless Chromium that a test drives over DevTools' pipe, which needs no library."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--remote-debugging-pipe"
)
PATIENCE = 20
"""Seconds until something has to have happened."""


class Browser:
    """One page of a browser."""

    def __init__(self, to: int, come: int) -> None:
        """Talk through two pipes."""
        self._to, self._come = to, come
        self._number, self._rest = 0, b""
        self._session: str | None = None
        self.requests: list[str] = []
        """The addresses that the page has asked for."""
        self.complaints: list[str] = []
        """What the console says is wrong."""
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        found = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> Any:
        """Do a command of the protocol, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._come, 1 << 16)
            assert read, "the browser has gone"
            self._rest += read
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            case "Log.entryAdded" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"]))
        return message

    def open(self, url: str) -> None:
        """Open a page, and wait until it is there."""
        self.do("Page.navigate", url=url)
        self.until(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.01)

    def look(self, width: int, scheme: str = "light", media: str = "") -> None:
        """Choose the window's width, the colour scheme, and the medium."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.do("Emulation.setEmulatedMedia", media=media, features=features)


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Start a browser, and end it."""
    to_read, to = os.pipe()
    come, come_write = os.pipe()
    redirect = f"exec {CHROMIUM} {OPTIONS} --user-data-dir={profile} 3<&{to_read} 4>&{come_write}"
    with subprocess.Popen(
        ["bash", "-c", redirect],
        pass_fds=(to_read, come_write),
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(to_read)
        os.close(come_write)
        try:
            yield Browser(to, come)
        finally:
            process.terminate()
            os.close(to)
            os.close(come)
