"""Gauges of the store: how its slices, its size and its requests stand."""

import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from upath import UPath

from otc_assets.domain.calendar import due_weeks, newest_due_week, today, with_zone
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.quality import GRADES, Severity, SliceStatus
from otc_assets.domain.volume_month import this_month
from otc_assets.monitoring.catalog import WEEKS_SHOWN, Samples
from otc_assets.operations.status import Standing, TierStatus, standing_of
from otc_assets.research.state import committed
from otc_assets.sources.volume import bytes_per_month
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.requests import LABELS, received_since
from otc_assets.warehouse.schema import REQUEST_COUNTS, STORE
from otc_assets.warehouse.store import Store

KEPT, NEVER = "otc_metrics", (None, None)
"""Under which name a connection keeps what the slices were, and what it keeps at first."""
BACKUP = ".otc-backup"
"""A file in the archive's folder with the time (ISO 8601) at which it was last copied."""


def collect_slices(store: Store, samples: Samples) -> bool:
    """Add how the slices of a dataset stand today; return whether anybody has it.

    Of a dataset that is not expected, and of which the store knows no slice, nothing is added. As
    long as nothing is committed, the store is not asked again.
    """
    with store.read() as reader:
        kept = reader.connection.info
        as_of = today(), committed(reader.connection)
        if kept.get(KEPT, NEVER)[0] != as_of:
            kept[KEPT] = as_of, _slices(reader, as_of[0]) if reader.is_in_use() else None
        found: Samples | None = kept[KEPT][1]
    if found:
        samples.take(found)
    return found is not None


def _slices(reader: SliceReader, day: date) -> Samples:
    dataset, samples = reader.dataset, Samples()
    found = standing_of(reader, day)
    for tier in found.tiers:
        _add_tier(tier, samples)
    _add_weeks(dataset, found, day, samples)
    _add_counts(dataset, found, samples)
    _add_failures(reader, samples)
    _add_dead_letters(reader, samples)
    for newest in _newest(found.slices):
        _add_comparisons(reader, newest, samples)
    return samples


def collect_store(store: Store, samples: Samples) -> None:
    """Add the size of the store, and its requests to FINRA."""
    with store.read() as reader:
        connection = reader.connection
        created = connection.execute(sa.select(STORE.c.created_at)).scalar_one()
        samples.add("otc_store_created_timestamp_seconds", _seconds(created))
        if connection.dialect.name == "postgresql":
            size = connection.execute(
                sa.select(sa.func.pg_database_size(sa.func.current_database()))
            )
            samples.add("otc_store_bytes", size.scalar_one())
        else:
            path = _path(store)
            files = [file for file in (path, Path(f"{path}-wal")) if file.exists()]
            samples.add("otc_store_bytes", sum(file.stat().st_size for file in files))
            samples.add("otc_store_free_bytes", shutil.disk_usage(path.parent).free)
        _add_requests(connection, samples)
        received = received_since(connection, this_month())
        samples.add("otc_finra_received_bytes_this_month", received)
        samples.add("otc_finra_bytes_per_month", bytes_per_month())


def collect_archive(archive: UPath, samples: Samples) -> None:
    """Add when an archive was last copied, if its file says so.

    Raises:
        ValueError: the file holds no time.

    """
    file = archive / BACKUP
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return
    try:
        copied = datetime.fromisoformat(text)
    except ValueError:
        wanted = "2026-11-28T03:00:00+00:00"
        raise ValueError(f"{file} must hold a time such as {wanted}, and holds {text!r}") from None
    samples.add("otc_archive_backup_timestamp_seconds", _seconds(copied))


def schema_revision(store: Store) -> str:
    """Return the number of the store's newest migration."""
    with store.read() as reader:
        found = reader.connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        return str(found.scalar_one())


def file_number(store: Store) -> int:
    """Return what tells a SQLite file from another one in its place; 0 of a server's database."""
    return 0 if store.engine.dialect.name == "postgresql" else _path(store).stat().st_ino


def _path(store: Store) -> Path:
    return Path(str(store.engine.url.database)).absolute()


def _add_tier(tier: TierStatus, samples: Samples) -> None:
    place = tier.dataset, tier.tier
    samples.add("otc_weeks_missing", tier.missing, *place)
    samples.add("otc_weeks_no_longer_offered", tier.no_longer_offered, *place)
    samples.add("otc_ingestion_lag_days", tier.lag_days, *place)
    samples.add("otc_dead_letters", tier.dead_letters, *place)
    if tier.newest_week:
        moment = datetime.combine(tier.newest_week, time(), UTC)
        samples.add("otc_latest_week_timestamp", _seconds(moment), *place)
    if tier.last_write:
        samples.add("otc_last_write_timestamp_seconds", _seconds(tier.last_write), *place)


