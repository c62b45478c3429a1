"""A parsed file says what its text says: no line is lost, no figure is rounded."""

import json
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.errors import SourceError
from otc_assets.sources.parse import head_of, row_columns
from otc_assets_tests.sources.samples import (
    FIXTURES,
    WEEK,
    all_lines_are_accounted_for,
    parsed,
    piped,
    reasons,
    row,
)

FILES = sorted(path.name for path in FIXTURES.glob("*.csv"))
TIERS = {"tier1": Tier.NMS_TIER_1, "tier2": Tier.NMS_TIER_2, "otc": Tier.OTC}
FIRST_WEEK = date(2025, 5, 2)
WHY_ODD = {
    "": "empty_symbol",
    "AMPID": "empty_mpid",
    "BTIER": "unknown_tier",
    "DTEXT": "invalid_volume",
    "FDECI": "invalid_volume",
    "GNEGS": "negative_volume",
    "KNEGT": "negative_trades",
    "LFRAC": "invalid_trades",
    "PDATE": "invalid_date",
    "TFUTR": "future_date",
    "XSHRT": "malformed_line",
    "XLONG": "malformed_line",
}
"""The symbols of the fixtures' rejected lines, which no good line has, and their reasons."""

REJECTED = {
    "finra_otc_weekly_otc_20250707.csv": Counter(WHY_ODD.values()),
    "finra_otc_weekly_otc_20250616.csv": {"empty_symbol": 1},
    "finra_otc_weekly_tier2_20250630.csv": {"exact_repeat": 3},
}
FRACTIONAL = [n for n in FILES if re.search("tier1_202507(07|14|21)|tier2_20250(721|728|804)", n)]
"""The weeks from 2025-06-20 on of the tiers that have fractional shares in them."""

every_file = pytest.mark.parametrize("name", FILES)


def week_of(name: str) -> WeekKey:
    """The slice of a fixture: each tier has one file for each of ten weeks, in their order."""
    slug, published = name.removesuffix(".csv").split("_")[3:5]
    days = sorted({n.removesuffix(".csv").split("_")[4] for n in FILES if f"_{slug}_2025" in n})
    return WeekKey(TIERS[slug], FIRST_WEEK).shifted(days.index(published))


@cache
def fixture(name):
    return parsed((FIXTURES / name).read_bytes(), name, week_of(name))


def text_lines(path: Path) -> dict[int, list[str]]:
    """Read a download file in the plainest way: the fields of each data line by its number."""
    lines = path.read_text(encoding="ascii").split("\n")
    return {n: line.split("|") for n, line in enumerate(lines[1:], start=2) if line}


def good_lines(path: Path) -> dict[int, list[str]]:
    """The lines that must become rows: no listed oddity, no second time the same."""
    good: dict[int, list[str]] = {}
    for number, fields in text_lines(path).items():
        if fields[1] not in WHY_ODD and fields not in good.values():
            good[number] = fields
    return good


def test_there_are_31_fixture_files():
    assert len(FILES) == 31


@every_file
def test_every_line_is_a_row_a_reject_or_a_repeat(name):
    file = fixture(name)
    assert all_lines_are_accounted_for(file)
    assert file.line_count == len(text_lines(FIXTURES / name))
    assert dict(Counter(reasons(file))) == REJECTED.get(name, {})


@every_file
def test_every_row_says_what_its_line_says(name):
    file = fixture(name)
    read = {
        r.line_number: [
            file.week.tier.value,
            r.symbol,
            r.issue_name,
            r.venue_name,
            r.mpid,
            Decimal(r.share_volume) / 10**6,
            r.trade_count,
            r.revision_date,
        ]
        for r in file.rows.itertuples()
    }
    assert read == {
        number: [*fields[:5], Decimal(fields[5]), int(fields[6]), fields[7]]
        for number, fields in good_lines(FIXTURES / name).items()
    }


