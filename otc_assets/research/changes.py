"""The rows of a feature file: those of the first day, and of each later day those that changed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from otc_assets.domain.revisions import Revision
from otc_assets.operations.snapshot import changes_of, source_of_day
from otc_assets.research.feature_layout import Layout
from otc_assets.research.knowledge import known_from


def rows_of_days(
    days: Iterable[date],
    known_on: Callable[[date], pd.DataFrame],
    revisions: Collection[Revision],
    layout: Layout,
    place: Mapping[str, Any],
) -> pd.DataFrame:
    """Return the rows of a slice's file: one per record and day that changed one of its features.

    The first day has a row for each record, a later one for each that changed; one that a
    correction took out has a row with ``is_removed`` and no features.

    Args:
        days: those on which something became public that the slice rests on, oldest first.
        known_on: gives what was known at the end of a day, one row per record.
        revisions: all that the slice rests on.
        layout: what the files are like.
        place: the values of the columns that name the slice, and maybe of others.

    """
    before, parts = None, []
    for day in days:
        after = known_on(day)
        parts.append(_changes(before, after, layout).assign(**_stamps(day, revisions)))
        before = after
    rows = pd.concat(parts, ignore_index=True).assign(**place)
    rows["created_timestamp"] = pd.Timestamp(datetime.now(UTC))
    rows = rows[[column.name for column in layout.columns]]
    return rows.sort_values([*layout.key, "as_of_date"], ignore_index=True)


def _stamps(day: date, revisions: Iterable[Revision]) -> dict[str, Any]:
    return {
        "as_of_date": day,
        "as_of_source": source_of_day(day, revisions),
        "event_timestamp": pd.Timestamp(known_from(day)).tz_convert("UTC"),
    }


def _changes(before: pd.DataFrame | None, after: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Return the rows of ``after`` that differ from ``before``, and one for each record gone."""
    after = after.assign(is_removed=False)
    if before is None:
        return after
    changed, gone = changes_of(before, after, layout.key, layout.names)
    if gone.empty:
        return changed
    of_gone = {name: gone.get_level_values(name) for name in layout.key}
    removed = after.iloc[:0].reindex(range(len(gone))).assign(**of_gone, is_removed=True)
    return pd.concat([changed, removed], ignore_index=True)
