"""The quality rules: what must be true of a slice, and how grave it is if it is not.

A rule's severity and threshold are set here and nowhere else. Expected anomalies (the anomaly table
of the design, its section 2.4) are told apart from unexpected ones: they are recorded, and cost no
score.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from otc_assets.domain.block_rules import BLOCK_RULES
from otc_assets.domain.day_rules import DAY_RULES
from otc_assets.domain.differences import compare_versions
from otc_assets.domain.quality import (
    Finding,
    QualityCheckResult,
    Rule,
    Severity,
    SliceStatus,
    SliceView,
)
from otc_assets.domain.rulebook import Rulebook
from otc_assets.domain.shares import format_shares
from otc_assets.domain.tables import ColumnType, Table
from otc_assets.domain.tiers import Tier

MAX_REJECT_RATE_PCT = 1.0
MIN_ROWS_OF_AVERAGE_PCT = 50.0
"""Design, section 7.2: records per week below half of the rolling average."""
SHARE_SUM_TOLERANCE = 0.1
NOTABLE_VENUE_PCT = 1.0
"""A venue with less than this percent of last week's volume may stop without a warning."""
MAX_SYMBOLS_GONE_PCT: dict[str, float] = {
    Tier.NMS_TIER_1: 20.0,
    Tier.NMS_TIER_2: 20.0,
    Tier.OTC: 40.0,
}
"""In the OTC tier 21 to 27 percent of the symbols do not trade in the next week."""


RULES = Rulebook()
"""Every rule of the weekly tables that is written by hand, in the order of this file."""
rule = RULES.rule


@rule("raw", Severity.ERROR)
def week_is_present(view: SliceView) -> Finding:
    """The source has the week, or FINRA does not offer it: not yet, or no more; none was refused.

    A week without a file is a warning, a file that cannot be taken an error.
    """
    details = {"status": view.status.value} | ({"reason": view.reason} if view.reason else {})
    if view.status is SliceStatus.MISSING:
        return Finding(False, details, severity=Severity.WARNING)
    excused = view.status in (SliceStatus.NOT_DUE, SliceStatus.NOT_OFFERED)
    return Finding(view.status.is_loaded or excused, details, is_expected=excused)


PRESENCE = RULES[0]
"""The one rule that also judges a slice without content."""


def is_presence(name: str) -> bool:
    """Tell whether a rule of this name is `PRESENCE`, of whatever grain."""
    return name.endswith(PRESENCE.name.removeprefix("week"))


def _of_period(each: Rule, period: str) -> Rule:
    """Return a rule under the name that it has for periods that are no weeks."""
    return each if period == "week" else replace(each, name=each.name.replace("week", period))


@rule("raw", Severity.CRITICAL)
def lines_are_accounted_for(view: SliceView) -> Finding:
    """Every line of the file is in raw or in rejects."""
    intake, rows = view.intake, len(view.frames["raw"])
    if intake is None:
        return Finding(False, {"reason": "no record of the file that raw came from"})
    kept = rows + intake.reject_count + intake.repeat_count
    details = {"lines": intake.line_count, "raw": rows, "rejects": kept - rows}
    return Finding(kept == intake.line_count and rows == intake.row_count, details)


@rule("raw", Severity.WARNING)
def few_lines_are_rejected(view: SliceView) -> Finding:
    """At most 1 percent of the lines are refused, exact repeats aside."""
    intake = view.intake
    if intake is None or intake.line_count == 0:
        return Finding(True)
    rate = 100 * intake.reject_count / intake.line_count
    details = {"reject_rate_pct": round(rate, 4), **dict(intake.reasons)}
    return Finding(
        rate <= MAX_REJECT_RATE_PCT, details, is_expected=0 < rate <= MAX_REJECT_RATE_PCT
    )