@every_file
def test_sums_are_exact(name):
    file, good = fixture(name), good_lines(FIXTURES / name).values()
    shares = sum(Decimal(fields[5]) for fields in good)
    assert Decimal(int(file.rows["share_volume"].sum())) == shares * 10**6
    assert file.rows["trade_count"].sum() == sum(int(fields[6]) for fields in good)


@every_file
def test_the_publication_date_is_the_one_in_the_name(name):
    published = name.split("_")[4].removesuffix(".csv")
    assert f"{fixture(name).publication_date:%Y%m%d}" == published


def test_the_rows_have_the_columns_that_are_promised():
    file = fixture(FILES[0])
    assert list(file.rows) == row_columns(ATS)
    assert list(file.rows.index) == list(range(len(file.rows)))
    assert tuple(file.rejects) == ("line_number", "reason_code", "raw_line")


@pytest.mark.parametrize("name", REJECTED)
def test_a_refused_line_is_kept_whole_under_its_number(name):
    lines = (FIXTURES / name).read_text(encoding="ascii").split("\n")
    for reject in fixture(name).rejects.itertuples():
        assert reject.raw_line == lines[reject.line_number - 1]


def test_each_odd_line_is_refused_for_its_own_oddity():
    rejects = fixture("finra_otc_weekly_otc_20250707.csv").rejects
    by_symbol = {r.raw_line.split("|")[1]: r.reason_code for r in rejects.itertuples()}
    assert by_symbol == WHY_ODD


def test_a_last_line_without_symbol_and_newline_is_a_reject_and_no_truncation():
    name = "finra_otc_weekly_otc_20250616.csv"
    file = fixture(name)
    assert not (FIXTURES / name).read_bytes().endswith(b"\n")
    assert file.rejects["raw_line"].tolist() == [
        "OTC|||PRVX EXAMPLE PRIVATE SECURITIES DESK|PRVX|1|1|2025-06-16"
    ]
    assert file.rejects["line_number"].tolist() == [file.line_count + 1]


def test_twins_are_both_kept():
    rows = fixture("finra_otc_weekly_tier2_20250630.csv").rows
    twins = rows[rows.duplicated(["symbol", "mpid"], keep=False)]
    assert len(twins) == 4
    former = twins[twins["issue_name"].str.endswith("(Former Name)")]
    assert sorted(former["share_volume"]) == [4_321_000_000, 98_765_000_000]


def test_a_repeat_is_the_later_of_two_equal_lines():
    name = "finra_otc_weekly_tier2_20250630.csv"
    lines = (FIXTURES / name).read_text(encoding="ascii").split("\n")
    for repeat in fixture(name).rejects.itertuples():
        assert repeat.raw_line in lines[: repeat.line_number - 1]


@pytest.mark.parametrize("name", FRACTIONAL)
def test_the_fractions_of_the_late_weeks_are_there_with_one_to_six_decimals(name):
    shares = [fields[5] for fields in good_lines(FIXTURES / name).values()]
    decimals = Counter(len(text.partition(".")[2]) for text in shares)
    assert set(decimals) == set(range(7))
    volumes = fixture(name).rows["share_volume"]
    assert (volumes % 10**6 != 0).sum() == len(shares) - decimals[0]


def test_zero_volume_is_kept():
    rows = fixture("finra_otc_weekly_tier2_20250714.csv").rows
    zero = rows[rows["share_volume"] == 0]
    assert set(zero["trade_count"]) == {0}
    assert (zero["symbol"] != "XZER").sum() == 6
    assert (rows.loc[rows["symbol"] == "XZER", "share_volume"] == 0).all()


def test_symbols_that_differ_in_case_are_two():
    symbols = set(fixture("finra_otc_weekly_tier2_20250602.csv").rows["symbol"])
    assert {"QCMP", "QCMp", "ABQ$D"} <= symbols


