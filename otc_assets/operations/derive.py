"""From a slice's inputs to one derived table: compute, judge, write, in one transaction."""

import time

import pandas as pd

from otc_assets.calculations import calculations_of, derived_tables_of, retired_versions
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.events import Event
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import QualityCheckResult, Rule, SliceStatus
from otc_assets.domain.rules import rules_of
from otc_assets.operations.events import tell_block, tell_calculation, tell_grade
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import (
    content_quality,
    failed_rules,
    quality_columns,
    refresh_comparisons,
    standing_quality,
)
from otc_assets.operations.judge import checked
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.recall import UnreadableError
from otc_assets.operations.snapshot import SNAPSHOT, closing_table, snapshot_history
from otc_assets.tracing import current, traced
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import Constant, RunIds, SliceWriter


def derive(warehouse: Warehouse, name: str, week: SliceKey, run: RunIds) -> SliceOutcome:
    """Compute one table of one slice, and replace it in the store.

    A slice without content stays empty. One whose inputs were not computed, or that breaks a
    blocking rule, is left as it was: the outcome and the manifest say why.
    """
    try:
        with warehouse.write(week, run) as writer:
            return _derive(writer, name)
    except UnreadableError as error:
        current().fail(error)
        return _left(week, name, f"its window is kept in the archive alone: {error}")


def refresh(warehouse: Warehouse, name: str, week: SliceKey, run: RunIds) -> SliceOutcome | None:
    """Compute one table of one slice again if the slice has it; None if it does not.

    Whether it does is seen under the lock of the slice: another process that is just computing it
    may have read its inputs before ours were committed.
    """
    with warehouse.write(week, run) as writer:
        manifest = writer.manifest(week)
        return _derive(writer, name) if manifest and name in manifest["row_counts"] else None


def _derive(writer: SliceWriter, name: str) -> SliceOutcome:
    week, started = writer.week, time.monotonic()
    manifest = writer.manifest(week)
    if manifest is None:
        return _left(week, name, "it has never been taken in: materialize raw first")
    current().set(revision=manifest["source_revision"])
    status, reason = SliceStatus(manifest["status"]), manifest["reason"]
    if manifest["source_revision"] is None:
        _count(writer, name, 0)
        return SliceOutcome(week, name, status, pd.DataFrame(), reason)
    if lacking := sorted(_inputs(name) - set(manifest["row_counts"])):
        why = reason or "materialize it first"
        return _left(week, name, f"its input {', '.join(lacking)} was not computed: {why}")
    known = Knowledge(writer, week)
    rows = _compute(writer, known, name, status, reason)
    rules = rules_of(writer.table(name))
    verdicts = checked(rules, view_of(known, status, reason))
    writer.save_verdicts(name, verdicts)
    if broken := broken_of(rules, verdicts):
        return _block(writer, known, name, verdicts, broken)
    events = write_table(writer, known, name, rows, started)
    return SliceOutcome(week, name, status, known[name], reason, verdicts, events=events)


@traced("compute")
def _compute(
    writer: SliceWriter, known: Knowledge, name: str, status: SliceStatus, reason: str | None
) -> pd.DataFrame:
    """Return the rows to write; ``known`` gets what the slice's rows now are."""
    if name == closing_table(writer.dataset):
        refresh_comparisons(writer, known, status, reason)
    known[name] = known.compute(name)
    current().set(rows=len(known[name]))
    if name != SNAPSHOT:
        return known[name]
    return snapshot_history(writer, known, content_quality(writer, known.week))


def lineage_of(known: Knowledge, name: str) -> dict[str, Constant]:
    """Return what all rows of a derived table of a slice have in common: their knowledge."""
    weeks = max(calc.spec.weeks_required for calc in calculations_of(name))
    return {
        "as_of_date": known.as_of_date_of(weeks),
        "source_revision": known.revisions[known.week].source_revision,
    }