@rule("raw", Severity.WARNING)
def duplicates_are_explained(view: SliceView) -> Finding:
    """Records that share symbol and MPID differ in issue name or product type (real twins).

    Of a dataset that has no symbols, or no venues, records that share what it has.
    """
    raw, record = view.frames["raw"], list(view.dataset.record)
    twins = raw[raw.duplicated(record, keep=False)]
    conflicts = twins[twins.duplicated([*record, *view.dataset.twins], keep=False)]
    repeats = view.intake.repeat_count if view.intake else 0
    details: dict[str, Any] = {
        "exact_repeats": repeats,
        "twins": len(twins),
        "conflicts": len(conflicts),
    }
    if len(conflicts):
        first = conflicts.iloc[0]
        details["first_conflict"] = " on ".join(str(first[name]) for name in record)
    return Finding(
        conflicts.empty, details, is_expected=conflicts.empty and repeats + len(twins) > 0
    )


@rule("venue_volume", Severity.CRITICAL, blocking=True)
def no_negative_volumes(view: SliceView) -> Finding:
    """No share volume is negative."""
    return _none(view.frames["venue_volume"], "share_volume")


@rule("venue_volume", Severity.CRITICAL, blocking=True)
def no_negative_trades(view: SliceView) -> Finding:
    """No trade count is negative."""
    return _none(view.frames["venue_volume"], "trade_count")


def _none(rows: pd.DataFrame, column: str) -> Finding:
    bad = rows[rows[column] < 0]
    if bad.empty:
        return Finding(True, {"rows": len(rows)})
    first = bad.iloc[0]
    return Finding(False, {"negative": len(bad), "first": f"{first['symbol']} on {first['mpid']}"})


@rule("venue_volume", Severity.ERROR, blocking=True)
def no_duplicates(view: SliceView) -> Finding:
    """No symbol and venue has two rows."""
    duplicates = int(view.frames["venue_volume"].duplicated(["symbol", "mpid"]).sum())
    return Finding(duplicates == 0, {"duplicates": duplicates})


@rule("venue_volume", Severity.ERROR)
def at_least_one_symbol(view: SliceView) -> Finding:
    """At least one symbol was reported."""
    count = view.frames["venue_volume"]["symbol"].nunique()
    return Finding(count > 0, {"symbols": count})


@rule("venue_volume", Severity.ERROR)
def at_least_one_venue(view: SliceView) -> Finding:
    """At least one venue reported."""
    count = view.frames["venue_volume"]["mpid"].nunique()
    return Finding(count > 0, {"venues": count})


@rule("venue_volume", Severity.WARNING)
def something_traded(view: SliceView) -> Finding:
    """Not every symbol has zero volume (some with zero volume are expected: illiquid stocks)."""
    volumes = view.frames["venue_volume"].groupby("symbol")["share_volume"].sum()
    zero = int((volumes == 0).sum())
    return Finding(zero < len(volumes), {"zero_volume_symbols": zero}, is_expected=zero > 0)


@rule("venue_volume", Severity.CRITICAL, blocking=True)
def venue_volume_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and trades are those of raw, to the last decimal."""
    return _conserved(view, "raw", "share_volume", "trade_count", "venue_volume")


@rule("venue_volume", Severity.WARNING, looks_back=True)
def venues_of_last_week_are_there(view: SliceView) -> Finding:
    """No venue with 1 percent or more of last week's volume is gone."""
    previous = view.previous()
    if previous is None:
        return Finding(True, {"compared": False})
    volumes = previous.groupby("mpid")["share_volume"].sum()
    gone = volumes[~volumes.index.isin(view.frames["venue_volume"]["mpid"].unique())]
    parts = (100 * gone / (volumes.sum() or np.nan)).fillna(0).round(2)
    details = {"gone": {str(mpid): float(part) for mpid, part in parts.items()}}
    notable = bool((parts >= NOTABLE_VENUE_PCT).any())
    return Finding(not notable, details, is_expected=len(gone) > 0 and not notable)


