"""The quality rules of the blocks: what must be true of a venue's month.

FINRA's own averages, parts and ranks are rounded, to how many digits is documented nowhere. So they
are held against the quantities within a tolerance that any rounding to two digits (of an average,
to whole shares) keeps.
"""

from functools import partial
from typing import Any

import pandas as pd

from otc_assets.domain.quality import Finding, Severity, SliceView
from otc_assets.domain.rulebook import Rulebook, none_of
from otc_assets.domain.shares import format_shares, percent, to_shares

ROUNDED_SHARES = 1.0
ROUNDED_PCT = 0.02
BLOCK_RULES = Rulebook()
rule = BLOCK_RULES.rule
_none = partial(none_of, named="{mpid}, blocks {block_type}")


@rule("block_volume", Severity.CRITICAL, blocking=True)
def nothing_is_negative(view: SliceView) -> Finding:
    """No quantity and no count is negative."""
    rows = view.frames["block_volume"]
    quantities = ["share_volume", "trade_count", "block_volume", "block_count"]
    return _none(rows, (rows[quantities] < 0).any(axis=1))


@rule("block_volume", Severity.CRITICAL, blocking=True)
def blocks_are_part_of_the_total(view: SliceView) -> Finding:
    """No venue has more shares, or more trades, in blocks than in all."""
    rows = view.frames["block_volume"]
    more = rows["block_volume"] > rows["share_volume"]
    return _none(rows, more | (rows["block_count"] > rows["trade_count"]))


@rule("block_volume", Severity.CRITICAL, blocking=True)
def block_volume_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and blocks are those of raw, to the last decimal."""
    sums = [
        [int(view.frames[table][name].sum()) for name in ("share_volume", "block_volume")]
        for table in ("raw", "block_volume")
    ]
    shown = [", in blocks ".join(map(format_shares, each)) for each in sums]
    return Finding(sums[0] == sums[1], {"raw": shown[0], "block_volume": shown[1]})


@rule("block_volume", Severity.ERROR)
def blocks_have_shares(view: SliceView) -> Finding:
    """There are shares in blocks exactly where there are blocks."""
    rows = view.frames["block_volume"]
    return _none(rows, (rows["block_volume"] > 0) != (rows["block_count"] > 0))


@rule("block_volume", Severity.ERROR)
def averages_fit_the_quantities(view: SliceView) -> Finding:
    """FINRA's average sizes are quantity by count, as far as they are rounded."""
    raw = view.frames["raw"]
    wrong = _beyond(raw["avg_trade_size"], raw["share_volume"], raw["trade_count"])
    wrong |= _beyond(raw["avg_block_size"], raw["block_volume"], raw["block_count"])
    return _none(raw, wrong)


@rule("block_volume", Severity.ERROR)
def percentages_fit_the_quantities(view: SliceView) -> Finding:
    """FINRA's percentages are those of the quantities, as far as they are rounded."""
    raw = view.frames["raw"]
    by_type = raw.groupby("block_type")
    expected = {
        "block_trade_part_pct": percent(raw["block_count"], raw["trade_count"]),
        "block_share_part_pct": percent(raw["block_volume"], raw["share_volume"]),
        "block_market_pct": percent(raw["block_volume"], by_type["block_volume"].transform("sum")),
        "market_pct": percent(raw["share_volume"], by_type["share_volume"].transform("sum")),
    }
    wrong = pd.Series(False, raw.index)
    columns = []
    for name, value in expected.items():
        off = (raw[name] - value.fillna(0.0)).abs() > ROUNDED_PCT
        columns += [name] if off.any() else []
        wrong |= off
    found = _none(raw, wrong)
    return Finding(found.passed, found.details | ({"columns": columns} if columns else {}))


@rule("block_volume", Severity.ERROR)
def ranks_follow_the_blocks(view: SliceView) -> Finding:
    """Of two venues, the one with more shares in blocks has FINRA's better rank, or the same."""
    raw = view.frames["raw"]
    ranked = raw[raw["block_market_rank"].notna()]
    ordered = ranked.sort_values(["block_type", "block_volume"], ascending=[True, False])
    before = ordered.groupby("block_type")[["block_market_rank", "block_volume"]].shift()
    fewer = ordered["block_volume"] < before["block_volume"]
    better = ordered["block_market_rank"] < before["block_market_rank"]
    return _none(ordered, (fewer & better).fillna(False).astype(bool))


@rule("block_volume", Severity.ERROR)
def totals_do_not_depend_on_the_block_type(view: SliceView) -> Finding:
    """A venue's shares and trades are the same beside each definition of a block."""
    rows = view.frames["block_volume"]
    values = rows.groupby("mpid")[["share_volume", "trade_count"]].transform("nunique")
    return _none(rows, (values > 1).any(axis=1))


@rule("block_summary", Severity.CRITICAL)
def block_summary_volume_is_conserved(view: SliceView) -> Finding:
    """Shares and blocks are those of block_volume."""
    rows, summary = view.frames["block_volume"], view.frames["block_summary"]
    before = int(rows["share_volume"].sum()), int(rows["block_volume"].sum())
    after = int(summary["total_volume"].sum()), int(summary["block_volume"].sum())
    shown = [", in blocks ".join(map(format_shares, each)) for each in (before, after)]
    return Finding(before == after, {"block_volume": shown[0], "block_summary": shown[1]})


def _beyond(
    average: "pd.Series[Any]", quantity: "pd.Series[Any]", count: "pd.Series[Any]"
) -> "pd.Series[bool]":
    """Tell of each row whether an average is further from quantity by count than rounding goes."""
    exact = (to_shares(quantity) / count.where(count > 0)).fillna(0.0)
    beyond: pd.Series[bool] = (average - exact).abs() > ROUNDED_SHARES
    return beyond