def write_table(
    writer: SliceWriter,
    known: Knowledge,
    name: str,
    rows: pd.DataFrame,
    started: float | None = None,
) -> list[Event]:
    """Replace a derived table of a slice, and tell of it; rows of retired versions stay.

    ``started`` is when the computation began, on the clock of `time.monotonic`.
    """
    lineage = lineage_of(known, name)
    writer.replace(name, rows, lineage, keep_versions=retired_versions(name))
    seconds = None if started is None else time.monotonic() - started
    events = tell_calculation(writer, known, name, rows, seconds)
    quality = _count(writer, name, len(rows))
    if name == closing_table(writer.dataset):
        revision = known.revisions[known.week].source_revision
        tell_grade(writer, events[-1], quality, failed_rules(writer, writer.week), revision)
    return events


def _count(writer: SliceWriter, name: str, rows: int) -> dict[str, object]:
    """Enter a written table in the manifest, and grade the slice anew."""
    manifest = writer.manifest(writer.week) or {}
    quality = standing_quality(
        writer,
        writer.week,
        SliceStatus(manifest["status"]),
        has_content=manifest["source_revision"] is not None,
    )
    graded = quality_columns(quality)
    counts = {**manifest["row_counts"], name: rows}
    reason = None if SliceStatus(manifest["status"]).is_loaded else manifest["reason"]
    writer.save_manifest(row_counts=counts, stage=name, reason=reason, **graded)
    return graded


def _inputs(name: str) -> set[str]:
    return {table for calc in calculations_of(name) for table in calc.spec.input_tables}


def _left(week: SliceKey, name: str, why: str) -> SliceOutcome:
    return SliceOutcome(week, name, SliceStatus.LOADED, pd.DataFrame(), why, written=False)


def broken_of(rules: list[Rule], verdicts: list[QualityCheckResult]) -> list[QualityCheckResult]:
    """Return the verdicts because of which a table must not be written."""
    blocking = {rule.name for rule in rules if rule.blocking}
    return [v for v in verdicts if not v.passed and v.check_name in blocking]


def _block(
    writer: SliceWriter,
    known: Knowledge,
    name: str,
    verdicts: list[QualityCheckResult],
    broken: list[QualityCheckResult],
) -> SliceOutcome:
    """Leave the table as it was, and let nothing be computed that reads it."""
    why = "; ".join(f"{v.check_name} does not hold: {v.details}" for v in broken)
    reason = f"{name} was not written: {why}"
    manifest = writer.manifest(writer.week) or {}
    stale = {name, *readers_of(name, writer.dataset)}
    counts = {table: n for table, n in manifest["row_counts"].items() if table not in stale}
    writer.save_manifest(row_counts=counts, reason=reason)
    outcome = _left(writer.week, name, reason)
    outcome.verdicts = verdicts
    outcome.events = tell_block(writer, known, name, reason)
    return outcome


def readers_of(name: str, dataset: Dataset = ATS) -> list[str]:
    """Return the tables that are computed from a table, directly or not."""
    found: list[str] = []
    for table in derived_tables_of(dataset):  # inputs come first
        if _inputs(table.name) & {name, *found}:
            found.append(table.name)
    return found


def reach_of(name: str) -> int:
    """Return how many weeks later a slice's table still depends on this week."""
    reaches = [
        calc.spec.weeks_required - 1 + reach_of(table)
        for calc in calculations_of(name)
        for table in calc.spec.input_tables
    ]
    return max(reaches, default=0)


def later_weeks(warehouse: Warehouse, name: str, weeks: list[SliceKey]) -> list[SliceKey]:
    """Return the later slices in the store whose rows of a table depend on some of ``weeks``.

    They are refreshed with them: without it, the order in which weeks arrive would show.
    """
    reach, found = reach_of(name), set[SliceKey]()
    with warehouse.read() as reader:
        for week in weeks if reach else ():
            first, last = week.shifted(1).period, week.shifted(reach).period
            days = reader.weeks_of("raw", week.section, first, last)
            found |= {warehouse.dataset.key(week.section, day) for day in days}
    return sorted(found - set(weeks))


def refreshed(warehouse: Warehouse, name: str, weeks: list[SliceKey]) -> list[SliceKey]:
    """Return the later slices that were computed again because of ``weeks``."""
    later = later_weeks(warehouse, name, weeks)
    with warehouse.read() as reader:
        counts = {week: (reader.manifest(week) or {}).get("row_counts", {}) for week in later}
    return [week for week in later if name in counts[week]]
