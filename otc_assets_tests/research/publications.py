"""Invented publications of both datasets, and what a reader of them could know: no code of ours.

The naive answer looks at each publication that was public on a day, and at nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

TIERS = {"NMS Tier 1": "T1", "NMS Tier 2": "T2", "OTC": "OTCE"}
SUMMARY = {"ats": "ATS_W_SMBL_FIRM", "non_ats": "OTC_W_SMBL_FIRM"}
Records = Mapping[tuple[str, str], tuple[int, int]]
"""Shares and trades by symbol and venue."""


@dataclass(frozen=True)
class Publication:
    """The whole content of one slice, as FINRA made it public on a day."""

    dataset: str
    tier: str
    week_ending: date
    first_public: date
    day: date
    records: Records = field(hash=False)

    @property
    def slice(self) -> tuple[str, str, date]:
        """Which week, tier and dataset it is of."""
        return self.dataset, self.tier, self.week_ending

    def write(self, folder: Path, name: str) -> None:
        """Write it as an answer of the Query API."""
        folder.mkdir(parents=True, exist_ok=True)
        monday = (self.week_ending - timedelta(days=4)).isoformat()
        rows = [
            {
                "issueSymbolIdentifier": symbol,
                "issueName": f"{symbol} Example Corp.",
                "MPID": venue if self.dataset == "ats" else None,
                "firmCRDNumber": 100 + ord(venue[0]),
                "marketParticipantName": f"{venue} EXAMPLE LLC",
                "tierIdentifier": TIERS[self.tier],
                "tierDescription": self.tier,
                "summaryStartDate": monday,
                "weekStartDate": monday,
                "totalWeeklyShareQuantity": shares,
                "totalWeeklyTradeCount": trades,
                "totalNotionalSum": shares * 2.5,
                "productTypeCode": "UTP",
                "summaryTypeCode": SUMMARY[self.dataset],
                "initialPublishedDate": self.first_public.isoformat(),
                "lastUpdateDate": self.day.isoformat(),
                "lastReportedDate": self.week_ending.isoformat(),
            }
            for (symbol, venue), (shares, trades) in self.records.items()
        ]
        (folder / name).write_text(json.dumps(rows))


def known_slices(
    public: Iterable[Publication], day: date
) -> dict[tuple[str, str, date], Publication]:
    """Return the newest publication of each slice that was public by the end of a day."""
    known: dict[tuple[str, str, date], Publication] = {}
    for each in sorted(public, key=lambda p: p.day):
        if each.day <= day:
            known[each.slice] = each
    return known


def naive_as_of(
    public: Iterable[Publication], dataset: str, day: date
) -> dict[tuple[str, date, str], dict[str, Any]]:
    """Return what was known of each symbol, by tier, week and symbol; from scratch."""
    known = {p.slice: p for p in known_slices(public, day).values() if p.dataset == dataset}
    totals = {key: _totals(p.records) for key, p in known.items()}
    answer = {}
    for (_, tier, week), by_symbol in totals.items():
        for symbol, venues in by_symbol.items():
            window = [
                totals[key][symbol]
                for back in range(6)
                if symbol in totals.get(key := (dataset, tier, week - timedelta(weeks=back)), {})
            ]
            volumes = [sum(shares for shares, _ in each.values()) for each in window]
            average = Fraction(sum(volumes), len(volumes))
            shares = [s for s, _ in venues.values()]
            volume = sum(shares)
            answer[tier, week, symbol] = {
                "total_volume": volume,
                "total_trades": sum(trades for _, trades in venues.values()),
                "total_notional": 2.5 * volume,
                "venue_count": len(venues),
                "hhi": sum(Fraction(100 * s, volume) ** 2 for s in shares),
                "top_venue_share_pct": Fraction(100 * max(shares), volume),
                "avg_6w_volume": average,
                "volume_vs_avg_pct": 100 * (volume - average) / average,
            }
    return answer


def _totals(records: Records) -> dict[str, dict[str, tuple[int, int]]]:
    by_symbol: dict[str, dict[str, tuple[int, int]]] = {}
    for (symbol, venue), figures in records.items():
        by_symbol.setdefault(symbol, {})[venue] = figures
    return by_symbol
