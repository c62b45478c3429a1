"""Small source files, written field by field as each dialect prints them.

All of one slice, OTC in the week ending 2025-11-14, unless a test changes a field.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.parse import ParsedFile, parse

FIXTURES = Path(__file__).parents[2] / "fixtures"
TODAY = date(2026, 1, 15)
WEEK = WeekKey(Tier.OTC, date(2025, 11, 14))
PUBLISHED = "2025-12-15"
NAMED = "finra_otc_weekly_otc_20251215.csv"
"""A name that tells `WEEK` by its tier and publication date."""

DOWNLOAD = (
    "tierDescription",
    "issueSymbolIdentifier",
    "issueName",
    "marketParticipantName",
    "MPID",
    "totalWeeklyShareQuantity",
    "totalWeeklyTradeCount",
    "lastUpdateDate",
)
API = (
    "issueSymbolIdentifier",
    "issueName",
    "MPID",
    "firmCRDNumber",
    "marketParticipantName",
    "tierIdentifier",
    "tierDescription",
    "summaryStartDate",
    "weekStartDate",
    "totalWeeklyShareQuantity",
    "totalWeeklyTradeCount",
    "totalNotionalSum",
    "productTypeCode",
    "summaryTypeCode",
    "initialPublishedDate",
    "lastUpdateDate",
    "lastReportedDate",
)
PSV = (
    "WeekEnding",
    "Tier",
    "Symbol",
    "MPID",
    "TotalShares",
    "TotalTrades",
)

Row = dict[str, object]


def row(
    symbol: str = "ABCD",
    *,
    name: str = "Abcd Example Corp.",
    venue: str = "PLUM PLUMTREE QUOTES",
    mpid: str = "PLUM",
    tier: str = "OTC",
    shares: object = 1200,
    trades: object = 7,
    updated: str = PUBLISHED,
    published: str = PUBLISHED,
    monday: str = "2025-11-10",
    friday: str = "2025-11-14",
    product: str = "OTCE",
    summary: str = ATS.summary_type,
    crd: object = 123456,
    notional: object = 98765.43,
) -> Row:
    """One record under every column name that a source has for it."""
    common = {"MPID": mpid}
    download = zip(
        DOWNLOAD, (tier, symbol, name, venue, mpid, shares, trades, updated), strict=True
    )
    psv = zip(PSV, (friday, tier, symbol, mpid, shares, trades), strict=True)
    api = {
        "firmCRDNumber": crd,
        "tierIdentifier": "OTCE",
        "summaryStartDate": monday,
        "weekStartDate": monday,
        "totalNotionalSum": notional,
        "productTypeCode": product,
        "summaryTypeCode": summary,
        "initialPublishedDate": published,
        "lastReportedDate": friday,
    }
    return common | dict(download) | dict(psv) | api


def dealer(symbol: str = "ABCD", name: object = "EXAMPLE TRADING LLC", **changes: Any) -> Row:
    """One record of a non-ATS venue, as the Query API has it: without an MPID."""
    common = {"summary": NON_ATS.summary_type, "crd": 361} | changes
    return row(symbol, **common) | {"MPID": None, "marketParticipantName": name}


def piped(rows: Iterable[Row], columns: Sequence[str] = DOWNLOAD) -> bytes:
    """Rows and a header, pipe-delimited and without any quoting; LF at the end of each line."""
    lines = ["|".join(columns), *("|".join(str(r[c]) for c in columns) for r in rows)]
    return "".join(f"{line}\n" for line in lines).encode()


def api_csv(rows: Iterable[Row], columns: Sequence[str] = API) -> bytes:
    """The Query API's answer as CSV, which quotes what needs it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def api_json(rows: Iterable[Row], columns: Sequence[str] = API) -> bytes:
    """The Query API's answer as JSON."""
    return json.dumps([{c: r[c] for c in columns} for r in rows], indent=1).encode()


def parsed(
    data: bytes, name: str = "some.csv", asked: WeekKey = WEEK, dataset: Dataset = ATS
) -> ParsedFile:
    """Parse a file of the slice that all these samples are of."""
    return parse(name, data, asked, TODAY, dataset)


def content(file: ParsedFile) -> pd.DataFrame:
    """What the good lines say, without where they stood."""
    return file.rows[[column.name for column in ATS.content]]


def reasons(file: ParsedFile) -> list[str]:
    """The reason of each refused line, in the order of the file."""
    return [str(reason) for reason in file.rejects["reason_code"]]


def all_lines_are_accounted_for(file: ParsedFile) -> bool:
    """Tell whether each line is a row, a reject or a repeat, and there only."""
    intake = file.intake
    numbers = [*file.rows["line_number"], *file.rejects["line_number"]]
    return (
        file.line_count == len(file.rows) + len(file.rejects)
        and file.line_count == intake.row_count + intake.reject_count + intake.repeat_count
        and len(set(numbers)) == len(numbers)
    )
