"""The server's end of a connection: reads requests, and sends answers whole or spoilt."""

import json
import os
import select
import socket
import struct
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from otc_assets_tests.finra.api import Reply, refusal
from otc_assets_tests.finra.faults import STATUS, Fault

LONGEST_SILENCE_SECONDS = 60
PAGE_FOR_PEOPLE = b"<html><body><h1>Down for maintenance</h1></body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}


@dataclass
class Request:
    """A request as it came, and what became of it."""

    method: str
    url: SplitResult
    headers: Any = field(repr=False)
    body: dict[str, Any]
    at: float
    """Seconds since 1970."""
    fault: Fault | None = None
    not_before: float = 0
    """When the answer asks the client to come back."""


class Answering(Protocol):
    """What decides the answers."""

    is_talkative: bool

    def answer(self, request: Request) -> Reply:
        """Answer a request, or let a fault befall it."""


class Handler(BaseHTTPRequestHandler):
    """Serves the requests of one connection."""

    server_of_finra: Answering
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_GET

    def log_message(self, *what: Any) -> None:
        if self.server_of_finra.is_talkative:
            super().log_message(*what)

    def _serve(self) -> None:
        at = time.time()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body = json.loads(content or b"{}")
        except ValueError:
            self._send(refusal(400, "The body is no JSON"))
            return
        request = Request(self.command, urlsplit(self.path), self.headers, body, at)
        reply = self.server_of_finra.answer(request)
        if request.fault in (Fault.HANGS, Fault.RESET, Fault.CUT_BODY):
            self.close_connection = True
        if request.fault is Fault.HANGS:
            select.select([self.connection], [], [], LONGEST_SILENCE_SECONDS)
        elif request.fault is Fault.RESET:
            self._reset()
        elif request.fault is Fault.CUT_BODY:
            self._send(reply, len(reply.body) // 2)
        else:
            self._send(reply)

    def _send(self, reply: Reply, length: int | None = None) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[:length])

    def _reset(self) -> None:
        """Close the connection so that the client gets RST, not an end."""
        no_farewell = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_farewell)
        os.close(self.connection.detach())


def spoilt(reply: Reply, request: Request, wait_seconds: float) -> Reply:
    """What a fault makes of an answer, as far as it is not the connection that breaks."""
    fault = request.fault
    if fault in STATUS:
        return _error(fault, request, wait_seconds)
    total = int(reply.headers.get("Record-Total", 0))
    changes: dict[Fault | None, dict[str, Any]] = {
        Fault.CUT_JSON: {"body": reply.body[: len(reply.body) // 2]},
        Fault.HTML: {"status": 200, "body": PAGE_FOR_PEOPLE, "headers": HTML},
        Fault.WRONG_TYPE: {"headers": reply.headers | {"Content-Type": "text/plain"}},
        Fault.OTHER_TOTAL: {"headers": reply.headers | {"Record-Total": str(total + 1)}},
        Fault.EMPTY_PAGE: {"body": b"[]"},
        Fault.EMPTY_SLICE: {"status": 204, "body": b"", "headers": {}},
    }
    return replace(reply, **changes.get(fault, {}))


def _error(fault: Fault, request: Request, wait_seconds: float) -> Reply:
    status = STATUS[fault]
    if fault is Fault.BAD_GATEWAY:  # a gateway's own page, not FINRA's message
        return Reply(status, PAGE_FOR_PEOPLE, HTML)
    reply = refusal(status, f"The message of a {status}")
    if fault is Fault.TOO_MANY_SECONDS:
        request.not_before = time.time() + wait_seconds
        reply.headers["Retry-After"] = str(wait_seconds)
    if fault is Fault.TOO_MANY_DATE:  # a date has no fractions of a second
        day = datetime.fromtimestamp(int(time.time() + wait_seconds) + 1, UTC)
        request.not_before = (day - datetime.fromtimestamp(0, UTC)) / timedelta(seconds=1)
        reply.headers["Retry-After"] = format_datetime(day, usegmt=True)
    return reply
