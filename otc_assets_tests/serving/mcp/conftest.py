"""The SDK's own client before the tools, over both transports."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from otc_assets.settings import DEFAULTS
from otc_assets_tests.serving.conftest import serving

Call = Callable[..., Any]


class Asker:
    """A client that is called from tests, which are not async."""

    def __init__(self, portal: Any, client: Any) -> None:
        self._portal, self.client = portal, client

    def tools(self) -> list[Any]:
        return list(self._portal.call(self.client.list_tools).tools)

    def call(self, tool: str, **arguments: Any) -> Any:
        return self._portal.call(self.client.call_tool, tool, arguments)

    def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers with, which is checked against its schema by the client."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.content[0].text
        return dict(result.structured_content)

    def error(self, tool: str, **arguments: Any) -> str:
        result = self.call(tool, **arguments)
        assert result.is_error, result.structured_content
        assert result.structured_content is None
        return str(result.content[0].text)


@contextmanager
def asking(server: Any, mode: str = "auto") -> Iterator[Asker]:
    """Connect to a server, as a URL, a command or a transport."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server, mode=mode)) as client,
    ):
        yield Asker(portal, client)


def command(home: Path) -> StdioServerParameters:
    """`otc mcp` of a home."""
    environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "otc_assets.cli.main", "mcp"],
        env=environment | {"OTC_HOME": str(home)},
    )


@contextmanager
def with_token(url: str, token: str) -> Iterator[Asker]:
    """Connect to a server that asks for a token."""
    client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"})
    with asking(streamable_http_client(url, http_client=client)) as asker:
        yield asker


def address(api: httpx.Client) -> str:
    """Where a server has the tools."""
    return str(api.base_url.join("/mcp"))


@pytest.fixture(scope="module", params=["stdio", "http", "http, the older protocol"])
def asker(
    request: pytest.FixtureRequest, judged_home: Path, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[Asker]:
    """A client of the filled store, once over each transport."""
    monkeypatch_module.setenv("OTC_HOME", str(judged_home))  # what Python is asked, too
    if request.param == "stdio":
        with asking(command(judged_home)) as asker:
            yield asker
        return
    mode = "auto" if request.param == "http" else "legacy"
    with (
        serving(OTC_HOME=str(judged_home)) as api,
        asking(address(api), mode) as asker,
    ):
        yield asker


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def served(judged_home: Path) -> Iterator[tuple[httpx.Client, Asker]]:
    """A server, to send it bytes, with a client that shows that it still answers."""
    with serving(OTC_HOME=str(judged_home)) as api, asking(address(api)) as asker:
        yield api, asker
