"""Why a source line is refused. A refused line is kept, whole, with its reason: never dropped."""

from datetime import date
from enum import StrEnum

import pandas as pd

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.shares import MAX_WHOLE_DIGITS, NUMBER
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey


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
    INVALID_DATE = "invalid_date"
    FUTURE_DATE = "future_date"
    EXACT_REPEAT = "exact_repeat"


REASONS = {
    RejectReason.MALFORMED_LINE: "the line has more or fewer fields than the header",
    RejectReason.EMPTY_SYMBOL: "no symbol",
    RejectReason.EMPTY_MPID: "no venue: no MPID, or in non-ATS data no CRD number and name",
    RejectReason.UNKNOWN_TIER: "a tier other than " + ", ".join(Tier),
    RejectReason.WRONG_SUMMARY_TYPE: "not a venue-by-symbol record; its volume would count twice",
    RejectReason.INVALID_VOLUME: "the share quantity is no number, has over 6 decimals or over "
    "12 digits before them",
    RejectReason.NEGATIVE_VOLUME: "the share quantity is negative",
    RejectReason.INVALID_TRADES: "the trade count is no whole number of up to 12 digits",
    RejectReason.NEGATIVE_TRADES: "the trade count is negative",
    RejectReason.INVALID_NOTIONAL: "the notional is no number, or has over 12 digits before "
    "the point",
    RejectReason.INVALID_DATE: "a date that is none, that lies before the end of the week, or "
    "another week than the file's",
    RejectReason.FUTURE_DATE: "a date over a year after the day of reading; with a nearer one, the "
    "whole file is refused until that day",
    RejectReason.EXACT_REPEAT: "the same line again: counted once",
}

AMOUNT = rf"-?[0-9]{{1,{MAX_WHOLE_DIGITS}}}(?:\.[0-9]+)?"
TRADES = r"-?[0-9]{1,12}"


def reject_reasons(
    rows: pd.DataFrame, week: WeekKey, today: date, dataset: Dataset = ATS
) -> "pd.Series[str]":
    """Return the first reason against each row, ``""`` for a good one.

    ``rows`` has text columns: symbol, mpid, share_volume, trade_count and, where the dialect has
    them, tier, summary_type, notional, publication_date, revision_date, last_reported_date and the
    week itself as week_ending or week_start (ISO dates). Exact repeats are found later, among the
    good rows.
    """
    reasons = pd.Series("", index=rows.index, dtype=object)

    def mark(bad: "pd.Series[bool]", reason: RejectReason) -> None:
        if bad.any():  # seldom, and to look through all reasons costs more than the rules
            reasons[bad & (reasons == "")] = reason.value

    if "tier" in rows:
        mark(~rows["tier"].isin(list(Tier)), RejectReason.UNKNOWN_TIER)
    if "summary_type" in rows:
        mark(rows["summary_type"] != dataset.summary_type, RejectReason.WRONG_SUMMARY_TYPE)
    mark(rows["symbol"].str.strip() == "", RejectReason.EMPTY_SYMBOL)
    mark(rows["mpid"].str.strip() == "", RejectReason.EMPTY_MPID)
    mark(~rows["share_volume"].str.fullmatch(NUMBER), RejectReason.INVALID_VOLUME)
    mark(rows["share_volume"].str.startswith("-"), RejectReason.NEGATIVE_VOLUME)
    mark(~rows["trade_count"].str.fullmatch(TRADES), RejectReason.INVALID_TRADES)
    mark(rows["trade_count"].str.startswith("-"), RejectReason.NEGATIVE_TRADES)
    if "notional" in rows:
        known = rows["notional"] != ""
        mark(known & ~rows["notional"].str.fullmatch(AMOUNT), RejectReason.INVALID_NOTIONAL)
    for column in ("publication_date", "revision_date"):
        if column in rows:
            days = _dates(rows[column])
            mark(days.isna() | (days <= pd.Timestamp(week.week_ending)), RejectReason.INVALID_DATE)
            mark(days > pd.Timestamp(today), RejectReason.FUTURE_DATE)
    if "last_reported_date" in rows:
        text = rows["last_reported_date"]
        mark((text != "") & _dates(text).isna(), RejectReason.INVALID_DATE)
    for column, named in (("week_ending", week.week_ending), ("week_start", week.monday)):
        if column in rows:
            days = _dates(rows[column])
            mark(days > pd.Timestamp(today), RejectReason.FUTURE_DATE)
            mark(days != pd.Timestamp(named), RejectReason.INVALID_DATE)
    return reasons


def _dates(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    """Parse ISO dates by their few distinct values; NaT where there is none."""
    strict = text.where(text.str.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "")
    distinct = strict.unique()
    parsed = pd.to_datetime(pd.Series(distinct), format="%Y-%m-%d", errors="coerce")
    return strict.map(dict(zip(distinct, parsed, strict=True)))
