"""The history of what was known of a slice: one set of rows for each day that changed it.

It is computed from raw, which keeps every revision, and never from the snapshot itself. So it does
not depend on the order in which files arrived, and a second run gives the same rows.
"""

from collections.abc import Iterable
from datetime import date
from itertools import chain
from typing import Any

import pandas as pd

from otc_assets.calculations import derived_tables_of
from otc_assets.calculations.research_snapshot import METRICS, research_snapshot
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.quality import Quality
from otc_assets.domain.revisions import Revision
from otc_assets.operations.frames import CONTEXT_WEEKS, Knowledge
from otc_assets.operations.grading import quality_columns, quality_then
from otc_assets.warehouse.reader import SliceReader

SNAPSHOT = research_snapshot.spec.output_table


def closing_table(dataset: Dataset) -> str:
    """Return the table with which a slice is done: the snapshot, or the last where there is none.

    The slice is graded when it is written, and what it rests on is judged anew before.
    """
    names = [table.name for table in derived_tables_of(dataset)]
    return SNAPSHOT if SNAPSHOT in names else names[-1]


COMPARED = [column.name for column in METRICS if column.name != "symbol"] + ["has_rolling_data"]
"""A day on which none of these changes for a symbol is no new knowledge of it."""


def snapshot_history(
    reader: SliceReader, known: Knowledge, quality: Quality | None
) -> pd.DataFrame:
    """Return the snapshot rows of a slice for every day on which knowledge of it changed.

    The first day has a row for each symbol, a later one for each symbol that changed; a symbol that
    a correction took out has a row that says so (`is_removed`).

    Args:
        reader: the store.
        known: the slice as it is known now, with its snapshot computed.
        quality: its grade now.

    """
    by_week = reader.revisions(known.week.window(CONTEXT_WEEKS))
    revisions = list(chain.from_iterable(by_week.values()))
    days = days_of_knowledge(by_week[known.week], revisions)
    before, parts = None, []
    for day in days:
        then = known if day == days[-1] else known.on(day)
        standing = quality if then is known else quality_then(then)
        rows = then[SNAPSHOT] if then is known else then.compute(SNAPSHOT)
        parts.append(_changes(before, rows).assign(**_standing(then, day, revisions, standing)))
        before = rows
    return pd.concat(parts, ignore_index=True).sort_values(
        ["symbol", "as_of_date"], ignore_index=True
    )


def days_of_knowledge(own: Iterable[Revision], context: Iterable[Revision]) -> list[date]:
    """Return the days on which something that a slice is computed from became public.

    From its own first publication on; ``context`` are the revisions of all weeks of its window.
    """
    first = min(revision.revision_date for revision in own)
    return sorted({first} | {r.revision_date for r in context if r.revision_date > first})


def source_of_day(day: date, revisions: Iterable[Revision]) -> str:
    """Return what says that a day is the day of its revisions: the least certain of what does."""
    sources = {r.as_of_source for r in revisions if r.revision_date == day}
    return next(s for s in ("captured", "calendar", "finra") if s in sources)


def changes_of(
    before: pd.DataFrame, after: pd.DataFrame, key: list[str], compared: list[str]
) -> "tuple[pd.DataFrame, pd.Index[Any]]":
    """Return the rows of ``after`` that are new or have other values, and what is gone."""
    old, new = before.set_index(key)[compared], after.set_index(key)[compared]
    old_of_new = old.reindex(new.index)
    same = ((new == old_of_new).fillna(False) | (new.isna() & old_of_new.isna())).all(axis=1)
    is_same = same.to_numpy(dtype=bool) & new.index.isin(old.index)
    return after[~is_same], old.index.difference(new.index)


def _standing(
    then: Knowledge, day: date, revisions: Iterable[Revision], quality: Quality | None
) -> dict[str, Any]:
    return {
        "as_of_date": day,
        "as_of_source": source_of_day(day, revisions),
        "source_revision": then.revisions[then.week].source_revision,
        **quality_columns(quality),
    }


def _changes(before: pd.DataFrame | None, after: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``after`` that differ from ``before``, and one for each symbol gone."""
    if before is None:
        return after
    changed, gone = changes_of(before, after, ["symbol"], COMPARED)
    removed = (
        after.iloc[:0]
        .reindex(range(len(gone)))
        .assign(
            symbol=gone,
            is_removed=True,
            has_rolling_data=False,
            calc_name=research_snapshot.spec.name,
            calc_version=research_snapshot.spec.version,
        )
    )
    return pd.concat([changed, removed], ignore_index=True) if len(gone) else changed
