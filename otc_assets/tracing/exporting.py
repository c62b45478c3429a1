"""Spans that are recorded, and sent over OTLP/HTTP by a thread that no run waits for.

The exporter takes its settings from OpenTelemetry's variables (OTEL_EXPORTER_OTLP_HEADERS, ...).
Of an error its class and its message are sent, which stand in Dagster's log too, and no stack.
"""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Self
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otc_assets.tracing import CURRENT, NOTHING, Span

SERVICE = "otc_assets"
PREFIX = "otc."
"""Of every attribute's name."""
INHERITED = ("correlation_id", "dataset", "tier", "week", "table")
"""The attributes that a span hands down, so that each can be found by them."""
FLUSH_SECONDS = 3
"""How long the end of a run waits at most for its last spans to be sent."""
_LOGIN = re.compile(r"://[^\s@]*@")
_QUERY = re.compile(r"\?\S+")

Attributes = Mapping[str, object]


def begin(run_id: str, attributes: Attributes, *, is_whole: bool) -> Span:
    """Open a run's span; see `tracing.open_run`."""
    sender = Sender(UUID(run_id))
    if is_whole:
        own = sender.tracer.start_span("run", Context(), attributes=_exported(attributes))
    else:
        own = trace.NonRecordingSpan(_remote(UUID(run_id)))
    return RunSpan(sender, own, attributes).__enter__()


def _remote(run_id: UUID) -> trace.SpanContext:
    """Return what all processes of a run take for its span."""
    number = int.from_bytes(hashlib.sha256(run_id.bytes).digest()[:8])
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(run_id.int, number, is_remote=True, trace_flags=sampled)


def _exported(attributes: Attributes) -> dict[str, str | int | float]:
    return {PREFIX + k: _value(v) for k, v in attributes.items() if v is not None}


def _value(value: object) -> str | int | float:
    return value if isinstance(value, int | float) else _clean(str(value))


def _clean(text: str) -> str:
    """Return a text without logins: who wrote it should have left them out, and may not have."""
    return _LOGIN.sub("://***@", text) if "://" in text else text


class RecordingSpan(Span):
    """A span of a trace."""

    def __init__(
        self, sender: "Sender", own: trace.Span, attributes: Attributes, parent: Span = NOTHING
    ) -> None:
        """Wrap ``own``, which has begun; ``parent`` is current again when it ends."""
        context = own.get_span_context()
        self.trace_id = trace.format_trace_id(context.trace_id)
        self.span_id = trace.format_span_id(context.span_id)
        self._sender, self._own, self._parent = sender, own, parent
        self._handed_down = {k: attributes[k] for k in INHERITED if k in attributes}

    def __enter__(self) -> Self:
        """Become the current span."""
        CURRENT.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, as failed after an error; a generator that is closed early has none."""
        if error and not isinstance(error, GeneratorExit):
            self.fail(error)
        self._end()

    def _end(self) -> None:
        self._sender.ended += self._own.is_recording()
        self._own.end()
        CURRENT.set(self._parent)

    def child(self, name: str, attributes: dict[str, object]) -> Span:
        """Begin a span within this one."""
        whole = self._handed_down | attributes
        context = trace.set_span_in_context(self._own, Context())
        own = self._sender.tracer.start_span(name, context, attributes=_exported(whole))
        return RecordingSpan(self._sender, own, whole, self)

    def set(self, **attributes: object) -> None:
        """Add attributes."""
        self._own.set_attributes(_exported(attributes))

    def event(self, name: str, **attributes: object) -> None:
        """Add an event."""
        self._own.add_event(name, _exported(attributes))

    def fail(self, why: BaseException | str | None) -> None:
        """Set status ERROR; an error is an event too, as OpenTelemetry's conventions name it."""
        text = _clean(str(why or ""))
        if isinstance(why, BaseException):
            kind = type(why).__qualname__
            self._own.add_event("exception", {"exception.type": kind, "exception.message": text})
            text = f"{kind}: {text}"
        self._own.set_status(trace.StatusCode.ERROR, text)


class RunSpan(RecordingSpan):
    """The span of a run, whose end is the end of sending."""

    def close(self) -> str | None:
        """End it, and wait a little until all is sent; return what was not sent, and why."""
        self._end()
        return self._sender.close()


class Sender:
    """Sends the spans of one run."""

    def __init__(self, run_id: UUID) -> None:
        """Begin a trace whose id has the digits of a run's."""
        self.ended, _LAST_WORDS.text = 0, ""
        self._exporter = CountingExporter()
        self._processor = BatchSpanProcessor(self._exporter)
        named = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(
            resource=named, id_generator=RunsId(run_id), shutdown_on_exit=False
        )
        provider.add_span_processor(self._processor)
        self.tracer = provider.get_tracer(SERVICE)

    def close(self) -> str | None:
        """Send what is left within `FLUSH_SECONDS`; return what was not sent, and why."""
        # The processor's own end would wait for half a minute, and takes no other time.
        last = Thread(target=self._processor.shutdown, daemon=True, name="otc-last-spans")
        last.start()
        last.join(FLUSH_SECONDS)
        lost, said = self.ended - self._exporter.sent, _LAST_WORDS.text
        if last.is_alive():
            self._exporter.shutdown()  # tries nothing again
        if not lost:
            return None
        said = said or f"no answer within {FLUSH_SECONDS} s"
        return f"{lost} of {self.ended} spans of this run were not sent: {said}"


class CountingExporter(SpanExporter):
    """OpenTelemetry's exporter, and how many spans the other side has taken."""

    def __init__(self) -> None:
        """Send to the endpoint that is set."""
        self.sent = 0
        self._inner = OTLPSpanExporter()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans."""
        result = self._inner.export(spans)
        self.sent += len(spans) if result is SpanExportResult.SUCCESS else 0
        return result

    def shutdown(self) -> None:
        """Send no more; what is being sent is not tried again."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]


class RunsId(RandomIdGenerator):
    """Gives the trace of a run the run's own id."""

    def __init__(self, run_id: UUID) -> None:
        """Use the digits of ``run_id``."""
        self._run_id = run_id

    def generate_trace_id(self) -> int:
        """Return the run's id."""
        return self._run_id.int


class LastWords(logging.Handler):
    """Keeps what OpenTelemetry said last, in place of a line for each attempt to send."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message, without the query of an address in it, where a key may be."""
        self.text = _clean(_QUERY.sub("?***", record.getMessage()))


_LAST_WORDS = LastWords(logging.WARNING)
logging.getLogger("opentelemetry").addHandler(_LAST_WORDS)
logging.getLogger("opentelemetry").propagate = False
