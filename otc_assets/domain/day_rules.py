"""The quality rules of the daily short sale volume."""

from functools import partial

from otc_assets.domain.quality import Finding, Severity, SliceView
from otc_assets.domain.rulebook import Rulebook, none_of
from otc_assets.domain.shares import format_shares

DAY_RULES = Rulebook()
rule = DAY_RULES.rule
_none = partial(none_of, named="{symbol}")
QUANTITIES = ["total_volume", "short_volume", "short_exempt_volume"]


@rule("short_volume", Severity.CRITICAL, blocking=True)
def no_quantity_is_negative(view: SliceView) -> Finding:
    """No quantity is negative."""
    rows = view.frames["short_volume"]
    return _none(rows, (rows[QUANTITIES] < 0).any(axis=1))


@rule("short_volume", Severity.CRITICAL, blocking=True)
def short_sales_are_part_of_the_total(view: SliceView) -> Finding:
    """No symbol has more shares sold short than traded, or more of them exempt than sold short."""
    rows = view.frames["short_volume"]
    more = rows["short_volume"] > rows["total_volume"]
    return _none(rows, more | (rows["short_exempt_volume"] > rows["short_volume"]))


@rule("short_volume", Severity.CRITICAL, blocking=True)
def short_volume_volume_is_conserved(view: SliceView) -> Finding:
    """Shares are those of raw, to the last decimal."""
    raw, rows = view.frames["raw"], view.frames["short_volume"]
    sums = [[int(each[name].sum()) for name in QUANTITIES] for each in (raw, rows)]
    shown = [", ".join(map(format_shares, each)) for each in sums]
    return Finding(sums[0] == sums[1], {"raw": shown[0], "short_volume": shown[1]})


@rule("week_to_date", Severity.CRITICAL)
def what_is_summed_has_the_day_itself(view: SliceView) -> Finding:
    """No symbol has less since Monday than on the day itself."""
    day = view.frames["short_volume"].set_index("symbol")["total_volume"]
    week = view.frames["week_to_date"].set_index("symbol")["total_volume"]
    less = week.reindex(day.index, fill_value=0) < day
    return Finding(not less.any(), {"symbols": len(day), "less": int(less.sum())})
