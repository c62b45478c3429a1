"""A Prometheus or an Alertmanager that a program starts for a while, and what it answers.

For the tests and the picture of the operator's dashboard; `make monitor` is for people.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.prometheus.monitor import alertmanager, prometheus

PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.1
T = TypeVar("T")


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(what: str, look: Callable[[], T]) -> T:
    """Look again and again until there is something to see, and return it.

    Raises:
        TimeoutError: there is nothing after a minute.

    """
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"{what}: not within {PATIENCE_SECONDS} s")


class Prometheus:
    """A Prometheus that is running."""

    def __init__(self, url: str) -> None:
        """Ask at ``url``."""
        self.url = url

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now, each with labels (metric) and value."""
        return self._get("query", query=expression)

    def ask_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """Return the series of a time, each with labels (metric) and values."""
        return self._get("query_range", query=expression, start=start, end=end, step=step)

    def _get(self, path: str, **parameters: str | float) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        if answer["status"] != "success":
            raise ValueError(f"{parameters['query']}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus_server(config: Path) -> Iterator[Prometheus]:
    """Start a Prometheus, whose data lie beside its configuration, for a while."""
    port = free_port()
    with _running(prometheus(config, config.parent / "data", port), port) as url:
        yield Prometheus(url)


@contextmanager
def alertmanager_server(config: Path, port: int) -> Iterator[str]:
    """Start an Alertmanager for a while, and give its URL."""
    with _running(alertmanager(config, config.parent / "silences", port), port) as url:
        yield url


@contextmanager
def _running(command: list[str], port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command)
    try:
        wait_for(f"{command[0]} is ready", lambda: _is_ready(url, process))
        yield url
    finally:
        process.terminate()
        process.wait()


def _is_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"it ended with {process.returncode}")
    try:
        return httpx.get(f"{url}/-/ready").is_success
    except httpx.TransportError:
        return False
