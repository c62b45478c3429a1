"""Servers on this machine that take messages: one that speaks HTTP, and one that takes mail."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from deploy.prometheus.server import free_port


class HttpSink:
    """Takes JSON messages; answers what it is told to, or not at all."""

    def __init__(self) -> None:
        self.status = 200
        self.hangs = threading.Event()
        self.before_answering: Callable[[], object] = lambda: None
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self._released = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if sink.hangs.is_set():
                    sink._released.wait()
                    return
                sink.before_answering()
                self.send_response(sink.status)
                self.end_headers()
                if sink.status == 200:
                    sink.taken.append(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address, which waits a moment for an answer, and no longer."""
        return f"json://127.0.0.1:{self.port}/otc?rto=0.3"

    @property
    def titles(self) -> list[str]:
        return [message["title"].removeprefix("[otc_assets] ") for message in self.taken]

    @property
    def newest(self) -> str:
        return str(self.taken[-1]["message"])

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    """Serve for a while."""
    sink = HttpSink()
    yield sink
    sink.close()


class MailSink:
    """Takes mail."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def mail_sink() -> Iterator[tuple[MailSink, str]]:
    """Serve for a while; give what is taken, and the address."""
    sink = MailSink()
    server = Controller(sink, hostname="127.0.0.1", port=free_port())
    server.start()
    address = f"mailto://127.0.0.1:{server.port}?from=otc@example.com&to=ops@example.com"
    yield sink, f"{address}&mode=insecure"
    server.stop()
