"""Why a source line is refused. A refused line is kept, whole, with its reason: never dropped."""

from datetime import date
from enum import StrEnum

import pandas as pd

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.shares import MAX_WHOLE_DIGITS, NUMBER
from otc_assets.domain.tables import ColumnType
from otc_assets.domain.tiers import Tier


class RejectReason(StrEnum):
    """The reason code of a refused line; `REASONS` says what each one means."""

    MALFORMED_LINE = "malformed_line"
    EMPTY_SYMBOL = "empty_symbol"
    EMPTY_MPID = "empty_mpid"
    UNKNOWN_TIER = "unknown_tier"
    WRONG_SUMMARY_TYPE = "wrong_summary_type"
    INVALID_VOLUME = "invalid_volume"
    NEGATIVE_VOLUME = "negative_volume"
    INVALID_TRADES = "invalid_trades"
    NEGATIVE_TRADES = "negative_trades"
    INVALID_NOTIONAL = "invalid_notional"
    INVALID_NUMBER = "invalid_number"
    NEGATIVE_NUMBER = "negative_number"
    INVALID_DATE = "invalid_date"
    FUTURE_DATE = "future_date"
    EXACT_REPEAT = "exact_repeat"


REASONS = {
    RejectReason.MALFORMED_LINE: "the line has more or fewer fields than the header",
    RejectReason.EMPTY_SYMBOL: "no symbol",
    RejectReason.EMPTY_MPID: "no venue: no MPID, or in non-ATS data no CRD number and name",
    RejectReason.UNKNOWN_TIER: "a tier other than " + ", ".join(Tier) + " (of monthly data: NMS, "
    "OTC)",
    RejectReason.WRONG_SUMMARY_TYPE: "a record of another kind, such as a total; its volume would "
    "count twice",
    RejectReason.INVALID_VOLUME: "the share quantity is no number, has over 6 decimals or over "
    "12 digits before them",
    RejectReason.NEGATIVE_VOLUME: "the share quantity is negative",
    RejectReason.INVALID_TRADES: "the trade count, or another count, is no whole number of up to "
    "12 digits",
    RejectReason.NEGATIVE_TRADES: "the trade count, or another count, is negative",
    RejectReason.INVALID_NOTIONAL: "the notional is no number, or has over 12 digits before "
    "the point",
    RejectReason.INVALID_NUMBER: "a percentage or an average is no number",
    RejectReason.NEGATIVE_NUMBER: "a percentage or an average is negative",
    RejectReason.INVALID_DATE: "a date that is none, that lies before the end of the week (month, "
    "day), or another week than the file's",
    RejectReason.FUTURE_DATE: "a date over a year after the day of reading; with a nearer one, the "
    "whole file is refused until that day",
    RejectReason.EXACT_REPEAT: "the same line again: counted once",
}

AMOUNT = rf"-?[0-9]{{1,{MAX_WHOLE_DIGITS}}}(?:\.[0-9]+)?"
TRADES = r"-?[0-9]{1,12}"
NUMBERS = {
    ColumnType.SHARES: (NUMBER, RejectReason.INVALID_VOLUME, RejectReason.NEGATIVE_VOLUME),
    ColumnType.COUNT: (TRADES, RejectReason.INVALID_TRADES, RejectReason.NEGATIVE_TRADES),
    ColumnType.DOLLARS: (AMOUNT, RejectReason.INVALID_NOTIONAL, None),
    ColumnType.NUMBER: (AMOUNT, RejectReason.INVALID_NUMBER, RejectReason.NEGATIVE_NUMBER),
}
"""What a number of each type looks like in a source, and what is said of one that does not, and of
a negative one (a value traded may be)."""
EMPTY = {"symbol": RejectReason.EMPTY_SYMBOL, "mpid": RejectReason.EMPTY_MPID}


def reject_reasons(
    rows: pd.DataFrame, week: SliceKey, today: date, dataset: Dataset = ATS
) -> "pd.Series[str]":
    """Return the first reason against each row, ``""`` for a good one.

    ``rows`` has text columns: those of the dataset's raw that the dialect has and, where it has
    them, tier, summary_type and the period itself, as the column that names it or by its first day
    (ISO dates). A column that may be null may be empty. Exact repeats are found later, among the
    good rows.
    """
    reasons = pd.Series("", index=rows.index, dtype=object)

    def mark(bad: "pd.Series[bool]", reason: RejectReason) -> None:
        if bad.any():  # seldom, and to look through all reasons costs more than the rules
            reasons[bad & (reasons == "")] = reason.value

    if "tier" in rows:
        mark(~rows["tier"].isin(list(dataset.slicing.sections)), RejectReason.UNKNOWN_TIER)
    if "summary_type" in rows and dataset.summary_type:
        mark(rows["summary_type"] != dataset.summary_type, RejectReason.WRONG_SUMMARY_TYPE)
    there = [column for column in dataset.content if column.name in rows]
    for column in there:
        if column.name in EMPTY:
            mark(rows[column.name].str.strip() == "", EMPTY[column.name])
    for column in there:
        if column.type in NUMBERS:
            pattern, invalid, negative = NUMBERS[column.type]
            text = rows[column.name]
            wrong = ~text.str.fullmatch(pattern)
            mark(wrong & (text != "") if column.nullable else wrong, invalid)
            if negative:
                mark(text.str.startswith("-"), negative)
    for name in ("publication_date", "revision_date"):
        if name in rows:
            days = _dates(rows[name])
            mark(days.isna() | (days <= pd.Timestamp(week.last_day)), RejectReason.INVALID_DATE)
            mark(days > pd.Timestamp(today), RejectReason.FUTURE_DATE)
    if "last_reported_date" in rows:
        text = rows["last_reported_date"]
        mark((text != "") & _dates(text).isna(), RejectReason.INVALID_DATE)
    grain = dataset.grain
    for name, named in ((grain.column.name, week.period), (grain.start_column, week.first_day)):
        if name in rows:
            days = _dates(rows[name])
            mark(days > pd.Timestamp(today), RejectReason.FUTURE_DATE)
            mark(days != pd.Timestamp(named), RejectReason.INVALID_DATE)
    return reasons


def _dates(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Parse ISO dates by their few distinct values; NaT where there is none."""
    strict = text.where(text.str.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "")
    distinct = strict.unique()
    parsed = pd.to_datetime(pd.Series(distinct), format="%Y-%m-%d", errors="coerce")
    return strict.map(dict(zip(distinct, parsed, strict=True)))
