"""Every metric of the exporter: its name, type, labels and meaning.

The names of the design (its sections 7.1 and 8) stay as they are there; `dataset` stands beside
`tier`. So a name says week, and means the period of each dataset's grain: a week, a month or a day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from otc_assets.warehouse.requests import BOUNDS as REQUEST_BOUNDS


class Kind(Enum):
    """The types of Prometheus that are used."""

    COUNTER = CounterMetricFamily
    GAUGE = GaugeMetricFamily
    HISTOGRAM = HistogramMetricFamily


@dataclass(frozen=True)
class Described:
    """One metric."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    bounds: tuple[float, ...] = ()
    """Of a histogram: the upper bounds of its buckets, the endless last one aside."""


SLICES = ("dataset", "tier")
COUNTER, GAUGE, HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
WEEKS_SHOWN = 104
"""The metrics of single periods show the newest due ones of each tier, as many as these."""
ROW_BOUNDS = (100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000)
INGEST_BOUNDS = (0.1, 0.5, 1, 5, 10, 30, 60)
SUMMARY_BOUNDS = (0.1, 0.5, 1, 5, 10)

OF_EVENTS = (
    Described("otc_weeks_ingested_total", COUNTER, SLICES, "Slices of which a file was taken in."),
    Described("otc_files_ingested_total", COUNTER, SLICES, "Files taken in, corrections included."),
    Described("otc_revisions_total", COUNTER, SLICES, "Corrections taken in."),
    Described(
        "otc_records_parsed_total",
        COUNTER,
        (*SLICES, "status"),
        "Lines of these files: success, skipped (exact repeats) or error (refused).",
    ),
    Described(
        "otc_records_per_week",
        HISTOGRAM,
        SLICES,
        "Rows of each file taken in.",
        ROW_BOUNDS,
    ),
    Described("otc_duplicate_records_total", COUNTER, SLICES, "Lines that repeat another exactly."),
    Described(
        "otc_rejects_total", COUNTER, (*SLICES, "reason"), "Refused lines, by their reason code."
    ),
    Described(
        "otc_validation_failures_total",
        COUNTER,
        (*SLICES, "check_name"),
        "Rules that failed when a slice was graded, known anomalies aside.",
    ),
    Described("otc_archived_bytes_total", COUNTER, SLICES, "Bytes of the files in the archive."),
    Described(
        "otc_rows_written_total",
        COUNTER,
        (*SLICES, "table"),
        "Rows written to each table; its rate is rows a second.",
    ),
    Described(
        "otc_ingest_duration_seconds",
        HISTOGRAM,
        SLICES,
        "Seconds from a file's bytes to its rows: archive, parse, write.",
        INGEST_BOUNDS,
    ),
    Described(
        "otc_summary_duration_seconds",
        HISTOGRAM,
        ("dataset", "table"),
        "Seconds to compute and write one table of one slice.",
        SUMMARY_BOUNDS,
    ),
)
"""What the stream of events adds up to."""

OF_SLICES = (
    Described("otc_weeks_missing", GAUGE, SLICES, "Slices that are due and not in the store."),
    Described(
        "otc_weeks_no_longer_offered",
        GAUGE,
        SLICES,
        "Slices that are due, not in the store, and dropped by FINRA; none of them is missing.",
    ),
    Described(
        "otc_oldest_gap_days",
        GAUGE,
        SLICES,
        "Days past the expected publication of the slice that lacks longest, history aside; 0 if "
        "none lacks.",
    ),
    Described(
        "otc_ingestion_lag_days",
        GAUGE,
        SLICES,
        "Days past the expected publication of the first slice that lacks after the newest.",
    ),
    Described(
        "otc_latest_week_timestamp",
        GAUGE,
        SLICES,
        "The newest period in the store (its `week` label), in Unix seconds; absent without one.",
    ),
    Described(
        "otc_quality_score",
        GAUGE,
        (*SLICES, "week"),
        f"Score of each of the newest {WEEKS_SHOWN} due periods, 0 (worst) to 1.",
    ),
    Described(
        "otc_week_loaded",
        GAUGE,
        (*SLICES, "week"),
        "Whether each of the same periods is in the store (1) or lacks (0).",
    ),
    Described(
        "otc_missing_symbols",
        GAUGE,
        SLICES,
        "Symbols of the period before that the newest one lacks; absent without one before, and of "
        "tables without this rule (blocks, days).",
    ),
    Described(
        "otc_latest_week_records",
        GAUGE,
        SLICES,
        "Rows of venue_volume in the newest period; absent of blocks and days.",
    ),
    Described(
        "otc_usual_week_records",
        GAUGE,
        SLICES,
        "Their average in the five periods before it; absent without any.",
    ),
    Described(
        "otc_slices",
        GAUGE,
        (*SLICES, "status"),
        "Slices by status: loaded, archived, missing, no_longer_offered, not_due or refused.",
    ),
    Described("otc_slices_graded", GAUGE, (*SLICES, "grade"), "Slices in the store by grade."),
    Described(
        "otc_checks_failed",
        GAUGE,
        (*SLICES, "severity"),
        "Rules that fail now, known anomalies aside.",
    ),
    Described("otc_dead_letters", GAUGE, SLICES, "Slices that could not be taken in."),
    Described(
        "otc_oldest_dead_letter_timestamp_seconds",
        GAUGE,
        SLICES,
        "When the oldest of them failed first; absent if there is none.",
    ),
    Described(
        "otc_last_write_timestamp_seconds",
        GAUGE,
        SLICES,
        "When a run last wrote anything; absent before the first.",
    ),
)
"""How the slices stand."""