def test_a_correction_is_of_the_same_slice_with_a_newer_update():
    first = fixture("finra_otc_weekly_tier1_20250609.csv")
    corrected = fixture("finra_otc_weekly_tier1_20250609_corrected_20250716.csv")
    assert corrected.week == first.week
    assert corrected.newest_update == date(2025, 7, 16)
    assert first.newest_update == first.publication_date == corrected.publication_date
    assert "XGON" not in set(corrected.rows["symbol"])
    assert len(set(corrected.rows["content_hash"]) - set(first.rows["content_hash"])) == 6


def test_the_content_does_not_depend_on_the_order_of_lines_or_the_name():
    rows = [row(symbol) for symbol in "ABC"]
    one, other = parsed(piped(rows), "one.csv"), parsed(piped(rows[::-1]), "other.csv")
    assert one.content_sha256 == other.content_sha256
    assert one.sha256 != other.sha256


def test_a_file_that_differs_only_in_a_refused_line_is_another_content():
    one, other = (parsed(piped([row(), row("", trades=n)])) for n in (1, 2))
    assert one.content_sha256 != other.content_sha256


def test_a_line_with_several_faults_is_refused_for_the_first_of_them():
    assert reasons(parsed(piped([row(), row("", mpid="", shares="-1", trades="x")]))) == [
        "empty_symbol"
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"shares": "1200.000001"},
        {"trades": 8},
        {"name": "Abcd Example Corp"},
        {"venue": "PLUM"},
        {"updated": "2025-12-16"},
        {"mpid": "RUSH"},
        {"symbol": "ABCd"},
        {"symbol": ""},
    ],
)
def test_any_other_value_is_another_content(change):
    rows = [row("A"), row("B")]
    before, after = parsed(piped([*rows, row()])), parsed(piped([*rows, row(**change)]))
    assert before.content_sha256 != after.content_sha256


REAL = {
    "finra_otc_weekly_otc_20251215.csv": ("2025-11-14", 5_328, 1_335_995_901, 472_776, 3_111),
    "finra_otc_weekly_otc_20251222.csv": ("2025-11-21", 5_192, 943_802_893, 497_191, 2_985),
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_gives_the_published_figures(real_data, name):
    path = real_data / "files" / name
    week, lines, shares, trades, symbols = REAL[name]
    file = parsed(path.read_bytes(), name, WeekKey.from_string(f"OTC:{week}"))
    assert (file.rows["share_volume"].sum(), file.rows["trade_count"].sum()) == (
        shares * 10**6,
        trades,
    )
    assert file.rows["symbol"].nunique() == symbols
    assert file.line_count == len(file.rows) == lines
    assert file.rejects.empty


def test_the_real_totals_of_the_api_are_no_rows_of_a_venue(real_data):
    path = real_data / "api" / "weeklySummary_ATS_W_SMBL_T1_AAPL.json"
    with pytest.raises(SourceError, match=r"no known dialect .*lacks marketParticipantName"):
        parsed(path.read_bytes(), path.name, WEEK)


@pytest.mark.parametrize(
    "name",
    [
        "finra_otc_weekly_tier1_20250519.csv",
        "non_ats/finra_non_ats_tier1_week_2025-05-02.json",
    ],
)
def test_the_first_lines_of_a_file_are_a_file_with_its_first_records(name: str):
    data = (FIXTURES / name).read_bytes()
    assert data.startswith(head_of(data, 7).rstrip(b"]"))
    is_json = name.endswith(".json")
    records = json.loads(head_of(data, 7)) if is_json else head_of(data, 7).splitlines()[1:]
    assert records == (json.loads(data) if is_json else data.splitlines()[1:])[:6]


@pytest.mark.parametrize("data", [b"a|b\n1|2\n", b"[", b'[{"a":\n1}, {"a":\n2},\n{"a": 3}]\n'])
def test_a_short_file_or_one_with_records_across_lines_is_its_own_head(data: bytes):
    assert head_of(data, 2 if b"{" in data else 3) == data
