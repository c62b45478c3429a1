"""What FINRA would have: invented records of every kind, week by week, which can be corrected.

Written from FINRA's facts alone: nothing of `otc_assets` is used, so that it can be the truth that
the package's own tables are compared with.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from holidays import financial_holidays

TIERS = {"T1": "NMS Tier 1", "T2": "NMS Tier 2", "OTCE": "OTC"}
ATS, NON_ATS = "ATS_W_SMBL_FIRM", "OTC_W_SMBL_FIRM"
TOTALS = {ATS: "ATS_W_SMBL", NON_ATS: "OTC_W_SMBL"}
"""The summary type of each firm record, and that of the symbol totals which repeat its volume."""
WEEKLY, HISTORIC = "weeklySummary", "weeklySummaryHistoric"
"""FINRA's sets: of the newest weeks, and of older ones, which are static."""
DAYS = {"T1": 21, "T2": 35, "OTCE": 35}
"""From the Monday of a week to its publication."""

FIELDS = (
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
SYMBOLS = ("BRK.B", "ABR$D", "ABRpD", "ABRPD", "aB", "AB", "TRUE", "NA", "1E5")
"""Symbols that are easily changed by accident, in every tier."""
NAMES = (
    "Abcd Example Corp. Common Stock",
    'Brackets [New] {Old} "Quoted" & Sons, Inc.',
    "O'Neil \\ Partners $0.01 par, Series A",
    "Plain Example Holdings Ltd ADR",
)
POOLS = [f"{letter}XMP" for letter in "ABCDEFGHJKLM"]
FIRMS = {0: "De Minimis Firms", 149823: "EXAMPLE SECURITIES, LLC", 7059: "SAMPLE MARKETS INC."}


class Number(str):
    """A number as the server prints it, digit for digit."""


NYSE = financial_holidays("NYSE")
Record = dict[str, str | None]
"""One record; its numbers are `Number`."""


@dataclass(frozen=True, order=True)
class Part:
    """A partition of FINRA's: the Monday of a week, and a tier's identifier."""

    monday: date
    tier: str


def published_on(part: Part) -> date:
    """The day of first publication: the delay, and the next day on which the NYSE is open."""
    day = part.monday + timedelta(days=DAYS[part.tier])
    while day.weekday() > 4 or day in NYSE:
        day += timedelta(days=1)
    return day


def as_json(record: Record) -> str:
    """The record's text."""
    fields = (f"{json.dumps(k)}: {_json_value(v)}" for k, v in record.items())
    return "{" + ", ".join(fields) + "}"


def _json_value(value: str | None) -> str:
    return value if isinstance(value, Number) else json.dumps(value)


@dataclass
class OtherSet:
    """A set beside the weekly one: its records, and the fields by which it is parted."""

    keys: tuple[str, ...]
    records: list[Record]


class World:
    """The records of every published week."""

    def __init__(self, seed: int = 0, symbols: int = 40) -> None:
        """Make up ``symbols`` of each tier from ``seed``, whatever is published in which order."""
        self.seed = seed
        self.symbols = symbols
        self.firms: dict[Part, list[Record]] = {}
        """Each partition's records of firms, in the order in which they are served."""
        self.sets: dict[Part, frozenset[str]] = {}
        """The sets that have a partition, where that is not the newest weeks' alone."""
        self.others: dict[str, OtherSet] = {}
        """FINRA's other sets, by name."""

    @property
    def parts(self) -> list[Part]:
        """What there is, oldest first."""
        return sorted(part for part, records in self.firms.items() if records)

    def parts_of(self, set_name: str) -> list[Part]:
        """What a set has, oldest first."""
        return [part for part in self.parts if set_name in self.sets.get(part, {WEEKLY})]

    def move(self, part: Part, *set_names: str) -> None:
        """Let these sets alone have a partition; without any, it is no longer offered."""
        self.sets[part] = frozenset(set_names)

    def publish(self, monday: date, tier: str, on: date | None = None) -> Part:
        """Make a week of a tier public, by default on its own day."""
        part = Part(monday, tier)
        day = (on or published_on(part)).isoformat()
        rng = random.Random(f"{self.seed} {monday} {tier}")
        records = [r for kind in TOTALS for r in self._generated(rng, part, kind, day)]
        rng.shuffle(records)
        self.firms[part] = records
        return part

    def records(self, part: Part, kind: str | None = None) -> list[Record]:
        """The firms' records of one kind; without it everything, symbol totals in between."""
        firms = self.firms.get(part, [])
        if kind in TOTALS:
            return [r for r in firms if r["summaryTypeCode"] == kind]
        every = [*firms, *(t for k in TOTALS for t in _totals(self.records(part, k), TOTALS[k]))]
        every.sort(key=lambda r: (r["issueSymbolIdentifier"], r["summaryTypeCode"]))
        return [r for r in every if kind in (None, r["summaryTypeCode"])]

    def correct(self, record: Record, on: date, **changes: str) -> None:
        """Change fields of a record, as FINRA does: its lastUpdateDate tells."""
        record.update(changes, lastUpdateDate=on.isoformat())

    def remove(self, part: Part, record: Record) -> None:
        """Take a record out, which leaves no date behind."""
        self.firms[part] = [r for r in self.firms[part] if r is not record]

    def add(self, part: Part, record: Record, on: date) -> None:
        """Add a record to a week that is public."""
        self.firms[part].append(record | {"lastUpdateDate": on.isoformat()})

    def _generated(self, rng: random.Random, part: Part, kind: str, day: str) -> Iterator[Record]:
        universe = random.Random(f"{self.seed} {part.tier}")
        letters = "BCDFGHJKLMNPQRSTVWXZ"
        made_up = ("".join(universe.choices(letters, k=4)) for _ in range(self.symbols))
        for symbol in dict.fromkeys((*SYMBOLS, *made_up)):
            activity = universe.randint(1, len(POOLS))
            if rng.random() < 0.25:  # a quarter of the symbols do not trade in the next week
                continue
            venues = rng.sample(POOLS, activity) if kind == ATS else rng.sample(list(FIRMS), 2)
            for venue in venues:
                record = _record(rng, part, kind, symbol, venue, day)
                yield record
                if rng.random() < 0.02:  # a listing that moved tape in mid-week
                    yield record | {"productTypeCode": "CTS"} | _quantities(rng)


def _record(
    rng: random.Random, part: Part, kind: str, symbol: str, venue: str | int, day: str
) -> Record:
    is_pool = kind == ATS
    friday = (part.monday + timedelta(days=4)).isoformat()
    monday = part.monday.isoformat()
    values = (
        symbol,
        NAMES[sum(symbol.encode()) % len(NAMES)],
        str(venue) if is_pool else None,
        Number(100 + POOLS.index(str(venue)) if is_pool else venue),
        f"{venue} EXAMPLE POOL" if is_pool else FIRMS[int(venue)],
        part.tier,
        TIERS[part.tier],
        monday,
        monday,
        *_quantities(rng).values(),
        "OTCE" if part.tier == "OTCE" else "UTP",
        kind,
        day,
        day,
        friday,
    )
    return dict(zip(FIELDS, values, strict=True))


def _quantities(rng: random.Random) -> Record:
    shares, price = int(rng.lognormvariate(8, 1.5)), Decimal(rng.randint(1, 4000)) / 100
    text, chance = str(shares), rng.random()
    if chance < 0.13:  # fractional: up to six decimals, trailing zeros and all
        decimals = rng.choice((f"{rng.randint(1, 999_999):06d}", "250000", "5", "0"))
        text = f"{shares}.{decimals[: rng.randint(1, 6)]}"
    elif chance < 0.15:  # as Java prints large numbers
        text = f"{rng.randint(1, 3)}.{rng.randint(0, 9999)}E7"
    elif chance < 0.16:
        text, shares = "0", 0
    return {
        "totalWeeklyShareQuantity": Number(text),
        "totalWeeklyTradeCount": Number(rng.randint(1, shares // 50 + 1) if shares else 0),
        "totalNotionalSum": Number(round(Decimal(text) * price, 2)),
    }


def _totals(firms: list[Record], kind: str) -> Iterator[Record]:
    """One record per symbol, without a firm: the same volume once more."""
    by_symbol: dict[str | None, list[Record]] = {}
    for record in firms:
        by_symbol.setdefault(record["issueSymbolIdentifier"], []).append(record)
    for records in by_symbol.values():
        sums = {
            name: Number(sum(Decimal(str(r[name])) for r in records))
            for name in ("totalWeeklyShareQuantity", "totalWeeklyTradeCount", "totalNotionalSum")
        }
        firm = dict.fromkeys(("MPID", "firmCRDNumber", "marketParticipantName"))
        yield records[0] | firm | sums | {"summaryTypeCode": kind}
