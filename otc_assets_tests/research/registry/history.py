"""An invented history of venues, and its registry written by hand.

Weeks are numbered from 1, the week ending 2024-01-05. Tier 1 has weeks 1 to 20, OTC 15 to 18.
"""

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import VERSIONED, ingest
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.pipeline import RUN

TODAY = date(2024, 8, 1)
HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID"
    "|totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate"
)
LETTERS = "ABCDEFGHIJ"
CORRECTED, CORRECTED_ON = 9, date(2024, 7, 1)
"""Week 9 of Tier 1 is published again: RENM had its old name in it."""

# MPID, name, first and last week, symbols
TIER_1 = [
    ("BACK", "ASPEN ATS", 1, 3, "AB"),
    ("BACK", "ASPEN ATS", 18, 20, "AB"),
    ("GONE", "WILLOW BLOCK", 1, 11, "WXYZ"),
    ("GONE", "GONE WILLOW BLOCK", 12, 12, "WXYZ"),
    ("NEWB", "CEDAR NEXT ATS", 11, 20, "ABCDEFGHKL"),
    ("OLDA", "CEDAR ATS", 1, 10, LETTERS),
    ("RENM", "OAK CROSSING ATS", 1, 8, "ABC"),
    ("RENM", "ELM MIDPOINT ATS", 9, 20, "ABC"),
    ("REUS", "REUS MAPLE DARK BOOK", 1, 4, "CD"),
    ("REUS", "REUS ZEBRA EXECUTION", 9, 20, "EF"),
    ("SPEL", "Birch Pool, LLC", 1, 19, "AJ"),
    ("SPEL", "BIRCH POOL L.L.C.", 20, 20, "AJ"),
]
OTC = [("OTCV", "PINE QUOTES", 15, 18, "OP")]
REGISTRY = [
    # venue, name, names before, first and last week seen, until, began, ended, owner
    ("BACK", "ASPEN ATS", "", 1, 3, 3, "unknown", "gone", "BACK"),
    ("BACK", "ASPEN ATS", "", 18, 20, None, "returned", None, "BACK"),
    ("GONE", "WILLOW BLOCK", "", 1, 12, 12, "unknown", "gone", "GONE"),
    ("NEWB", "CEDAR NEXT ATS", "", 11, 20, None, "new", None, "NEWB"),
    ("OLDA", "CEDAR ATS", "", 1, 10, 10, "unknown", "gone", "NEWB"),
    ("OTCV", "PINE QUOTES", "", 15, 18, None, "unknown", None, "OTCV"),
    ("RENM", "OAK CROSSING ATS", "", 1, 9, 9, "unknown", "renamed", "RENM"),
    ("RENM", "ELM MIDPOINT ATS", "OAK CROSSING ATS", 10, 20, None, "renamed", None, "RENM"),
    ("REUS", "MAPLE DARK BOOK", "", 1, 4, 4, "unknown", "gone", "REUS until 2024-01-26"),
    ("REUS", "ZEBRA EXECUTION", "", 9, 20, None, "reused", None, "REUS"),
    ("SPEL", "BIRCH POOL L.L.C.", "", 1, 20, None, "unknown", None, "SPEL"),
]
DEALERS = [
    ("0", "De Minimis Firms", 1, 1, "AB"),
    ("0", "De Minimis Firms", 6, 6, "AB"),
    ("101", "OAK SECURITIES LLC", 1, 3, "AB"),
    ("101", "ELM CAPITAL INC", 4, 6, "AB"),
]
DEALER_REGISTRY = [
    ("0", "De Minimis Firms", "", 1, 6, None, "unknown", None, "0"),
    ("101", "OAK SECURITIES LLC", "", 1, 3, 3, "unknown", "renamed", "101"),
    ("101", "ELM CAPITAL INC", "OAK SECURITIES LLC", 4, 6, None, "renamed", None, "101"),
]


