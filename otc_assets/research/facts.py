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
from otc_assets.domain.datasets import NON_ATS, Dataset
from otc_assets.domain.gaps import dropped, gaps, lag_days
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.rules import few_lines_are_rejected
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey, oldest_first
from otc_assets.research.knowledge import history, latest
from otc_assets.research.market import league, movers, tier_volumes
from otc_assets.research.portrait import DatasetPart, portrait
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store, Warehouse

WEEKS_SHOWN, EVERY_WEEK = 104, 10_000
"""Of coverage in tables, the newest two years; calendars have every week."""
TOP = 10
"""Movers of each tier."""
SNAPSHOT = "research_snapshot"
SLICE = ["tier", "week_ending"]
FEW_REJECTS = few_lines_are_rejected.__name__


class State(StrEnum):
    """How a slice that is due stands in the store."""

    MISSING = "missing"
    NOT_OFFERED = "no_longer_offered"
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
    State.NOT_OFFERED: "due, not in the store, and no longer offered by FINRA: only files have it",
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
    portrait: DatasetPart | None
    """Of the symbol that is shown."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of the slices shown are in each state."""
        found = self.coverage["state"].value_counts()
        return {state.value: int(found.get(state.value, 0)) for state in State}


@dataclass(frozen=True)
class TierFacts:
    """The newest week of a tier: its venues, and what moved."""

    tier: Tier
    dataset: str
    """Whose league and movers these are: ATS, if the store has any."""
    week: WeekKey
    league: pd.DataFrame
    by_shares: pd.DataFrame
    by_dollars: pd.DataFrame
    """Of dealers alone, for whom FINRA publishes dollars."""


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
    volumes: pd.DataFrame
    """Rows of `market.tier_volumes`."""
    tiers: list[TierFacts]
    symbol: SymbolFacts | None
    """None while the store has no snapshot."""


def gather(warehouses: Sequence[Warehouse], today: date, symbol: str = "") -> Facts:
    """Ask the store of each dataset; the symbol's chart is of the first one's.

    Raises:
        ValueError: the store has no such symbol.

    """
    first = warehouses[0]
    chosen = symbol or largest_symbol(first)
    shown = symbol_facts(first, chosen) if chosen else None
    told = tuple(_dataset_facts(warehouse, today, chosen) for warehouse in warehouses)
    return Facts(today, told, tier_volumes(database_url=first.url), _tiers(warehouses), shown)


def _tiers(warehouses: Sequence[Warehouse]) -> list[TierFacts]:
    found = []
    for tier in Tier:
        of = {each.dataset.name: _newest_computed(each, tier) for each in warehouses}
        weeks = {name: WeekKey(tier, week) for name, week in of.items() if week}
        if weeks:
            found.append(_tier_facts(tier, weeks, warehouses[0].url))
    return found


def _tier_facts(tier: Tier, weeks: dict[str, WeekKey], url: str) -> TierFacts:
    first = next(iter(weeks))
    where: dict[str, Any] = {"dataset": first, "database_url": url}
    dealers = weeks.get(NON_ATS.name)
    dollars: dict[str, Any] = {"dataset": NON_ATS.name, "database_url": url}
    return TierFacts(
        tier,
        first,
        weeks[first],
        league(weeks[first], **where),
        movers(weeks[first], **where).head(TOP),
        movers(dealers, by="total_notional", **dollars).head(TOP) if dealers else pd.DataFrame(),
    )


def _dataset_facts(warehouse: Warehouse, today: date, symbol: str | None) -> DatasetFacts:
    return DatasetFacts(
        warehouse.dataset,
        coverage(warehouse, today, EVERY_WEEK),
        standing(warehouse, today),
        freshness(warehouse),
        portrait(warehouse, symbol) if symbol else None,
    )


def coverage(warehouse: Store, today: date, shown: int = WEEKS_SHOWN) -> pd.DataFrame:
    """Return one row per slice that is due or in the store, of the newest weeks.

    As many as ``shown``. Columns tier, week_ending, state, revision (0 without content), grade and
    reason (empty if there is none), by week and tier. Due are the weeks that `gaps` counts from:
    the first that is loaded.
    """
    with warehouse.read() as reader:
        manifest, rejected = reader.manifests(), _too_many_rejects(reader)
        offers = reader.offers()
    loaded = [week for week, row in manifest.items() if row["source_revision"]]
    missing = [gap.week for gap in gaps(warehouse.dataset, loaded, today, offers)]
    gone = set(dropped(warehouse.dataset, loaded, today, offers))
    slices = oldest_first({*loaded, *missing, *gone})
    start = slices[-1].week_ending - timedelta(weeks=shown - 1)
    rows = []
    for week in (week for week in slices if week.week_ending >= start):
        row = manifest.get(week, {})
        state = state_of(row, has_many_rejects=week in rejected, is_offered=week not in gone)
        rows.append(
            {
                "tier": week.tier.value,
                "week_ending": week.week_ending,
                "state": state.value,
                "revision": row.get("source_revision") or 0,
                "grade": row.get("quality_grade") or "",
                "reason": row.get("reason") or "",
            }
        )
    return pd.DataFrame(rows)


def state_of(row: dict[str, Any], *, has_many_rejects: bool, is_offered: bool = True) -> State:
    """Return the state of a slice that is due, by its row of the manifest ({} without one)."""
    if row.get("status") == SliceStatus.REFUSED:
        return State.REFUSED
    if not row.get("source_revision"):
        return State.MISSING if is_offered else State.NOT_OFFERED
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
        loaded, offers = reader.loaded_slices(), reader.offers()
    lags = lag_days(dataset, loaded, gaps(dataset, loaded, today, offers))
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
