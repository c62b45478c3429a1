"""Sums that must agree between datasets: a month against its weeks, blocks against the month.

`docs/datasets.md` says what each set counts. Which weeks bound a month is in
`otc_assets.domain.months`. Quantities are in millionths of a share here, and in shares in what is
said of them. Nothing is written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.months import beyond, last_trading_day, unexplained, weeks_of
from otc_assets.domain.neighbours import (
    ATS_BLOCKS,
    MONTHLY_NON_ATS,
    OTC_BLOCKS,
    REG_SHO_DAILY,
)
from otc_assets.domain.shares import format_shares
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, week_ending_of
from otc_assets.warehouse.reader import SliceReader

NMS, EVERY_TIER = (Tier.NMS_TIER_1, Tier.NMS_TIER_2), tuple(Tier)
TIERS = {"NMS": NMS, "OTC": (Tier.OTC,)}
"""The weekly tiers of each tier of the monthly set."""
NOT_THE_LAST_DAY = "the rest of the week: this is not its last trading day"
TOLERATED = 100
"""One part in so many may be due to a correction that has reached one of two sets."""
DE_MINIMIS = "0 "
"""What the name of the firms that are folded together begins with: their CRD number."""

Readers = Callable[[Dataset], SliceReader]
"""Gives the reader of another dataset of the same store."""


@dataclass(frozen=True)
class Agreement:
    """What was found of one sum in one month."""

    off: list[dict[str, str]] = field(default_factory=list)
    """What lies outside its bounds, the furthest first."""
    lacking: tuple[str, ...] = ()
    """Slices that are not in the store, without which nothing, or less, can be said."""
    is_exact: bool = False
    """Whether the bounds are equal, so that the month had to be."""

    @property
    def said(self) -> str:
        """Say how it stands, in one line."""
        if self.off:
            first = "; ".join(f"{name} {value}" for name, value in self.off[0].items())
            return f"{len(self.off)} out of bounds, the furthest: {first}"
        if self.lacking:
            return f"nothing is out of bounds; not in the store: {', '.join(self.lacking)}"
        return "equal" if self.is_exact else "within the bounds of the weeks"


@dataclass(frozen=True)
class Claim:
    """A sum that must agree, named as the truth that it asserts."""

    table: str
    """The month's table whose rows it is about."""
    find: Callable[[Readers, SliceKey], Agreement]

    @property
    def name(self) -> str:
        """The name of what finds it."""
        return self.find.__name__

    @property
    def description(self) -> str:
        """The docstring of what finds it."""
        return (self.find.__doc__ or "").strip()


@dataclass(frozen=True)
class Weekly:
    """Sums over weeks by name, and the slices that could not be summed."""

    sums: "pd.Series[int]"
    lacking: tuple[str, ...]


def venues_hold_their_weeks(readers: Readers, month: SliceKey) -> Agreement:
    """Each venue's shares of a month are those of its weeks.

    At least what it traded in NMS stocks in the weeks that lie in the month, at most what it traded
    in all tiers in the weeks that touch it: FINRA's text on blocks is about NMS stocks, and does
    not say that OTC equities are left out.
    """
    own = _sums(readers(ATS_BLOCKS), "block_volume", month, ["block_type", "mpid"], "share_volume")
    return _within_weeks(readers(ATS), "venue_share", month, own.groupby("mpid").max())


def symbols_hold_their_weeks(readers: Readers, month: SliceKey) -> Agreement:
    """Each symbol's shares of a month are those of its weeks, whoever reported them.

    The weekly fold into "De Minimis Firms" takes firms' names away, and no shares: so the sums of a
    symbol must agree.
    """
    own = _sums(readers(MONTHLY_NON_ATS), "symbol_summary", month, ["symbol"], "total_volume")
    tiers = TIERS[month.section]
    return _within_weeks(readers(NON_ATS), "symbol_summary", month, own, tiers, tiers)