OF_STORE = (
    Described("otc_store_bytes", GAUGE, (), "Size of the store."),
    Described(
        "otc_store_free_bytes",
        GAUGE,
        (),
        "Room left on the disk of a SQLite store; absent for PostgreSQL.",
    ),
    Described("otc_store_created_timestamp_seconds", GAUGE, (), "When the store was made."),
    Described(
        "otc_archive_backup_timestamp_seconds",
        GAUGE,
        (),
        "When the archive was last copied, as its file .otc-backup says; absent without one.",
    ),
    Described(
        "otc_finra_request_duration_seconds",
        HISTOGRAM,
        ("outcome",),
        "Requests to FINRA by outcome: ok, another HTTP status, or network.",
        REQUEST_BOUNDS,
    ),
    Described(
        "otc_finra_received_bytes_this_month",
        GAUGE,
        (),
        "Bytes that FINRA has sent in this month (UTC).",
    ),
    Described(
        "otc_finra_bytes_per_month",
        GAUGE,
        (),
        "How many may be asked for in a month (OTC_GIGABYTES_PER_MONTH).",
    ),
)

OF_DAGSTER = (
    Described("otc_runs", GAUGE, ("status",), "Dagster's runs; the queue's depth is queued."),
    Described(
        "otc_oldest_run_timestamp_seconds",
        GAUGE,
        ("status",),
        "Since when the oldest run is queued, starting or started; absent if there is none.",
    ),
    Described(
        "otc_job_last_success_timestamp_seconds",
        GAUGE,
        ("dagster_job",),
        "When each job that has a schedule last succeeded; absent if it never did.",
    ),
    Described(
        "otc_sensor_ticks",
        GAUGE,
        ("sensor", "status"),
        "Ticks in the last hour: success, skipped or failure.",
    ),
    Described(
        "otc_sensor_last_tick_timestamp_seconds",
        GAUGE,
        ("sensor",),
        "When each sensor ticked last.",
    ),
    Described(
        "otc_daemon_heartbeat_timestamp_seconds",
        GAUGE,
        ("daemon",),
        "When each part of Dagster's daemon last showed that it lives.",
    ),
)

OF_EXPORTER = (
    Described(
        "otc_readable",
        GAUGE,
        ("part",),
        "Whether store, archive and dagster could be read (1); if not (0), its metrics are absent.",
    ),
    Described(
        "otc_build_info", GAUGE, ("version", "commit", "schema"), "1; labels say what is running."
    ),
)

CATALOG = (*OF_EVENTS, *OF_SLICES, *OF_STORE, *OF_DAGSTER, *OF_EXPORTER)
BY_NAME = {metric.name: metric for metric in CATALOG}


class Samples:
    """The values of one scrape."""

    def __init__(self) -> None:
        """Begin without any."""
        self._families: dict[str, Metric] = {}

    def _family(self, name: str) -> Metric:
        if name not in self._families:
            metric = BY_NAME[name]
            self._families[name] = metric.kind.value(name, metric.meaning, labels=metric.labels)
        return self._families[name]

    def add(self, name: str, value: float, *labels: str) -> None:
        """Add one value of a counter or gauge; ``labels`` are in the order of the catalog."""
        family = self._family(name)
        assert isinstance(family, (CounterMetricFamily, GaugeMetricFamily))
        family.add_metric(labels, value)

    def add_histogram(self, name: str, counts: tuple[int, ...], total: float, *labels: str) -> None:
        """Add the observations of each bucket, the endless last one included, and their sum."""
        family, cumulated, buckets = self._family(name), 0, []
        assert isinstance(family, HistogramMetricFamily)
        names = [*(str(float(bound)) for bound in BY_NAME[name].bounds), "+Inf"]
        for le, count in zip(names, counts, strict=True):
            cumulated += count
            buckets.append((le, float(cumulated)))
        family.add_metric(labels, buckets, total)

    def take(self, others: "Samples") -> None:
        """Add the values of others, which stay as they are."""
        for name, family in others._families.items():
            self._family(name).samples.extend(family.samples)

    def __iter__(self) -> Iterator[Metric]:
        """Yield the metrics that have values."""
        return iter(self._families.values())