@rule("venue_volume", Severity.WARNING, looks_back=True)
def symbols_of_last_week_are_there(view: SliceView) -> Finding:
    """No more of last week's symbols are gone than is usual in the tier."""
    previous = view.previous()
    if previous is None:
        return Finding(True, {"compared": False})
    before = set(previous["symbol"].unique().tolist())
    gone = before - set(view.frames["venue_volume"]["symbol"].unique().tolist())
    rate = 100 * len(gone) / len(before) if before else 0.0
    usual = rate <= MAX_SYMBOLS_GONE_PCT.get(view.week.section, 20.0)
    details = {"gone": len(gone), "gone_pct": round(rate, 2), "examples": sorted(gone)[:10]}
    return Finding(usual, details, is_expected=usual and bool(gone))


@rule("venue_volume", Severity.WARNING, looks_back=True)
def record_count_is_usual(view: SliceView) -> Finding:
    """The rows are at least half of the average of the five weeks before."""
    rows = len(view.frames["venue_volume"])
    recent = view.recent_row_counts()
    if not recent:
        return Finding(True, {"rows": rows, "compared": False})
    average = sum(recent) / len(recent)
    part = 100 * rows / average if average else 100.0
    details = {"rows": rows, "average": round(average, 1), "pct_of_average": round(part, 1)}
    return Finding(part >= MIN_ROWS_OF_AVERAGE_PCT, details)


@rule("symbol_summary", Severity.CRITICAL)
def symbol_summary_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and trades are those of venue_volume."""
    return _conserved(view, "venue_volume", "share_volume", "trade_count", "symbol_summary")


@rule("venue_share", Severity.CRITICAL)
def venue_share_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and trades are those of venue_volume."""
    return _conserved(view, "venue_volume", "share_volume", "trade_count", "venue_share")


@rule("venue_share", Severity.ERROR)
def shares_sum_to_100(view: SliceView) -> Finding:
    """The market shares add up to 100 percent, within 0.1."""
    rows = view.frames["venue_share"]
    total = float(rows["market_share_pct"].sum())
    traded = bool((rows["total_volume"] > 0).any())
    right = abs(total - 100) <= SHARE_SUM_TOLERANCE if traded else total == 0
    return Finding(right, {"sum_pct": total})


@rule("rolling_6w", Severity.INFO, looks_back=True)
def window_is_complete(view: SliceView) -> Finding:
    """All six weeks of the window are in the store."""
    weeks = view.weeks_in_window
    return Finding(weeks == 6, {"weeks_in_window": weeks}, is_expected=weeks < 6)


@rule("rolling_6w", Severity.CRITICAL)
def rolling_6w_volume_is_conserved(view: SliceView) -> Finding:
    """The current volumes add up to those of symbol_summary."""
    rolling = int(view.frames["rolling_6w"]["current_volume"].sum())
    summary = int(view.frames["symbol_summary"]["total_volume"].sum())
    details = {"symbol_summary": format_shares(summary), "rolling_6w": format_shares(rolling)}
    return Finding(rolling == summary, details)


@rule("concentration", Severity.ERROR)
def hhi_is_within_bounds(view: SliceView) -> Finding:
    """10,000 / venues <= HHI <= 10,000 where something traded, and none where nothing did."""
    rows = view.frames["concentration"]
    rounding = 0.005 + 1e-9
    low = rows["hhi"] < 10_000 / rows["venue_count"] - rounding
    volumes = view.frames["venue_volume"].groupby("symbol")["share_volume"].sum()
    traded = rows["symbol"].map(volumes).gt(0)
    outside = rows[low | (rows["hhi"] > 10_000 + rounding) | (rows["hhi"].notna() != traded)]
    details: dict[str, Any] = {"symbols": len(rows), "outside": len(outside)}
    return Finding(outside.empty, details)


