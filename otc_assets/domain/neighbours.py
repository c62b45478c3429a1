"""FINRA's other sets of the group `otcMarket`, as datasets of their own grain.

What each counts, and which sums must agree, is in `docs/datasets.md`.

When a month is published: FINRA documents that monthly OTC data come "on a one-month delayed
basis", and describes initialPublishedDate as the first Monday, or next business day, of the
following month. We read the two together: the first Monday after the following month has ended. So
May is public on the first Monday of July. Lists of available months that public clients have shown
agree with that. It is an assumption, which no record of ours confirms. A month that comes earlier
is taken in all the same; one that comes later shows as late.
"""

from datetime import date, timedelta

from otc_assets.domain.declaration import BLOCKS, DAYS, FIRMS, Dataset
from otc_assets.domain.grains import ALL, DAY, MONDAY, MONTH, Months, Slicing
from otc_assets.domain.tables import (
    ISSUE_NAME,
    MPID,
    SYMBOL,
    VENUE_NAME,
    Column,
    ColumnType,
    raw_table,
)

ONE_MONTH_LATER = Months(2, MONDAY)
"""From the first day of a month to its publication."""

MONTHLY_RAW = raw_table(
    "FINRA's monthly records as they came, every revision kept. Refused lines are in rejects.",
    SYMBOL,
    MPID,
    ISSUE_NAME,
    VENUE_NAME,
    Column("share_volume", ColumnType.SHARES, "Shares traded in the month."),
    Column("trade_count", ColumnType.COUNT, "Trades in the month."),
    Column("product_type", ColumnType.TEXT, "FINRA's productTypeCode.", nullable=True),
    Column("notional", ColumnType.DOLLARS, "Value traded in the month.", nullable=True),
    Column("firm_crd", ColumnType.TEXT, "CRD number of the firm.", nullable=True),
    Column(
        "last_reported_date",
        ColumnType.DATE,
        "When a firm last sent a change of what is counted (lastReportedDate).",
        nullable=True,
    ),
)

MONTHLY_NON_ATS = Dataset(
    name="monthly_non_ats",
    title="monthly non-ATS",
    summary_type="OTC_M_SMBL_FIRM",  # OTC means over the counter here, not the tier
    publication_delay={"NMS": ONE_MONTH_LATER, "OTC": ONE_MONTH_LATER},
    first_period=date(2016, 4, 1),
    venue_columns=("firm_crd", "venue_name"),
    prefix="monthly_non_ats",
    slicing=Slicing(MONTH, ("NMS", "OTC"), date(2016, 4, 1)),
    set_name="monthlySummary",
    fields={
        "tierIdentifier": "tier",
        "issueSymbolIdentifier": "symbol",
        "issueName": "issue_name",
        "marketParticipantName": "venue_name",
        "totalMonthlyShareQuantity": "share_volume",
        "totalMonthlyTradeCount": "trade_count",
        "productTypeCode": "product_type",
        "totalNotionalSum": "notional",
        "firmCRDNumber": "firm_crd",
        "summaryTypeCode": "summary_type",
        "monthStartDate": "month_start",
        "initialPublishedDate": "publication_date",
        "lastUpdateDate": "revision_date",
        "lastReportedDate": "last_reported_date",
    },
    section_codes={"NMS": "NMS", "OTC": "OTCE"},
    raw_table=MONTHLY_RAW,
    family=FIRMS,
    features="symbol_summary",
    is_expected=False,
)

BLOCK_TYPE = Column(
    "block_type",
    ColumnType.TEXT,
    "What counts as a block (summaryTypeCode), for example 10K: 10,000 shares or more. A venue has "
    "a row for each, in which its totals are the same.",
)
PERCENT = "percent (0 to 100), as FINRA gives it"

BLOCKS_RAW = raw_table(
    "FINRA's monthly records of blocks as they came, every revision kept. Refused lines are in "
    "rejects.",
    BLOCK_TYPE,
    MPID,
    VENUE_NAME,
    Column("share_volume", ColumnType.SHARES, "Shares traded in the month, in blocks and not."),
    Column("trade_count", ColumnType.COUNT, "Trades in the month, blocks and others."),
    Column("block_volume", ColumnType.SHARES, "Shares traded in blocks."),
    Column("block_count", ColumnType.COUNT, "Trades that were blocks."),
    Column("avg_trade_size", ColumnType.NUMBER, "Shares per trade, as FINRA gives it.", True),
    Column("avg_block_size", ColumnType.NUMBER, "Shares per block, as FINRA gives it.", True),
    Column(
        "block_trade_part_pct",
        ColumnType.NUMBER,
        f"Blocks among the venue's own trades, {PERCENT}.",
        nullable=True,
    ),
    Column(
        "block_share_part_pct",
        ColumnType.NUMBER,
        f"Shares in blocks among the venue's own shares, {PERCENT}.",
        nullable=True,
    ),
    Column(
        "block_market_pct",
        ColumnType.NUMBER,
        f"The venue's part of all venues' shares in blocks, {PERCENT}.",
        nullable=True,
    ),
    Column(
        "block_market_rank",
        ColumnType.COUNT,
        "Its rank by that; 1 is the largest.",
        nullable=True,
    ),
    Column(
        "market_pct",
        ColumnType.NUMBER,
        f"The venue's part of all venues' shares, {PERCENT}.",
        nullable=True,
    ),
)