def firms_hold_their_weeks(readers: Readers, month: SliceKey) -> Agreement:
    """No firm has fewer shares of a symbol in a month than under its name in the weeks inside it.

    It may have more: what it traded in weeks that straddle, and in weeks in which it was folded
    into "De Minimis Firms". It may have fewer if the month folds it; then the month's fold of that
    symbol has what it is short of.
    """
    key = ["symbol", "mpid"]
    own = _sums(readers(MONTHLY_NON_ATS), "venue_volume", month, key, "share_volume")
    inside = weeks_of(month).inside
    weekly = _weekly(readers(NON_ATS), "venue_volume", key, TIERS[month.section], inside)
    named = weekly.sums[~_is_folded(weekly.sums)]
    missing = named.sub(own.reindex(named.index, fill_value=0)).astype("int64")
    short = missing[missing > 0].groupby("symbol").sum()
    rest = unexplained(short, own[_is_folded(own)].groupby("symbol").sum())
    off = [{"symbol": str(symbol), "short by": format_shares(n)} for symbol, n in rest.items()]
    return Agreement(off, weekly.lacking)


def market_holds_its_weeks(readers: Readers, month: SliceKey) -> Agreement:
    """All firms' shares of a month together are those of its weeks.

    Bounded as venues are: NMS stocks in the weeks inside, all tiers in the weeks that touch it. The
    firms are not compared one by one, since weeks fold the small ones.
    """
    own = _market(readers, month)
    return _within_weeks(readers(NON_ATS), "venue_share", month, own, together="all firms")


def market_is_that_of_the_monthly_set(readers: Readers, month: SliceKey) -> Agreement:
    """All firms' shares are at least the monthly set's in NMS stocks, at most those of both tiers.

    Both sets are of whole months, so that no week has to be guessed.
    """
    reader, sums, lacking = readers(MONTHLY_NON_ATS), {}, []
    for tier in MONTHLY_NON_ATS.slicing.sections:
        key = MONTHLY_NON_ATS.key(tier, month.period)
        if not _has(reader, "venue_share", key):
            lacking.append(f"{MONTHLY_NON_ATS.name} {key}")
        sums[tier] = int(_sums(reader, "venue_share", key, ["mpid"], "total_volume").sum())
    if lacking:
        return Agreement(lacking=tuple(lacking))
    name = ["all firms"]
    least, most = pd.Series([sums["NMS"]], name), pd.Series([sum(sums.values())], name)
    off = _shown(beyond(_market(readers, month), least, most), "")
    return Agreement(off, is_exact=sums["NMS"] == sum(sums.values()))


