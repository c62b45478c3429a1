"""Counters and histograms: what the store's append-only events add up to.

The sums are kept between scrapes, and only new events are read. Another store in the place of the
first, or the same of an earlier day, begins them anew.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from otc_assets.domain.datasets import every_dataset
from otc_assets.domain.events import EventType
from otc_assets.domain.rejects import RejectReason
from otc_assets.monitoring.catalog import BY_NAME, Samples
from otc_assets.warehouse.schema import EVENT_LOG
from otc_assets.warehouse.store import Store

Key = tuple[str, ...]
"""A metric's name and its labels."""
PARSED = ("success", "skipped", "error")
AT_FIRST = (
    "otc_weeks_ingested_total",
    "otc_files_ingested_total",
    "otc_revisions_total",
    "otc_duplicate_records_total",
    "otc_archived_bytes_total",
)
"""Of the datasets that everybody has: shown as 0 before anything happened, so that the first time
is an increase. The first file of another dataset shows them all."""


class Histogram:
    """Observations by bucket."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin without any."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Stream:
    """Follows the events of the store that is set."""

    def __init__(self) -> None:
        """Begin at the first event."""
        self._store_id = ""
        self._forget()

    def _forget(self) -> None:
        self._sequence = 0
        self._counts: Counter[Key] = Counter()
        self._histograms: dict[Key, Histogram] = {}
        self._weeks: set[str] = set()
        for dataset in (each for each in every_dataset() if each.is_expected):
            for tier in dataset.publication_delay:
                for name in AT_FIRST:
                    self._counts[name, dataset.name, tier] = 0
                for status in PARSED:
                    self._counts["otc_records_parsed_total", dataset.name, tier, status] = 0

    def collect(self, store: Store, samples: Samples) -> None:
        """Read what is new in the stream, and add every sum to ``samples``."""
        with store.read_as_of_now() as reader:
            newest = reader.connection.execute(sa.select(sa.func.max(EVENT_LOG.c.sequence)))
            last = newest.scalar_one() or 0
            if store.store_id != self._store_id or last < self._sequence:
                self._forget()
                self._store_id = store.store_id
            if last > self._sequence:
                self._follow(reader.connection)
                self._sequence = last
        for (name, *labels), count in self._counts.items():
            samples.add(name, count, *labels)
        for (name, *labels), histogram in self._histograms.items():
            samples.add_histogram(name, tuple(histogram.counts), histogram.total, *labels)

    def _follow(self, connection: sa.Connection) -> None:
        c = EVENT_LOG.c
        calculated = EventType.CALCULATION_COMPLETED.value
        # Of the calculations, which are most of all events, only what is counted: their inputs are
        # long.
        new = c.sequence > self._sequence
        facts = [c.payload[name].as_string() for name in ("status", "table", "rows")]
        facts.append(c.metadata["seconds"].as_string())
        calculations = sa.select(c.aggregate_id, *facts)
        for row in connection.execute(calculations.where(new, c.event_type == calculated)):
            self._calculation(*row)
        columns = sa.select(c.event_type, c.aggregate_id, c.payload, c.metadata)
        others = columns.where(new, c.event_type.in_([each.value for each in TAKEN]))
        for row in connection.execute(others.order_by(c.sequence)):
            TAKEN[EventType(row.event_type)](self, *row[1:])

    def _calculation(
        self, aggregate: str, status: str, table: str, rows: str, seconds: str | None
    ) -> None:
        dataset, tier = _place(aggregate)
        if status == "written":
            self._counts["otc_rows_written_total", dataset, tier, table] += int(rows)
        if seconds is not None:
            self._observe(float(seconds), "otc_summary_duration_seconds", dataset, table)

    def _ingestion(
        self, aggregate: str, payload: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        if payload.get("status") != "ingested":
            return
        place, rows = _place(aggregate), payload["rows"]
        reasons = dict(payload.get("reasons") or {})
        # An event of an earlier version does not say which of the refused lines are repeats.
        repeats = reasons.pop(RejectReason.EXACT_REPEAT.value, 0)
        parsed = (rows, repeats, payload.get("rejects", 0) - repeats)
        self._counts["otc_files_ingested_total", *place] += 1
        self._counts["otc_revisions_total", *place] += payload["source_revision"] > 1
        self._counts["otc_weeks_ingested_total", *place] += aggregate not in self._weeks
        self._weeks.add(aggregate)
        for status, count in zip(PARSED, parsed, strict=True):
            self._counts["otc_records_parsed_total", *place, status] += count
        self._counts["otc_duplicate_records_total", *place] += repeats
        for reason, count in reasons.items():
            self._counts["otc_rejects_total", *place, reason] += count
        self._counts["otc_rows_written_total", *place, "raw"] += rows
        self._observe(rows, "otc_records_per_week", *place)
        if "seconds" in metadata:
            self._observe(metadata["seconds"], "otc_ingest_duration_seconds", *place)

    def _download(self, _file: str, payload: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        if "source_bytes" in payload:
            place = payload["dataset"], payload["tier"]
            self._counts["otc_archived_bytes_total", *place] += payload["source_bytes"]

    def _grade(self, aggregate: str, payload: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        for rule in payload.get("failed", ()):
            self._counts["otc_validation_failures_total", *_place(aggregate), rule] += 1

    def _observe(self, value: float, *key: str) -> None:
        histogram = self._histograms.setdefault(key, Histogram(BY_NAME[key[0]].bounds))
        histogram.observe(value)


TAKEN = {
    EventType.RAW_RECORDS_INGESTED: Stream._ingestion,
    EventType.FILE_DOWNLOADED: Stream._download,
    EventType.QUALITY_GRADE_ASSIGNED: Stream._grade,
}


def _place(aggregate_id: str) -> tuple[str, str]:
    """Return dataset and tier of a slice, given what events call it (`slice_id`)."""
    dataset, _, week = aggregate_id.partition(" ")
    return dataset, week.rpartition(":")[0]
