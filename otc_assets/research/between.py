"""What has changed between two days: what was known at the end of each, beside each other."""

from datetime import date, datetime
from typing import Any

import pandas as pd

from otc_assets.research.arguments import Names, Weeks, day_known
from otc_assets.research.knowledge import IDENTITY, as_of

STANDING = ("as_of_date", "as_of_source")
"""Of a row: shown, but no change by themselves."""


def between(
    before: str | date | datetime,
    after: str | date | datetime,
    symbols: Names = None,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return what was known otherwise at the end of two days: one row per (week, tier, symbol).

    Args:
        before: the earlier day, as `as_of` takes it.
        after: the later day.
        symbols: as `as_of` has them, like the other arguments.
        tiers: one or more (default: all).
        weeks: one or more (default: all).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        The identity of each row that differs; ``change`` (added, removed or changed); ``changed``,
        the columns that differ, of a row that both days know; and each column of `as_of` twice, as
        ``<column>_before`` and ``<column>_after``.

    Raises:
        StoreError, TypeError, ValueError: as `as_of` does; ValueError too if ``after`` is earlier.

    """
    if day_known(after) < day_known(before):
        raise ValueError(f"after is {after}, which is earlier than before, {before}")
    asked: dict[str, Any] = {"dataset": dataset, "database_url": database_url}
    then, now = (_with_gaps(as_of(day, symbols, tiers, weeks, **asked)) for day in (before, after))
    shown = [name for name in then if name not in IDENTITY]
    both = then.merge(
        now, on=IDENTITY, how="outer", suffixes=("_before", "_after"), indicator="change"
    )
    names = {"left_only": "removed", "right_only": "added", "both": "changed"}
    both["change"] = both["change"].map(names).astype("str")
    measured = [name for name in shown if name not in STANDING]
    left, right = (both[[f"{name}_{end}" for name in measured]] for end in ("before", "after"))
    right = right.set_axis(left.columns, axis=1)
    same = ((left == right).fillna(False) | (left.isna() & right.isna())).to_numpy(dtype=bool)
    in_both = (both["change"] == "changed").to_numpy()
    changed = [
        [measured[at] for at in (~row).nonzero()[0]] if known else []
        for row, known in zip(same, in_both, strict=True)
    ]
    both["changed"] = pd.Series(changed, both.index, dtype=object)
    differs = ~in_both | ~same.all(axis=1)
    pairs = [f"{name}_{end}" for name in shown for end in ("before", "after")]
    order = ["tier", "week_ending", "symbol"]
    found = both.loc[differs, [*IDENTITY, "change", "changed", *pairs]]
    return found.sort_values(order, ignore_index=True)


def _with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Let whole numbers and flags be null beside a row that only one day knows."""
    kinds = {"i": "Int64", "b": "boolean"}
    whole = {n: kinds[kind.kind] for n, kind in rows.dtypes.items() if kind.kind in kinds}
    return rows.astype(whole)