BLOCK_MONTHS = Slicing(MONTH, (ALL,), date(2016, 10, 1))
"""Of both sets of blocks, so that one command does both; before the second began, none is due."""


def _block_fields(kind: str, **venue: str) -> dict[str, str]:
    """Return FINRA's fields of a set of blocks, whose names begin with ATS or OTC."""
    return {
        **venue,
        "summaryTypeCode": "block_type",
        "monthStartDate": "month_start",
        "totalShareQuantity": "share_volume",
        "totalTradeCount": "trade_count",
        f"{kind}BlockQuantity": "block_volume",
        f"{kind}BlockCount": "block_count",
        "averageTradeSize": "avg_trade_size",
        "averageBlockSize": "avg_block_size",
        f"{kind}BlockBusinessTradePercent": "block_trade_part_pct",
        f"{kind}BlockBusinessSharePercent": "block_share_part_pct",
        f"{kind}BlockSharePercent": "block_market_pct",
        f"{kind}BlockShareRank": "block_market_rank",
        f"{kind}SharePercent": "market_pct",
        "initialPublishedDate": "publication_date",
        "lastUpdateDate": "revision_date",
    }


ATS_BLOCKS = Dataset(
    name="ats_blocks",
    title="ATS block",
    summary_type=None,
    publication_delay={ALL: ONE_MONTH_LATER},
    first_period=date(2016, 10, 1),  # assumed; FINRA Regulatory Notice 16-14 is of that year
    venue_columns=("mpid",),
    prefix="ats_blocks",
    slicing=BLOCK_MONTHS,
    set_name="blocksSummary",
    fields=_block_fields("ATS", MPID="mpid", marketParticipantName="venue_name"),
    raw_table=BLOCKS_RAW,
    record=("block_type", "mpid"),
    twins=("venue_name",),
    family=BLOCKS,
    validated="block_volume",
    features="block_volume",
    is_expected=False,
)

OTC_BLOCKS = Dataset(
    name="otc_blocks",
    title="non-ATS block",
    summary_type=None,
    publication_delay={ALL: ONE_MONTH_LATER},
    first_period=date(2019, 12, 1),  # assumed; FINRA Regulatory Notice 19-29 brought it
    venue_columns=("venue_name",),
    prefix="otc_blocks",
    slicing=BLOCK_MONTHS,
    set_name="otcBlocksSummary",
    fields=_block_fields("OTC", crdFirmName="venue_name"),
    raw_table=BLOCKS_RAW,
    record=("block_type", "mpid"),
    twins=("venue_name",),
    family=BLOCKS,
    validated="block_volume",
    features="block_volume",
    is_expected=False,
)

SHORT_VOLUME_RAW = raw_table(
    "FINRA's daily records of short sales as they came, every revision kept. Refused lines are in "
    "rejects.",
    SYMBOL,
    Column(
        "market",
        ColumnType.TEXT,
        "Facilities that the trades were reported to: N, Q, B (trade reporting facilities) or D "
        "(ADF); of FINRA's consolidated files several of them, as B,Q,N.",
    ),
    Column("short_volume", ColumnType.SHARES, "Shares sold short, exempt sales among them."),
    Column("short_exempt_volume", ColumnType.SHARES, "Shares sold short exempt."),
    Column("total_volume", ColumnType.SHARES, "Shares traded, in regular trading hours."),
)

REG_SHO_DAILY = Dataset(
    name="reg_sho_daily",
    title="daily short sale",
    summary_type=None,
    # FINRA posts a day's file in the evening of that day.
    publication_delay={ALL: timedelta(0)},
    first_period=date(2018, 8, 1),  # assumed; files are known to reach back to that year
    venue_columns=(),
    prefix="reg_sho_daily",
    slicing=Slicing(DAY, (ALL,), date(2018, 8, 1)),
    set_name="regShoDaily",
    fields={
        "tradeReportDate": "day_start",
        "securitiesInformationProcessorSymbolIdentifier": "symbol",
        "marketCode": "market",
        "shortParQuantity": "short_volume",
        "shortExemptParQuantity": "short_exempt_volume",
        "totalParQuantity": "total_volume",
    },
    file_fields={
        "Date": "day_start",
        "Symbol": "symbol",
        "ShortVolume": "short_volume",
        "ShortExemptVolume": "short_exempt_volume",
        "TotalVolume": "total_volume",
        "Market": "market",
    },
    raw_table=SHORT_VOLUME_RAW,
    record=("symbol", "market"),
    twins=(),
    family=DAYS,
    validated="short_volume",
    features="short_volume",
    hour=19,
    is_expected=False,
)

NEIGHBOURS = (MONTHLY_NON_ATS, ATS_BLOCKS, OTC_BLOCKS, REG_SHO_DAILY)
"""Those of another grain than the weekly ones, which FINRA publishes beside them."""
