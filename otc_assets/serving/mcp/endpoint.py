"""`/mcp` of `otc serve`: streamable HTTP, one answer to each message.

Nothing is kept between two messages, so that any process may take the next one, and no stream is
held open. Who may ask is `guard`'s affair, also that a page of another site cannot: a body that
is not JSON is refused, and JSON needs a leave that is never given (no CORS).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Message, Receive, Scope, Send

from otc_assets.serving.limits import HEADER_SECONDS, MAX_MESSAGE_BYTES
from otc_assets.serving.mcp.server import create_server
from otc_assets.serving.problems import Problem

PATH = "/mcp"


class Endpoint:
    """An ASGI app for one path."""

    path = PATH

    def __init__(self) -> None:
        """Make a server of all tools."""
        self._manager = StreamableHTTPSessionManager(
            create_server(), json_response=True, stateless=True
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be ready to answer."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one message.

        Raises:
            Problem: it is no POST, too large, or was not sent in time.

        """
        scope["route"] = self  # as FastAPI's routes do, so that it is counted by its path
        if scope["method"] != "POST":
            raise Problem(405, "messages of MCP are sent by POST", headers={"Allow": "POST"})
        try:
            with anyio.fail_after(HEADER_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            raise Problem(408, f"a message has {HEADER_SECONDS} s to arrive") from None
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return unread.pop() if unread else await receive()

        await self._manager.handle_request(scope, read, send)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the client has gone")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_MESSAGE_BYTES:
            raise Problem(413, f"a message has at most {MAX_MESSAGE_BYTES:,} bytes")
    return body
