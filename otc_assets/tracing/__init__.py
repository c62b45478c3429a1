"""Spans of what a run does: free of cost, and of OpenTelemetry, until a run opens them.

Belongs here: what the other layers call to tell of their work. `exporting` is the part that knows
OpenTelemetry; it is imported by the first run of a process that has an OTLP endpoint set. A span is
a child of the one that is open in the same thread, so with no run's span open nothing is recorded:
not for `otc`, and not for the ticks of sensors and schedules.
"""

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables; one of them turns tracing on."""

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


class Span:
    """A span that records nothing; `exporting.RecordingSpan` is the one that does."""

    trace_id: str | None = None
    """32 hex digits."""
    span_id: str | None = None
    """16 hex digits."""

    def __enter__(self) -> Self:
        """Let what is done from here on be part of it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it; an error marks it as failed."""

    def child(self, name: str, attributes: dict[str, object]) -> "Span":
        """Begin a span within this one."""
        return self

    def set(self, **attributes: object) -> None:
        """Add attributes; None adds nothing."""

    def event(self, name: str, **attributes: object) -> None:
        """Tell of a moment within it."""

    def fail(self, why: BaseException | str | None) -> None:
        """Mark it as failed, by an error or for a reason."""

    def close(self) -> str | None:
        """End a run's span and send what is left; return what went wrong with that."""
        return None


NOTHING = Span()
"""The current span while nothing is traced."""
CURRENT: ContextVar[Span] = ContextVar("span", default=NOTHING)
"""The innermost open span of this thread."""


def current() -> Span:
    """Return the innermost open span."""
    return CURRENT.get()


def span(name: str, **attributes: object) -> Span:
    """Return a span within the current one, to be entered at once."""
    return CURRENT.get().child(name, attributes)


def traced(name: str) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """Return a decorator that gives each call of a function a span."""

    def decorated(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        @wraps(function)
        def call(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            with CURRENT.get().child(name, {}):
                return function(*args, **kwargs)

        return call

    return decorated


def is_wanted() -> bool:
    """Tell whether an endpoint is set, and OpenTelemetry not disabled as a whole."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and any(os.environ.get(name) for name in ENDPOINTS)


def open_run(
    run_id: str, attributes: Mapping[str, object], warn: Callable[[str], None], *, is_whole: bool
) -> Span:
    """Open the span of a run, from which all others descend; `Span.close` ends it.

    Args:
        run_id: a UUID, whose digits become the trace's id. So every process of a run finds the
            same trace.
        attributes: what is said of the run.
        warn: told, once, why a run that should be traced is not.
        is_whole: this process does the whole run. Otherwise the run's span is only the parent of
            what is done here, and is not sent: no process sees its beginning and its end.

    """
    if not is_wanted():
        return NOTHING
    try:
        from otc_assets.tracing.exporting import begin  # noqa: PLC0415

        return begin(run_id, attributes, is_whole=is_whole)
    except ImportError as error:
        warn(f"no traces: {ENDPOINTS[1]} is set, but {error}; pip install 'otc_assets[tracing]'")
    except Exception as error:  # whatever is wrong with the settings, the run goes on
        warn(f"no traces: {type(error).__name__}: {error}")
    return NOTHING