def friday(number: int) -> date:
    return date(2024, 1, 5) + timedelta(weeks=number - 1)


def write(folder: Path, until: date) -> None:
    """Write every publication up to a day, and the correction, as files."""
    slices = [(Tier.NMS_TIER_1, TIER_1, number) for number in range(1, 21)]
    slices += [(Tier.OTC, OTC, number) for number in range(15, 19)]
    for tier, venues, number in slices:
        week = WeekKey(tier, friday(number))
        if (day := expected_publication_date(week)) <= until:
            _download(folder, week, venues, number, day)
    corrected = [(m, "OAK CROSSING ATS" if m == "RENM" else n, *rest) for m, n, *rest in TIER_1]
    week = WeekKey(Tier.NMS_TIER_1, friday(CORRECTED))
    if until >= CORRECTED_ON:
        _download(folder, week, corrected, CORRECTED, CORRECTED_ON)
    for number in range(1, 7):
        _records(folder / "non_ats", WeekKey(Tier.NMS_TIER_1, friday(number)), number)


def _download(folder: Path, week: WeekKey, venues: Iterable, number: int, day: date) -> None:
    lines = [
        f"{week.tier}|{symbol}|{symbol} Example Corp.|{name}|{mpid}|100|1|{day}"
        for mpid, name, first, last, symbols in venues
        if first <= number <= last
        for symbol in symbols
    ]
    path = folder / f"{week.tier.slug}_{day}_week_{week.week_ending}.csv"
    path.write_text("\n".join([HEADER, *lines, ""]))


def _records(folder: Path, week: WeekKey, number: int) -> None:
    folder.mkdir(exist_ok=True)
    published = str(expected_publication_date(week))
    rows = [
        {
            "issueSymbolIdentifier": symbol,
            "issueName": f"{symbol} Example Corp.",
            "MPID": None,
            "firmCRDNumber": int(crd),
            "marketParticipantName": name,
            "tierIdentifier": "T1",
            "tierDescription": "NMS Tier 1",
            "summaryStartDate": str(week.monday),
            "weekStartDate": str(week.monday),
            "totalWeeklyShareQuantity": 100,
            "totalWeeklyTradeCount": 1,
            "totalNotionalSum": 250,
            "productTypeCode": "UTP",
            "summaryTypeCode": "OTC_W_SMBL_FIRM",
            "initialPublishedDate": published,
            "lastUpdateDate": published,
            "lastReportedDate": str(week.week_ending),
        }
        for crd, name, first, last, symbols in DEALERS
        if first <= number <= last
        for symbol in symbols
    ]
    (folder / f"week_{week.week_ending}.json").write_text(json.dumps(rows))


def load(url: str, folder: Path, until: date = TODAY) -> None:
    """Take what was public on a day into an empty store, as far as the registry needs."""
    source = folder / "source"
    source.mkdir()
    write(source, until)
    tier_1 = [WeekKey(Tier.NMS_TIER_1, friday(number)) for number in range(1, 21)]
    otc = [WeekKey(Tier.OTC, friday(number)) for number in range(15, 19)]
    for dataset, weeks in ((ATS, tier_1 + otc), (NON_ATS, tier_1[:6])):
        public = [week for week in weeks if expected_publication_date(week) <= until]
        take_in(url, dataset, folder, public)


def take_in(
    url: str, dataset: Dataset, folder: Path, weeks: list[WeekKey], today: date = TODAY
) -> None:
    """Take slices of a folder of files into a store."""
    warehouse, archive = Warehouse(url, dataset), Archive(str(folder / "archive"), dataset)
    index = FileSource(str(folder / "source")).index(today, dataset)
    for week in weeks:
        ingest(warehouse, archive, index, week, RUN, today, VERSIONED)
        for table in ("venue_volume", "venue_share"):
            derive(warehouse, table, week, RUN)
    warehouse.engine.dispose()