@rule("concentration", Severity.ERROR)
def every_symbol_is_rated(view: SliceView) -> Finding:
    """Each version has exactly the symbols of venue_volume."""
    wanted = set(view.frames["venue_volume"]["symbol"].unique().tolist())
    versions = view.frames["concentration"].groupby("calc_version")["symbol"]
    wrong = {str(v): len(wanted ^ set(symbols.tolist())) for v, symbols in versions}
    return Finding(bool(wrong) == bool(wanted) and not any(wrong.values()), {"differences": wrong})


@rule("research_snapshot", Severity.CRITICAL, blocking=True)
def research_snapshot_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and trades are those of raw: nothing was lost on the whole way."""
    return _conserved(view, "raw", "share_volume", "trade_count", "research_snapshot")


def _conserved(view: SliceView, source: str, shares: str, trades: str, target: str) -> Finding:
    """Compare the sums of ``source`` with total_volume and total_trades of ``target``."""
    before, after = view.frames[source], view.frames[target]
    mine = (shares, trades) if shares in after else ("total_volume", "total_trades")
    sums = [(int(before[shares].sum()), int(before[trades].sum()))]
    sums.append((int(after[mine[0]].sum()), int(after[mine[1]].sum())))
    details = {
        name: {"shares": format_shares(volume), "trades": count}
        for name, (volume, count) in zip((source, target), sums, strict=True)
    }
    return Finding(sums[0] == sums[1], details)


def _holds_what_it_declares(table: Table) -> Rule:
    def evaluate(view: SliceView) -> Finding:
        """Keys are unique, required columns have a value, and numbers are finite."""
        rows = view.frames[table.name]
        key = [name for name in table.key if name in rows]
        found = {"duplicate keys": int(rows.duplicated(key).sum()) if key else 0}
        for column in table.columns:
            if column.name in rows and not column.nullable:
                found[f"{column.name} is null"] = int(rows[column.name].isna().sum())
            if column.name in rows and column.type is ColumnType.NUMBER:
                numbers = rows[column.name].astype("float64")
                found[f"{column.name} is infinite"] = int(np.isinf(numbers).sum())
        wrong = {what: count for what, count in found.items() if count}
        return Finding(not wrong, wrong)

    return Rule("columns_hold_what_they_declare", table.name, Severity.ERROR, evaluate)


def _keeps_its_promise(table: Table, older: str, newer: str) -> Rule:
    def evaluate(view: SliceView) -> Finding:
        found = compare_versions(table, view.frames[table.name], older, newer)
        wrong = found.columns[found.columns["different"] > 0]
        details: dict[str, Any] = {
            f"{column} differs": int(count)
            for column, count in zip(wrong["column"], wrong["different"], strict=True)
        }
        for side in (older, newer):
            if count := int((found.differences["found_in"] == side).sum()):
                details[f"only {side}"] = count
        if details:
            first = found.differences.iloc[0]
            details["first"] = " ".join(str(first[name]) for name in table.key if name in first)
        return Finding(not details, details)

    evaluate.__doc__ = f"{newer}, which breaks nothing, has the rows and values of {older}."
    return Rule(f"{newer}_equals_{older}", table.name, Severity.ERROR, evaluate)


def rules_of(table: Table) -> list[Rule]:
    """Return the rules of a table: those written for it, and those its description gives."""
    promises = [_keeps_its_promise(table, *pair) for pair in table.equal_versions]
    written = [
        _of_period(r, table.period)
        for r in (*RULES, *BLOCK_RULES, *DAY_RULES)
        if r.table == table.name
    ]
    return [*written, *promises, _holds_what_it_declares(table)]


def evaluate(rules: Iterable[Rule], view: SliceView) -> list[QualityCheckResult]:
    """Evaluate rules on a slice; of one without content, only its presence is in question."""
    results = []
    presence = _of_period(PRESENCE, view.week.slicing.grain.name)
    for each in rules if view.intake else [presence]:
        finding = each.evaluate(view)
        severity = finding.severity or each.severity
        results.append(
            QualityCheckResult(
                each.name, finding.passed, severity, finding.is_expected, finding.details
            )
        )
    return results