def facilities_hold_no_more_than_venues(readers: Readers, day: SliceKey) -> Agreement:
    """No symbol has clearly more shares at facilities in a week than venues have reported.

    Judged on the last trading day of a week. The difference is right where venues have more: they
    report trades at all hours, and the facilities' files those of regular trading hours. It is
    also right within 1 percent the other way, because corrections reach the two sets on different
    days. A symbol that venues do not report at all in its tiers is out of bounds.
    """
    friday = week_ending_of(day.period)
    if day.period != last_trading_day(friday):
        return Agreement(lacking=(NOT_THE_LAST_DAY,))
    own = _sums(readers(REG_SHO_DAILY), "week_to_date", day, ["symbol"], "total_volume")
    weekly = [
        _weekly(readers(each), "symbol_summary", ["symbol"], EVERY_TIER, [friday])
        for each in (ATS, NON_ATS)
    ]
    lacking = tuple(name for each in weekly for name in each.lacking)
    if lacking:
        return Agreement(lacking=lacking)
    venues = pd.concat([each.sums for each in weekly]).groupby(level=0).sum()
    most = (venues + venues // TOLERATED).astype("int64")
    return Agreement(_shown(beyond(own, pd.Series(dtype="int64"), most), "symbol"))


CLAIMS: Mapping[Dataset, tuple[Claim, ...]] = {
    ATS_BLOCKS: (Claim("block_volume", venues_hold_their_weeks),),
    MONTHLY_NON_ATS: (
        Claim("symbol_summary", symbols_hold_their_weeks),
        Claim("venue_volume", firms_hold_their_weeks),
    ),
    OTC_BLOCKS: (
        Claim("block_volume", market_holds_its_weeks),
        Claim("block_volume", market_is_that_of_the_monthly_set),
    ),
    REG_SHO_DAILY: (Claim("week_to_date", facilities_hold_no_more_than_venues),),
}
"""What must agree, by the dataset whose months are judged."""


def _within_weeks(
    reader: SliceReader,
    table: str,
    month: SliceKey,
    own: "pd.Series[int]",
    least_of: Sequence[Tier] = NMS,
    most_of: Sequence[Tier] = EVERY_TIER,
    together: str = "",
) -> Agreement:
    """Hold sums of a month against those of a weekly table; ``together`` names one sum of all."""
    by, weeks = str(own.index.name or ""), weeks_of(month)
    column = [together] if together else [by]
    inside = _weekly(reader, table, column, least_of, weeks.inside)
    touching = _weekly(reader, table, column, most_of, weeks.touching)
    most = None if touching.lacking else touching.sums
    off = _shown(beyond(own, inside.sums, most), by)
    is_exact = weeks.is_whole and set(least_of) == set(most_of)
    return Agreement(off, touching.lacking, is_exact and not touching.lacking)


def _weekly(
    reader: SliceReader,
    table: str,
    by: Sequence[str],
    tiers: Iterable[Tier],
    fridays: Iterable[date],
) -> Weekly:
    """Sum a weekly table over tiers and weeks, by columns of it, or all of it under a name."""
    value = "share_volume" if table == "venue_volume" else "total_volume"
    parts, lacking = [], []
    for week in (WeekKey(tier, friday) for friday in fridays for tier in tiers):
        if _has(reader, table, week):
            parts.append(_sums(reader, table, week, by, value))
        else:
            lacking.append(f"{reader.dataset.name} {week}")
    empty = _sums_of(pd.DataFrame([], columns=[*by, value]), by, value)
    sums = pd.concat([empty, *parts]).groupby(level=list(range(len(by)))).sum().astype("int64")
    return Weekly(sums, tuple(lacking))


def _has(reader: SliceReader, table: str, key: SliceKey) -> bool:
    manifest = reader.manifest(key)
    return manifest is not None and table in manifest["row_counts"]


def _sums(
    reader: SliceReader, table: str, key: SliceKey, by: Sequence[str], value: str
) -> "pd.Series[int]":
    there = [name for name in by if name in {column.name for column in reader.table(table).columns}]
    rows = reader.frame(table, key, [*there, value])
    return _sums_of(rows.assign(**{name: name for name in by if name not in there}), by, value)


def _sums_of(rows: pd.DataFrame, by: Sequence[str], value: str) -> "pd.Series[int]":
    sums: pd.Series[int] = rows.groupby(list(by))[value].sum().astype("int64")
    return sums


def _market(readers: Readers, month: SliceKey) -> "pd.Series[int]":
    """Return all firms' shares of a month of blocks; its kinds of block repeat the same total."""
    rows = readers(OTC_BLOCKS).frame("block_summary", month, ["total_volume"])
    return pd.Series([int(rows["total_volume"].max())], ["all firms"])


def _is_folded(sums: "pd.Series[int]") -> "pd.Series[bool]":
    firms = sums.index.get_level_values("mpid").astype("str")
    return pd.Series(firms.str.startswith(DE_MINIMIS), sums.index)


def _shown(off: pd.DataFrame, by: str) -> list[dict[str, str]]:
    return [
        {by or "of": str(name), **{each: format_shares(row[each]) for each in off.columns}}
        for name, row in off.iterrows()
    ]
