"""An OTLP receiver on the loopback: what was sent to it, as a tree."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PREFIX = "otc."


@dataclass
class Sent:
    """A span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    """Without their prefix."""
    events: list[tuple[str, dict[str, Any]]]
    failed: str | None
    """What the status says, if it is ERROR."""
    parent: "Sent | None" = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """The names from the root down to this span."""
        return f"{self.parent.path} > {self.name}" if self.parent else self.name

    def __getitem__(self, name: str) -> Any:
        return self.attributes.get(name)


class Receiver:
    """What has come."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Sent]:
        """Every span, with its parent if that has come too."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [s for r in requests for of in r.resource_spans for s in of.scope_spans]
        spans = [_sent(span) for scope in scopes for span in scope.spans]
        known = {span.span_id: span for span in spans}
        for span in spans:
            span.parent = known.get(span.parent_id)
        return spans

    def named(self, name: str, **attributes: object) -> list[Sent]:
        """Return the spans of a name that have some attributes."""
        wanted = attributes.items()
        return [s for s in self.spans if s.name == name and wanted <= s.attributes.items()]

    def one(self, name: str, **attributes: object) -> Sent:
        """Return the only one."""
        (span,) = self.named(name, **attributes)
        return span


def _sent(span: Any) -> Sent:
    is_error = span.status.code == Status.STATUS_CODE_ERROR
    return Sent(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        [(event.name, _values(event.attributes)) for event in span.events],
        span.status.message if is_error else None,
    )


def _values(attributes: Any) -> dict[str, Any]:
    found = ((a.key, getattr(a.value, a.value.WhichOneof("value"))) for a in attributes)
    return {key.removeprefix(PREFIX): value for key, value in found}


@contextmanager
def receiving(status: int = 200) -> Iterator[tuple[str, Receiver]]:
    """Give the address of a receiver that answers with a status, and the receiver."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *what: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield f"http://127.0.0.1:{server.server_port}", receiver
    server.shutdown()
    server.server_close()
