"""The form of log lines: for people, or one JSON object a line (`OTC_LOG_FORMAT=json`).

Belongs here: how a line looks. Does not belong here: what is logged, the same in both forms.
Dagster makes a console logger for each run by itself, of the class that `logging` has for loggers;
so that class is ours (`Console`). A logger in `Definitions` would be used only by runs whose config
names it, and a handler in dagster.yaml would print each line a second time.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from otc_assets.settings import setting
from otc_assets.tracing import current, is_wanted

FORMS = ("text", "json")


def configure() -> None:
    """Give the log lines of this process the form that is set, Python's warnings among them.

    Raises:
        ValueError: there is no such form.

    """
    if is_json() and logging.lastResort:
        logging.lastResort.setFormatter(JsonLines())  # what no handler takes: other packages' lines
        logging.captureWarnings(True)
    if is_json() or is_wanted():
        logging.setLoggerClass(Console)


def is_json() -> bool:
    """Tell whether log lines are to be JSON.

    Raises:
        ValueError: OTC_LOG_FORMAT is neither text nor json.

    """
    form = setting("OTC_LOG_FORMAT")
    if form not in FORMS:
        raise ValueError(f"OTC_LOG_FORMAT must be text or json, and is {form!r}")
    return form == "json"


def warning_line(message: object) -> str:
    """Return a warning of a command as it is printed."""
    if not is_json():
        return f"Warning: {message}"
    record = logging.LogRecord("otc", logging.WARNING, "", 0, str(message), None, None)
    return JsonLines().format(record)


class Console(logging.Logger):
    """A logger that prints in the form that is set."""

    def addHandler(self, handler: logging.Handler) -> None:  # as in logging
        """Add a handler; one that prints to a stream gets our form in place of its own."""
        if isinstance(handler, logging.StreamHandler) and not _is_file(handler):
            handler.setFormatter(JsonLines() if is_json() else WithIds(handler.formatter))
        super().addHandler(handler)


def _is_file(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.FileHandler)


class WithIds(logging.Formatter):
    """Adds the ids of trace and span to a line, if it was logged within a span."""

    def __init__(self, usual: logging.Formatter | None) -> None:
        """Add them to lines as ``usual`` makes them."""
        super().__init__()
        self._usual = usual or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        line, span = self._usual.format(record), current()
        ids = f" [trace_id={span.trace_id} span_id={span.span_id}]" if span.trace_id else ""
        return line + ids


class JsonLines(logging.Formatter):
    """Makes each record one line: a JSON object, without what is not known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        span, told = current(), {"message": record.getMessage(), **_of_dagster(record)}
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            **told,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
        }
        return json.dumps({name: v for name, v in line.items() if v is not None}, default=str)


def _of_dagster(record: logging.LogRecord) -> dict[str, Any]:
    """Return what Dagster says of a line beside its text: which run and step, and which event."""
    meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
    if not meta:
        return {}
    tags, event = meta["job_tags"], meta["dagster_event"]
    root = tags.get("dagster/backfill") or tags.get("dagster/root_run_id")
    return {
        "message": meta["orig_message"],
        "run_id": meta["run_id"],
        "job": meta["job_name"],
        "step": meta["step_key"],
        "event": _shown(event.event_type_value) if event else None,
        "error": _error_of(event.event_specific_data) if event else None,
        "correlation_id": root or meta["run_id"],
    }


def _shown(event: str) -> str:
    """Return the name of an event as Dagster shows it, which stores the runs' under an older."""
    return event.replace("PIPELINE_", "RUN_")


def _error_of(data: Any) -> str | None:
    error = getattr(data, "error", None)
    return getattr(data, "error_display_string", error.to_string()) if error else None
