"""Records of FINRA's monthly, block and daily sets, from what firms and venues have traded.

Written from FINRA's facts alone, as `world` is: nothing of `otc_assets` is used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from otc_assets_tests.finra.world import NYSE, Number, OtherSet, Record

TIERS = {"NMS": "NMS Stocks", "OTCE": "OTC Equity"}
KEYS = {
    "monthlySummary": ("monthStartDate", "tierIdentifier"),
    "blocksSummary": ("monthStartDate",),
    "otcBlocksSummary": ("monthStartDate",),
    "regShoDaily": ("tradeReportDate",),
}
BLOCK_TYPES = {"10K": "10K+ Shares", "200K": "$200K+"}


@dataclass(frozen=True)
class Traded:
    """What a venue has traded in a month, and how much of it in each kind of block."""

    shares: int
    trades: int
    blocks: Mapping[str, tuple[int, int]]
    """By block type: shares, and blocks."""


def published_on(month: date) -> date:
    """The first Monday after the following month, or the next day on which the NYSE is open."""
    year, number = divmod(month.year * 12 + month.month - 1 + 2, 12)
    day = date(year, number + 1, 1)
    while day.weekday():
        day += timedelta(days=1)
    while day in NYSE:
        day += timedelta(days=1)
    return day


def monthly(
    month: date,
    tier: str,
    rows: Iterable[tuple[str, int, str, Any, int]],
    updated: date | None = None,
    kind: str = "OTC_M_SMBL_FIRM",
) -> list[Record]:
    """Records of (symbol, CRD number, firm, shares, trades)."""
    day, first = str(updated or published_on(month)), month.isoformat()
    return [
        {
            "issueSymbolIdentifier": symbol,
            "issueName": f"{symbol} Example Corp.",
            "firmCRDNumber": Number(crd),
            "marketParticipantName": firm,
            "tierIdentifier": tier,
            "tierDescription": TIERS[tier],
            "summaryStartDate": first,
            "monthStartDate": first,
            "totalMonthlyShareQuantity": Number(shares),
            "totalMonthlyTradeCount": Number(trades),
            "totalNotionalSum": Number(Decimal(str(shares)) * 10),
            "productTypeCode": "UTP" if tier == "NMS" else "OTCE",
            "summaryTypeCode": kind,
            "initialPublishedDate": str(published_on(month)),
            "lastUpdateDate": day,
            "lastReportedDate": day,
        }
        for symbol, crd, firm, shares, trades in rows
    ]


def blocks(
    month: date, venues: Mapping[str, Traded], kind: str = "ATS", updated: date | None = None
) -> list[Record]:
    """Records of venues by MPID (ATS) or of firms by name (OTC), one for each kind of block."""
    records = []
    for block_type, description in BLOCK_TYPES.items():
        all_shares = sum(each.shares for each in venues.values())
        all_blocks = sum(each.blocks[block_type][0] for each in venues.values())
        ranked = sorted(venues, key=lambda name: -venues[name].blocks[block_type][0])
        for name, each in venues.items():
            shares, count = each.blocks[block_type]
            venue = {"crdFirmName": name}
            if kind == "ATS":
                venue = {"MPID": name, "marketParticipantName": f"{name} EXAMPLE POOL"}
            records.append(
                {
                    **venue,
                    "atsOtc": kind,
                    "summaryStartDate": month.isoformat(),
                    "monthStartDate": month.isoformat(),
                    "summaryTypeCode": block_type,
                    "summaryTypeDescription": description,
                    "totalShareQuantity": Number(each.shares),
                    "totalTradeCount": Number(each.trades),
                    "averageTradeSize": _rounded(each.shares, each.trades, 0),
                    f"{kind}BlockQuantity": Number(shares),
                    f"{kind}BlockCount": Number(count),
                    "averageBlockSize": _rounded(shares, count, 0),
                    f"{kind}BlockBusinessTradePercent": _rounded(100 * count, each.trades, 2),
                    f"{kind}BlockBusinessSharePercent": _rounded(100 * shares, each.shares, 2),
                    f"{kind}BlockSharePercent": _rounded(100 * shares, all_blocks, 2),
                    f"{kind}BlockShareRank": Number(1 + ranked.index(name)),
                    f"{kind}SharePercent": _rounded(100 * each.shares, all_shares, 2),
                    "initialPublishedDate": str(published_on(month)),
                    "lastUpdateDate": str(updated or published_on(month)),
                }
            )
    return records


def _rounded(part: int, whole: int, digits: int) -> Number:
    return Number(round(Decimal(part) / whole, digits) if whole else 0)


def sets(**records: list[Record]) -> dict[str, OtherSet]:
    """Make FINRA's other sets of records by the name of the set."""
    return {name: OtherSet(KEYS[name], mine) for name, mine in records.items()}


SHORT = tuple[str, str, Any, Any, Any]
"""A symbol, its market, and the shares sold short, sold short exempt, and traded."""


def short_sales(day: date, rows: Iterable[SHORT]) -> list[Record]:
    """Records of `regShoDaily`."""
    return [
        {
            "tradeReportDate": day.isoformat(),
            "securitiesInformationProcessorSymbolIdentifier": symbol,
            "shortParQuantity": Number(short),
            "shortExemptParQuantity": Number(exempt),
            "totalParQuantity": Number(total),
            "marketCode": market,
            "reportingFacilityCode": "NQTRF",
        }
        for symbol, market, short, exempt, total in rows
    ]


def short_sale_file(day: date, rows: Iterable[SHORT], said: int | None = None) -> bytes:
    """The file of the same day; its last line says how many rows there are."""
    lines = [
        f"{day:%Y%m%d}|{symbol}|{short}|{exempt}|{total}|{market}"
        for symbol, market, short, exempt, total in rows
    ]
    header = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
    count = len(lines) if said is None else said
    return "\r\n".join([header, *lines, str(count), ""]).encode()
