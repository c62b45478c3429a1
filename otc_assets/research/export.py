"""The weekly feature files: one for each tier and week, whole or not there.

``tier_slug=nms_tier_1/week=2025-05-16/features.parquet``. The parts of the path are not called tier
and week_ending: readers of partitioned folders add them as columns of text, which would clash with
the columns of those names in the file.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from upath import UPath

from otc_assets.domain.weeks import WeekKey
from otc_assets.research.feature_columns import LAYOUT
from otc_assets.research.feature_files import (
    FILE,
    Exported,
    Inspected,
    export_slice,
    inspect_slice,
    is_written,
)
from otc_assets.research.features import REACH_WEEKS, feature_history
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds, SliceWriter

SNAPSHOT = "research_snapshot"
"""Computed last of a slice's tables, and only if nothing before it was blocked."""
ABOUT = LAYOUT.about


def file_of(root: UPath, week: WeekKey) -> UPath:
    """Return where the file of a slice is."""
    return root / f"tier_slug={week.tier.slug}" / f"week={week.week_ending}" / FILE


@dataclass(frozen=True)
class Stores:
    """What the weekly features are made of."""

    ats: Warehouse
    non_ats: Warehouse
    days: Warehouse | None = None
    """The daily short sale volume; None if the store has none, so that no slice asks for it."""


def export(stores: Stores, root: UPath, week: WeekKey, run: RunIds) -> Exported:
    """Compute the features of one slice and write its file."""
    with _locked(stores, week, run) as readers:
        return _export(*readers, root)


def export_again(stores: Stores, root: UPath, week: WeekKey, run: RunIds) -> Exported | None:
    """Export one slice again if it has a file; None if it has not, which is seen under its lock."""
    with _locked(stores, week, run) as readers:
        return _export(*readers, root) if is_written(file_of(root, week)) else None


@contextmanager
def _locked(
    stores: Stores, week: WeekKey, run: RunIds
) -> Iterator[tuple[SliceWriter, SliceReader, SliceReader | None]]:
    """Hold the slice's lock, though no row is written.

    Of two exports the second reads what both have committed, so none puts back an older state.
    """
    with ExitStack() as stack:
        # The others first: their tables may have to be migrated, which needs the lock in SQLite.
        days = stack.enter_context(stores.days.read()) if stores.days else None
        dealers = stack.enter_context(stores.non_ats.read())
        yield stack.enter_context(stores.ats.write(week, run)), dealers, days


def _export(
    writer: SliceWriter, dealers: SliceReader, days: SliceReader | None, root: UPath
) -> Exported:
    week = writer.week
    return export_slice(
        writer,
        week,
        SNAPSHOT,
        file_of(root, week),
        LAYOUT,
        lambda: feature_history(writer, dealers, week, days),
    )


def later_slices(ats: Warehouse, weeks: list[WeekKey]) -> list[WeekKey]:
    """Return the later slices whose file, if there is one, depends on some of ``weeks``.

    Whether there is one is seen under the slice's lock (`export_again`): another process may be
    writing it, from what it had read before ``weeks`` were committed.
    """
    found: set[WeekKey] = set()
    with ats.read() as reader:
        for week in weeks:
            first, reach = week.week_ending + timedelta(weeks=1), timedelta(weeks=REACH_WEEKS)
            days = reader.weeks_of(SNAPSHOT, week.tier, first, week.week_ending + reach)
            found |= {WeekKey(week.tier, day) for day in days}
    return sorted(found - set(weeks))


def inspect(ats: Warehouse, root: UPath, week: WeekKey) -> Inspected:
    """Look for faults in the file of a slice; there are none where none is to be written."""
    return inspect_slice(ats, week, SNAPSHOT, file_of(root, week), LAYOUT)
