"""Which slice a file is of: its tier and its week, told from its name and its rows.

``lastUpdateDate`` is a publication or correction date, never the week. The week is, in this order:
a week in the file's name (``week_2025-12-26``); a week column; the most frequent
``lastUpdateDate``, taken as a publication date and run backwards through FINRA's calendar.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from otc_assets.domain.calendar import week_published_on
from otc_assets.domain.datasets import ATS, Dataset, every_dataset
from otc_assets.domain.grains import Grain, SliceKey
from otc_assets.domain.tiers import Tier
from otc_assets.sources.dialects import Lines, dialects_of
from otc_assets.sources.errors import SourceError

_TIER_AND_DATE = re.compile(r"(tier_?1|tier_?2|otc)_([0-9]{8})", re.IGNORECASE | re.ASCII)
_TIER_NAMES = {"tier1": Tier.NMS_TIER_1, "tier2": Tier.NMS_TIER_2, "otc": Tier.OTC}


@dataclass(frozen=True)
class NameHint:
    """What a file's name says of its slice."""

    tier: Tier | None = None
    week_ending: date | None = None
    named_week: bool = False
    """The week stands in the name itself, and does not come from a publication date in it."""

    def fits(self, week: SliceKey) -> bool:
        """Tell whether a file of this name may be meant for ``week``."""
        return self.week_ending == week.period and self.tier in (None, week.section)


def hint_of(name: str, dataset: Dataset = ATS) -> NameHint:
    """Read ``week_2025-12-26`` or ``tier1_20251215`` (tier and publication date) in a name.

    In those of a dataset of another grain, ``month_2025-05-01``.
    """
    tier, week_ending, named = None, None, False
    if dataset.is_weekly and (match := _TIER_AND_DATE.search(name)):
        tier = _TIER_NAMES[match[1].lower().replace("_", "")]
        week_ending = _published(tier, match[2])
    if match := re.search(rf"{dataset.grain.name}_([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})", name):
        week_ending, named = _date(match[1]), True
    return NameHint(tier, week_ending, named)


def _published(tier: Tier, digits: str) -> date | None:
    day = _date(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}")
    try:
        return week_published_on(tier, day).week_ending if day else None
    except ValueError:  # the date of a correction
        return None


def _date(text: str) -> date | None:
    """Return an ISO date of the years in which there can be data, None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year < 2200 else None


def resolve(name: str, lines: Lines, today: date) -> SliceKey:
    """Return the slice that a file is of.

    Raises:
        SourceError: no tier or week can be told, several are mixed, or name and rows disagree.

    """
    dataset = dataset_of(lines)
    hint, grain = hint_of(name, dataset), dataset.grain
    tier = _tier(name, lines.rows, dataset)
    line = int(lines.rows["line_number"].iloc[0])
    if hint.tier not in (None, tier):
        raise SourceError(name, f"its name says {hint.tier}, its rows say {tier}", line=line)
    week = _week_of_rows(name, lines.rows, today, grain)
    if hint.named_week:
        if hint.week_ending is None:
            raise SourceError(name, f"the {grain.name} in its name is no date")
        if week not in (None, hint.week_ending):
            reason = f"its name says {grain.name} {hint.week_ending}, its rows say {week}"
            raise SourceError(name, reason, line=line)
        week = hint.week_ending
    if week is None:
        return _week_of_publication(name, lines.rows, tier)
    if week > today:
        raise SourceError(name, f"the {grain.name} {week} ends in the future", line=line)
    try:
        found: SliceKey = dataset.key(tier, week)
    except ValueError as error:
        raise SourceError(name, str(error), line=line) from None
    return found


def dataset_of(lines: Lines) -> Dataset:
    """Return the dataset that most rows are of; the dialects that do not say so hold ATS data."""
    mine = [dataset for dataset in every_dataset() if lines.dialect in dialects_of(dataset)]
    if len(mine) < 2 or "summary_type" not in lines.rows:
        return mine[0] if mine else ATS
    rows = {d: int((lines.rows["summary_type"] == d.summary_type).sum()) for d in mine}
    return max(rows, key=lambda dataset: rows[dataset])


def _tier(name: str, rows: pd.DataFrame, dataset: Dataset) -> str:
    sections = dataset.slicing.sections
    if rows.empty:
        raise SourceError(name, "no line has as many fields as the header", line=2)
    if "tier" not in rows:
        return sections[0]
    known = rows[rows["tier"].isin(list(sections))]
    if known.empty:
        first = rows.iloc[0]
        reason = f"unknown tier {first['tier']!r}; known: {', '.join(sections)}"
        raise SourceError(name, reason, line=int(first["line_number"]))
    tier = str(known["tier"].mode().iloc[0])
    _refuse_mixed(name, known, known["tier"] != tier, "tier", tier)
    return tier


def _refuse_mixed(
    name: str, rows: pd.DataFrame, other: "pd.Series[bool]", column: str, usual: str
) -> None:
    if not other.any():
        return
    first = rows[other].iloc[0]
    raise SourceError(
        name,
        f"mixes several slices: {column} {first[column]!r} where the other rows have {usual!r}; "
        "give each (tier, week) a file of its own",
        line=int(first["line_number"]),
    )


def _week_of_rows(name: str, rows: pd.DataFrame, today: date, grain: Grain) -> date | None:
    """Return the period that the rows themselves tell; single bad dates are for their judge."""
    columns = (grain.column.name, grain.start_column)
    column = next((name for name in columns if name in rows), None)
    if column is None:
        return None
    offset = grain.named_after if column == grain.start_column else timedelta(0)
    weeks = {text: day + offset for text in rows[column].unique() if (day := _date(text))}
    known = rows[rows[column].isin(list(weeks))]
    if known.empty:
        raise SourceError(name, f"no row has a date in {column}", line=2)
    usual = known[column].mode().iloc[0]
    past = known[column].isin([text for text, week in weeks.items() if week <= today])
    _refuse_mixed(name, known, past & (known[column] != usual), column, usual)
    return weeks[usual]


def _week_of_publication(name: str, rows: pd.DataFrame, tier: str) -> SliceKey:
    days = rows.loc[rows["tier"] == tier, "revision_date"]
    day = _date(days.mode().iloc[0])
    if day is None:
        raise SourceError(name, f"lastUpdateDate {days.mode().iloc[0]!r} is no date", line=2)
    try:
        found: SliceKey = week_published_on(tier, day)
    except ValueError as error:
        reason = (
            f"the week cannot be told from lastUpdateDate: {error}; name the file week_<Friday>"
        )
        raise SourceError(name, reason) from None
    return found
