"""What the page for researchers tells, as plain frames: each number is the store's, or `latest`'s.

Belongs here: what to ask the store, and how a slice's state is named. Does not belong here: how it
looks (`charts`, `page`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations import output_tables
from otc_assets.domain.calendar import expected_publication_date, newest_due_week
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import gaps, lag_days
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.rules import few_lines_are_rejected
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey, oldest_first
from otc_assets.research.knowledge import history, latest
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store, Warehouse

WEEKS_SHOWN = 104
"""Of coverage, the newest: two years."""
TOP = 5
"""Movers, and spikes, of each tier."""
SNAPSHOT = "research_snapshot"
SLICE = ["tier", "week_ending"]
FEW_REJECTS = few_lines_are_rejected.__name__


class State(StrEnum):
    """How a slice that is due stands in the store."""

    MISSING = "missing"
    REFUSED = "refused"
    EMPTY = "empty"
    PARTIAL = "partial"
    COMPLETE = "complete"
    CORRECTED = "corrected"
    ARCHIVED = "archived"

    @property
    def meaning(self) -> str:
        """What the legend says of it."""
        return MEANINGS[self]


MEANINGS = {
    State.MISSING: "due by FINRA's calendar, and not in the store",
    State.REFUSED: "a file of it could not be taken; what the store has, if anything, is older",
    State.EMPTY: "in the store, without a row",
    State.PARTIAL: "in the store, but a table is not computed or too many lines were rejected",
    State.COMPLETE: "in the store, every table computed, as FINRA first published it",
    State.CORRECTED: "the same, of a later revision: the cell has its number",
    State.ARCHIVED: "every table computed; the archive alone keeps the rows of raw, or of others",
}


@dataclass(frozen=True)
class DatasetFacts:
    """What the page tells of one dataset."""

    dataset: Dataset
    coverage: pd.DataFrame
    standing: pd.DataFrame
    freshness: pd.DataFrame
    movers: pd.DataFrame
    spikes: pd.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """How many of the slices shown are in each state."""
        found = self.coverage["state"].value_counts()
        return {state.value: int(found.get(state.value, 0)) for state in State}


@dataclass(frozen=True)
class SymbolFacts:
    """One symbol over time, and what corrections have changed of it."""

    symbol: str
    dataset: Dataset
    weeks: pd.DataFrame
    corrections: pd.DataFrame


@dataclass(frozen=True)
class Facts:
    """All that the page tells, as of the day on which it was asked."""

    today: date
    datasets: tuple[DatasetFacts, ...]
    symbol: SymbolFacts | None
    """None while the store has no snapshot."""


def gather(warehouses: Sequence[Warehouse], today: date, symbol: str = "") -> Facts:
    """Ask the store of each dataset; the symbol's chart is of the first one's.

    Raises:
        ValueError: the store has no such symbol.

    """
    told = tuple(_dataset_facts(warehouse, today) for warehouse in warehouses)
    first = warehouses[0]
    chosen = symbol or largest_symbol(first)
    return Facts(today, told, symbol_facts(first, chosen) if chosen else None)


def _dataset_facts(warehouse: Warehouse, today: date) -> DatasetFacts:
    return DatasetFacts(
        warehouse.dataset,
        coverage(warehouse, today),
        standing(warehouse, today),
        freshness(warehouse),
        movers(warehouse),
        spikes(warehouse),
    )


def coverage(warehouse: Store, today: date, shown: int = WEEKS_SHOWN) -> pd.DataFrame:
    """Return one row per slice that is due or in the store, of the newest weeks.

    As many as ``shown``. Columns tier, week_ending, state, revision (0 without content), grade and
    reason (empty if there is none), by week and tier. Due are the weeks that `gaps` counts from:
    the first that is loaded.
    """
    with warehouse.read() as reader:
        manifest, rejected = reader.manifests(), _too_many_rejects(reader)
    loaded = [week for week, row in manifest.items() if row["source_revision"]]
    missing = [gap.week for gap in gaps(warehouse.dataset, loaded, today)]
    slices = oldest_first({*loaded, *missing})
    start = slices[-1].week_ending - timedelta(weeks=shown - 1)
    rows = []
    for week in (week for week in slices if week.week_ending >= start):
        row = manifest.get(week, {})
        rows.append(
            {
                "tier": week.tier.value,
                "week_ending": week.week_ending,
                "state": state_of(row, has_many_rejects=week in rejected).value,
                "revision": row.get("source_revision") or 0,
                "grade": row.get("quality_grade") or "",
                "reason": row.get("reason") or "",
            }
        )
    return pd.DataFrame(rows)


def state_of(row: dict[str, Any], *, has_many_rejects: bool) -> State:
    """Return the state of a slice that is due, by its row of the manifest ({} without one)."""
    if row.get("status") == SliceStatus.REFUSED:
        return State.REFUSED
    if not row.get("source_revision"):
        return State.MISSING
    counts = row["row_counts"]
    if counts.get(RAW.name) == 0:
        return State.EMPTY
    if has_many_rejects or any(table.name not in counts for table in output_tables()):
        return State.PARTIAL
    if row["status"] == SliceStatus.ARCHIVED:
        return State.ARCHIVED
    return State.CORRECTED if row["source_revision"] > 1 else State.COMPLETE


def _too_many_rejects(reader: SliceReader) -> set[WeekKey]:
    checks = reader.sql_table("quality_checks")
    broken = sa.select(checks.c.tier, checks.c.week_ending).where(
        checks.c.rule == FEW_REJECTS, sa.not_(checks.c.passed)
    )
    return {WeekKey(Tier(tier), week) for tier, week in reader.connection.execute(broken)}


def standing(warehouse: Store, today: date) -> pd.DataFrame:
    """Return one row per tier: how near its newest week is to what FINRA has published.

    Columns tier, newest_week (None if there is none), newest_due_week, lag_days (past the expected
    publication of the first week that lacks after the newest; 0 if none does), next_week (the first
    that is not due yet) and next_publication.
    """
    dataset = warehouse.dataset
    with warehouse.read() as reader:
        loaded = reader.loaded_slices()
    lags = lag_days(dataset, loaded, gaps(dataset, loaded, today))
    rows = []
    for tier in dataset.publication_delay:
        due = newest_due_week(tier, today, dataset)
        mine = [week.week_ending for week in loaded if week.tier == tier]
        rows.append(
            {
                "tier": tier.value,
                "newest_week": max(mine, default=None),
                "newest_due_week": due.week_ending,
                "lag_days": lags[tier.value],
                "next_week": due.shifted(1).week_ending,
                "next_publication": expected_publication_date(due.shifted(1), dataset),
            }
        )
    return pd.DataFrame(rows)


def freshness(warehouse: Warehouse) -> pd.DataFrame:
    """Return one row per table: table, slices (that have rows in it), versions, computed_at.

    ``versions`` are those of the calculations whose rows are in the store, ``computed_at`` (UTC, of
    raw the time of storing) is the newest; None of a table without rows.
    """
    with warehouse.read() as reader:
        lineage = reader.sql_table("lineage")
        of_table = sa.select(
            lineage.c.table_name,
            sa.func.count(lineage.c.slice.distinct()),
            sa.func.max(lineage.c.written_at),
        ).group_by(lineage.c.table_name)
        found = {name: rest for name, *rest in reader.connection.execute(of_table)}
        each = sa.select(lineage.c.table_name, lineage.c.calc_version).distinct()
        versions = reader.connection.execute(each).all()
    rows = []
    for table in (RAW, *output_tables()):
        slices, newest = found.get(table.name, (0, None))
        mine = sorted(version for name, version in versions if name == table.name and version)
        rows.append(
            {
                "table": table.name,
                "slices": slices,
                "versions": ", ".join(mine),
                "computed_at": newest and pd.to_datetime(newest, utc=True),
            }
        )
    return pd.DataFrame(rows)


def movers(warehouse: Warehouse) -> pd.DataFrame:
    """Return the `TOP` symbols of each tier whose volume has changed most in its newest week.

    One row per tier and symbol: tier, week_ending, symbol, volume and volume_before (shares), and
    change_pct, the greatest first, up or down. Of the symbols that are in both weeks, those above
    the median count, by the larger of the two volumes: tiny ones double every week.
    """
    found = []
    for tier in warehouse.dataset.publication_delay:
        if week := _newest_computed(warehouse, tier):
            now, before = (_known(warehouse, tier, day) for day in (week, week - timedelta(7)))
            both = now.merge(before, on="symbol", suffixes=("", "_before"))
            both = both[both["total_volume_before"] > 0]
            size = both[["total_volume", "total_volume_before"]].max(axis="columns")
            large = both[size >= size.median()]
            pct = 100 * (large["total_volume"] / large["total_volume_before"] - 1)
            ranked = large.assign(change_pct=pct, size=pct.abs())
            found.append(ranked.sort_values(["size", "symbol"], ascending=[False, True]).head(TOP))
    return _listed(
        found, {"total_volume": "volume", "total_volume_before": "volume_before"}, "change_pct"
    )


def spikes(warehouse: Warehouse) -> pd.DataFrame:
    """Return the `TOP` symbols of each tier whose newest week stands highest above its average.

    One row per tier and symbol: tier, week_ending, symbol, volume and avg_6w_volume (shares), and
    volume_vs_avg_pct, the greatest first. Of the symbols above the median of the week's volume;
    none whose volume is not above its average.
    """
    found = []
    for tier in warehouse.dataset.publication_delay:
        if week := _newest_computed(warehouse, tier):
            now = _known(warehouse, tier, week)
            large = now[now["total_volume"] >= now["total_volume"].median()]
            high = large[large["volume_vs_avg_pct"] > 0]
            order = ["volume_vs_avg_pct", "symbol"]
            found.append(high.sort_values(order, ascending=[False, True]).head(TOP))
    return _listed(
        found, {"total_volume": "volume", "avg_6w_volume": "avg_6w_volume"}, "volume_vs_avg_pct"
    )


def _listed(found: list[pd.DataFrame], volumes: dict[str, str], measure: str) -> pd.DataFrame:
    columns = ["tier", "week_ending", "symbol", *volumes.values(), measure]
    if not found:
        return pd.DataFrame(columns=columns)
    rows = pd.concat(found, ignore_index=True).rename(columns=volumes)
    return rows.assign(week_ending=rows["week_ending"].dt.date)[columns]


def _known(warehouse: Warehouse, tier: Tier, week_ending: date) -> pd.DataFrame:
    name, url = warehouse.dataset.name, warehouse.url
    return latest(tiers=tier, weeks=week_ending, dataset=name, database_url=url)


def _newest_computed(warehouse: Warehouse, tier: Tier) -> date | None:
    """Return the newest week of a tier that has rows in the snapshot."""
    with warehouse.read() as reader:
        weeks = reader.weeks_of(SNAPSHOT, tier, FIRST_WEEK_ENDING, date.max)
    return max(weeks, default=None)


def largest_symbol(warehouse: Warehouse) -> str | None:
    """Return the symbol with the most shares in the newest week of Tier 1.

    Of the first tier that has a computed week, if Tier 1 has none; None if none has.
    """
    for tier in warehouse.dataset.publication_delay:
        if week := _newest_computed(warehouse, tier):
            known = _known(warehouse, tier, week)
            return str(known["symbol"].iloc[known["total_volume"].argmax()])
    return None


def symbol_facts(warehouse: Warehouse, symbol: str) -> SymbolFacts:
    """Return a symbol's weeks as known now, and those of which another volume was known first.

    ``weeks`` has one row per tier and week: tier, week_ending, total_volume (shares), as_of_date.
    ``corrections`` has one row per tier and week whose volume a correction has changed:
    first_volume and first_known (the day), volume (None where the symbol is gone) and known.

    Raises:
        ValueError: the store has no such symbol.

    """
    where: dict[str, str] = {
        "dataset": warehouse.dataset.name,
        "database_url": warehouse.url,
    }
    rows = history(symbol, **where)
    if rows.empty:
        raise ValueError(f"the store has no symbol {symbol!r}: write it exactly as FINRA does")
    now = latest(symbols=symbol, **where)[[*SLICE, "total_volume", "as_of_date"]]
    return SymbolFacts(symbol, warehouse.dataset, _dated(now), corrections_of(rows))


def corrections_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the weeks of a symbol's history whose volume has changed, and its newest change.

    One row per tier and week, as in `symbol_facts`, of rows of `history`.
    """
    volume = rows["total_volume"].mask(rows["is_removed"].astype(bool))
    rows = rows.assign(total_volume=volume)[[*SLICE, "total_volume", "as_of_date"]]
    before = rows.groupby(SLICE)["total_volume"].shift()
    is_first = ~rows.duplicated(SLICE)
    same = (volume == before) | (volume.isna() & before.isna())
    newest = rows[~same & ~is_first].drop_duplicates(SLICE, keep="last")
    first = rows[is_first].rename(
        columns={"total_volume": "first_volume", "as_of_date": "first_known"}
    )
    changed = newest.rename(columns={"total_volume": "volume", "as_of_date": "known"})
    return _dated(first.merge(changed, on=SLICE))


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its moments as dates."""
    moments = [str(name) for name in rows.select_dtypes("datetime")]
    return rows.assign(**{name: rows[name].dt.date for name in moments})