def _add_weeks(dataset: Dataset, found: Standing, day: date, samples: Samples) -> None:
    """Add the score and the presence of each of the newest due periods, and the oldest gap."""
    lacking = {gap.week for gap in found.gaps}
    for tier in dataset.publication_delay:
        mine = [gap for gap in found.gaps if gap.week.section == tier]
        late = [gap.days_late for gap in mine if not gap.is_history]
        samples.add("otc_oldest_gap_days", max(late, default=0), dataset.name, tier)
        first = newest_due_week(tier, day, dataset).shifted(1 - WEEKS_SHOWN)
        for week in due_weeks(tier, first.period, day, dataset):
            labels = dataset.name, tier, week.period.isoformat()
            row = found.slices.get(week, {})
            if week in lacking or row.get("source_revision"):
                samples.add("otc_week_loaded", week not in lacking, *labels)
            if (score := row.get("quality_score")) is not None:
                samples.add("otc_quality_score", score, *labels)


def _add_counts(dataset: Dataset, found: Standing, samples: Samples) -> None:
    gone = dict.fromkeys(found.dropped, SliceStatus.NOT_OFFERED)  # since it was written, perhaps
    standing = Counter((w.section, gone.get(w, row["status"])) for w, row in found.slices.items())
    grades = Counter(
        (week.section, row["quality_grade"])
        for week, row in found.slices.items()
        if row["source_revision"] and row["quality_grade"]
    )
    for tier in dataset.publication_delay:
        for status in SliceStatus:
            samples.add("otc_slices", standing[tier, status], dataset.name, tier, status)
        for _, grade in GRADES:
            samples.add("otc_slices_graded", grades[tier, grade], dataset.name, tier, grade)


def _add_failures(reader: SliceReader, samples: Samples) -> None:
    checks = reader.sql_table("quality_checks")
    query = sa.select(checks.c.tier, checks.c.severity, sa.func.count()).where(
        sa.not_(checks.c.passed), sa.not_(checks.c.is_expected)
    )
    rows = reader.connection.execute(query.group_by(checks.c.tier, checks.c.severity))
    failed = {(tier, severity): count for tier, severity, count in rows}
    for tier in reader.dataset.publication_delay:
        for severity in Severity:
            count = failed.get((tier, severity), 0)
            samples.add("otc_checks_failed", count, reader.dataset.name, tier, severity)


def _add_dead_letters(reader: SliceReader, samples: Samples) -> None:
    first: dict[str, datetime] = {}
    for row in reader.dead_letters():
        tier, failed = row["tier"], row["first_failed_at"]
        first[tier] = min(failed, first.get(tier, failed))
    for tier, moment in first.items():
        name = "otc_oldest_dead_letter_timestamp_seconds"
        samples.add(name, _seconds(moment), reader.dataset.name, tier)


def _newest(slices: Mapping[AnySlice, Mapping[str, Any]]) -> list[AnySlice]:
    """Return the newest slice of each tier that is in the store."""
    loaded = sorted(week for week, row in slices.items() if row["source_revision"])
    return list({week.section: week for week in loaded}.values())


def _add_comparisons(reader: SliceReader, newest: AnySlice, samples: Samples) -> None:
    """Add what the rules have found of a tier's newest slice beside those before it."""
    found = {row["rule"]: row["details"] for row in reader.records("quality_checks", newest)}
    records = found.get("record_count_is_usual", {})
    period = reader.dataset.grain.name
    symbols = found.get(f"symbols_of_last_{period}_are_there", {})
    for name, details, key in (
        ("otc_latest_week_records", records, "rows"),
        ("otc_usual_week_records", records, "average"),
        ("otc_missing_symbols", symbols, "gone"),
    ):
        if key in details:
            samples.add(name, details[key], reader.dataset.name, newest.section)


def _add_requests(connection: sa.Connection, samples: Samples) -> None:
    c = REQUEST_COUNTS.c
    query = sa.select(c.outcome, c.le, sa.func.sum(c.requests), sa.func.sum(c.seconds))
    counts: dict[str, dict[str, int]] = {}
    seconds: Counter[str] = Counter()
    for outcome, le, requests, total in connection.execute(query.group_by(c.outcome, c.le)):
        counts.setdefault(outcome, {})[le] = int(requests)
        seconds[outcome] += total
    for outcome, buckets in counts.items():
        filled = tuple(buckets.get(le, 0) for le in LABELS)
        samples.add_histogram(
            "otc_finra_request_duration_seconds", filled, seconds[outcome], outcome
        )


def _seconds(moment: datetime) -> float:
    return with_zone(moment).timestamp()
