"""What the tables must hold, worked out from a world by plain Python, in exact fractions."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from otc_assets_tests.finra.world import ATS, Part, Record, World

Rows = dict[Any, dict[str, Any]]
"""By the key of a table: its columns. Shares and dollars are in millionths, as in frames."""


def venue_of(record: Record) -> str:
    """What identifies a venue: dealers have no MPID."""
    if record["summaryTypeCode"] == ATS:
        return str(record["MPID"])
    return f"{record['firmCRDNumber']} {record['marketParticipantName']}"


def _millionths(text: object) -> int:
    exact = Decimal(str(text)) * 10**6
    assert exact == int(exact)
    return int(exact)


@dataclass(frozen=True)
class Amounts:
    """What a record says, or several together."""

    symbol: str
    venue: str
    volume: int
    trades: int
    notional: int


def _amounts(record: Record) -> Amounts:
    return Amounts(
        str(record["issueSymbolIdentifier"]),
        venue_of(record),
        _millionths(record["totalWeeklyShareQuantity"]),
        int(str(record["totalWeeklyTradeCount"])),
        _millionths(record["totalNotionalSum"]),
    )


def _summed(records: Iterable[Amounts], key: Callable[[Amounts], Any]) -> dict[Any, Amounts]:
    sums: dict[Any, Amounts] = {}
    for each in records:
        before = sums.get(key(each), Amounts("", "", 0, 0, 0))
        sums[key(each)] = Amounts(
            each.symbol,
            each.venue,
            before.volume + each.volume,
            before.trades + each.trades,
            before.notional + each.notional,
        )
    return sums


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


class Truth:
    """One kind of records of a world, as tables."""

    def __init__(self, world: World, kind: str) -> None:
        """Look at the world as it is now."""
        self.records = {p: [_amounts(r) for r in world.records(p, kind)] for p in world.parts}

    def tables(self, part: Part) -> dict[str, Rows]:
        """Every derived table of a slice."""
        return {
            "venue_volume": self.venue_volume(part),
            "symbol_summary": self.symbol_summary(part),
            "venue_share": self.venue_share(part),
            "rolling_6w": self.rolling_6w(part),
            "concentration": self.concentration(part),
            "research_snapshot": self.research_snapshot(part),
        }

    def raw(self, part: Part) -> list[tuple[str, str, int, int, int]]:
        """Each record: symbol, venue, shares, trades and dollars."""
        return sorted(astuple(each) for each in self.records[part])

    def _symbols(self, part: Part) -> dict[str, Amounts]:
        return _summed(self.records.get(part, []), lambda each: each.symbol)

    def _venues(self, part: Part) -> dict[tuple[str, str], Amounts]:
        return _summed(self.records[part], lambda each: (each.symbol, each.venue))

    def venue_volume(self, part: Part) -> Rows:
        """By symbol and venue."""
        return {
            key: {
                "share_volume": sums.volume,
                "trade_count": sums.trades,
                "notional": sums.notional,
                "avg_trade_size": _ratio(sums.volume, 10**6 * sums.trades),
            }
            for key, sums in self._venues(part).items()
        }

    def symbol_summary(self, part: Part) -> Rows:
        """By symbol."""
        venues = Counter(symbol for symbol, _ in self._venues(part))
        return {
            symbol: {
                "total_volume": sums.volume,
                "total_trades": sums.trades,
                "total_notional": sums.notional,
                "venue_count": venues[symbol],
                "avg_trade_size": _ratio(sums.volume, 10**6 * sums.trades),
            }
            for symbol, sums in self._symbols(part).items()
        }

    def venue_share(self, part: Part) -> Rows:
        """By venue."""
        sums = _summed(self.records[part], lambda each: each.venue)
        symbols = Counter(venue for _, venue in self._venues(part))
        total = sum(each.volume for each in sums.values())
        ranked = sorted(sums, key=lambda venue: (-sums[venue].volume, venue))
        return {
            venue: {
                "total_volume": sums[venue].volume,
                "total_trades": sums[venue].trades,
                "total_notional": sums[venue].notional,
                "symbol_count": symbols[venue],
                "market_share_pct": _ratio(100 * sums[venue].volume, total),
                "rank": number,
            }
            for number, venue in enumerate(ranked, start=1)
        }

    def rolling_6w(self, part: Part) -> Rows:
        """By symbol, over the week and the five before it."""
        window = [Part(part.monday - timedelta(weeks=n), part.tier) for n in range(6)]
        weeks = [self._symbols(each) for each in window]
        rows = {}
        for symbol in set().union(*weeks):
            traded = [week[symbol] for week in weeks if symbol in week]
            volume, current = sum(w.volume for w in traded), weeks[0].get(symbol)
            now = current.volume if current else 0
            change = _ratio(100 * (now * len(traded) - volume), volume)
            is_stable = change is None or abs(change) <= 10
            rows[symbol] = {
                "avg_6w_volume": Fraction(volume, 10**6 * len(traded)),
                "avg_6w_trades": Fraction(sum(w.trades for w in traded), len(traded)),
                "current_volume": now,
                "volume_vs_avg_pct": change,
                "trend": "stable" if is_stable else "up" if change > 0 else "down",
                "weeks_in_window": len(traded),
                "is_complete": len(traded) == 6,
            }
        return rows

    def concentration(self, part: Part) -> Rows:
        """By symbol; the index is rounded to two decimals."""
        by_symbol: dict[str, dict[str, int]] = {}
        for (symbol, venue), sums in self._venues(part).items():
            by_symbol.setdefault(symbol, {})[venue] = sums.volume
        rows = {}
        for symbol, volumes in by_symbol.items():
            total = sum(volumes.values())
            top = min(volumes, key=lambda venue: (-volumes[venue], venue))
            hhi = _ratio(10_000 * sum(v * v for v in volumes.values()), total * total)
            rows[symbol] = {
                "venue_count": len(volumes),
                "hhi": None if hhi is None else round(hhi, 2),
                "top_venue_mpid": top if total else None,
                "top_venue_share_pct": _ratio(100 * volumes[top], total),
            }
        return rows

    def research_snapshot(self, part: Part) -> Rows:
        """By symbol: everything of a week that was never corrected."""
        summary, rolling = self.symbol_summary(part), self.rolling_6w(part)
        concentration = self.concentration(part)
        return {s: summary[s] | rolling[s] | concentration[s] for s in summary}


def assert_equal(rows: pd.DataFrame, key: str | tuple[str, ...], truth: Rows) -> None:
    """Fail unless a frame has exactly the rows of the truth: numbers and texts to the letter."""
    keys = rows[key] if isinstance(key, str) else zip(*(rows[k] for k in key), strict=True)
    found: Mapping[Any, Any] = dict(zip(keys, rows.to_dict("records"), strict=True))
    assert len(found) == len(rows)
    assert found.keys() == truth.keys()
    for each, columns in truth.items():
        for name, value in columns.items():
            there = found[each][name]
            if value is None:
                assert pd.isna(there), (each, name, there)
            elif isinstance(value, Fraction):
                assert math.isclose(there, value, rel_tol=1e-12, abs_tol=1e-9), (each, name, there)
            else:
                assert there == value, (each, name, there, value)
