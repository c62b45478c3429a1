from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.rejects import REASONS, RejectReason, reject_reasons
from otc_assets.domain.shares import MILLIONTHS, parse_shares
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.domain.strategies import fields, quantities

WEEK = WeekKey(Tier.OTC, date(2025, 11, 14))
TODAY = date(2026, 1, 15)

GOOD = {
    "tier": "OTC",
    "summary_type": "ATS_W_SMBL_FIRM",
    "symbol": "QCMp",
    "mpid": "OTCN",
    "share_volume": "1234.567891",
    "trade_count": "12",
    "notional": "98765.4321",
    "publication_date": "2025-12-15",
    "revision_date": "2026-01-07",
    "last_reported_date": "2025-11-13",
}
REQUIRED = ["symbol", "mpid", "share_volume", "trade_count"]

BAD = [
    ("tier", "NMS Tier 9", RejectReason.UNKNOWN_TIER),
    ("tier", "OTCE", RejectReason.UNKNOWN_TIER),
    ("tier", "", RejectReason.UNKNOWN_TIER),
    ("summary_type", "ATS_W_SMBL", RejectReason.WRONG_SUMMARY_TYPE),
    ("summary_type", "OTC_W_SMBL_FIRM", RejectReason.WRONG_SUMMARY_TYPE),
    ("symbol", "", RejectReason.EMPTY_SYMBOL),
    ("mpid", "", RejectReason.EMPTY_MPID),
    ("share_volume", "", RejectReason.INVALID_VOLUME),
    ("share_volume", "12x", RejectReason.INVALID_VOLUME),
    ("share_volume", "1.2345678", RejectReason.INVALID_VOLUME),
    ("share_volume", "1234567890123", RejectReason.INVALID_VOLUME),
    ("share_volume", "1e6", RejectReason.INVALID_VOLUME),
    ("share_volume", "1,000", RejectReason.INVALID_VOLUME),
    ("share_volume", ".5", RejectReason.INVALID_VOLUME),
    ("share_volume", "5.", RejectReason.INVALID_VOLUME),
    ("share_volume", " 5", RejectReason.INVALID_VOLUME),
    ("share_volume", "5\n", RejectReason.INVALID_VOLUME),
    ("share_volume", "nan", RejectReason.INVALID_VOLUME),
    ("share_volume", "-1", RejectReason.NEGATIVE_VOLUME),
    ("share_volume", "-0.000001", RejectReason.NEGATIVE_VOLUME),
    ("trade_count", "", RejectReason.INVALID_TRADES),
    ("trade_count", "3.5", RejectReason.INVALID_TRADES),
    ("trade_count", "1234567890123", RejectReason.INVALID_TRADES),
    ("trade_count", "-3", RejectReason.NEGATIVE_TRADES),
    ("notional", "12x", RejectReason.INVALID_NOTIONAL),
    ("notional", "1.5E7", RejectReason.INVALID_NOTIONAL),
    ("notional", "1234567890123", RejectReason.INVALID_NOTIONAL),
    ("notional", "1234567890123.5", RejectReason.INVALID_NOTIONAL),
    ("notional", "1,000", RejectReason.INVALID_NOTIONAL),
    ("notional", ".5", RejectReason.INVALID_NOTIONAL),
    ("notional", "5.", RejectReason.INVALID_NOTIONAL),
    ("notional", " ", RejectReason.INVALID_NOTIONAL),
    ("notional", "5\n", RejectReason.INVALID_NOTIONAL),
    ("notional", "NaN", RejectReason.INVALID_NOTIONAL),
    ("publication_date", "", RejectReason.INVALID_DATE),
    ("publication_date", "2025-11-14", RejectReason.INVALID_DATE),
    ("publication_date", "2026-01-16", RejectReason.FUTURE_DATE),
    ("revision_date", "", RejectReason.INVALID_DATE),
    ("revision_date", "2025-13-45", RejectReason.INVALID_DATE),
    ("revision_date", "20251215", RejectReason.INVALID_DATE),
    ("revision_date", "2025-12-5", RejectReason.INVALID_DATE),
    ("revision_date", "2025-12-15T00:00:00", RejectReason.INVALID_DATE),
    ("revision_date", "0001-01-01", RejectReason.INVALID_DATE),
    ("revision_date", "2025-11-14", RejectReason.INVALID_DATE),
    ("revision_date", "2026-01-16", RejectReason.FUTURE_DATE),
    ("revision_date", "9999-12-31", RejectReason.FUTURE_DATE),
    ("last_reported_date", "2025-13-45", RejectReason.INVALID_DATE),
    ("last_reported_date", "20251113", RejectReason.INVALID_DATE),
    ("last_reported_date", " ", RejectReason.INVALID_DATE),
]
ELSEWHERE = {
    RejectReason.MALFORMED_LINE,
    RejectReason.EXACT_REPEAT,
    RejectReason.INVALID_NUMBER,
    RejectReason.NEGATIVE_NUMBER,
}
"""Given by the reader of lines, by the comparison of contents, and in datasets that have numbers
other than quantities and counts."""


def frame(*rows, columns=tuple(GOOD)):
    return pd.DataFrame(rows, columns=list(columns), dtype="str")


def reasons_of(*rows):
    return reject_reasons(frame(*rows), WEEK, TODAY).tolist()


@pytest.mark.parametrize(("column", "value", "reason"), BAD)
def test_a_row_with_one_bad_field_is_refused_for_it(column, value, reason):
    assert reasons_of(GOOD | {column: value}) == [reason]


def test_every_reason_that_a_row_can_have_is_in_the_table():
    assert {reason for *_, reason in BAD} == set(RejectReason) - ELSEWHERE


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"share_volume": "0", "trade_count": "0"},
        {"share_volume": "999999999999.999999", "trade_count": "999999999999"},
        {"symbol": "BRK.B"},
        {"symbol": "ABR$D"},
        {"symbol": "\u00e9"},
        {"publication_date": "2025-11-15", "revision_date": "2026-01-15"},
        {"tier": "NMS Tier 1"},
        {"notional": ""},
        {"notional": "0"},
        {"notional": "999999999999.999999999999"},
        {"last_reported_date": ""},
    ],
)
def test_a_good_row_has_no_reason_against_it(change):
    assert reasons_of(GOOD | change) == [""]


def test_a_row_with_several_bad_fields_is_refused_for_the_first():
    order = dict.fromkeys(column for column, *_ in BAD)
    first_bad = {column: next(row for row in BAD if row[0] == column) for column in order}
    row = dict(GOOD)
    for column in reversed(order):
        row[column] = first_bad[column][1]
        assert reasons_of(row) == [first_bad[column][2]]


def test_each_row_is_judged_by_itself():
    bad_symbol, bad_date = GOOD | {"symbol": ""}, GOOD | {"revision_date": "x"}
    assert reasons_of(GOOD, bad_symbol, GOOD, bad_date) == ["", "empty_symbol", "", "invalid_date"]


def test_columns_that_the_dialect_lacks_are_not_judged():
    row = {column: GOOD[column] for column in REQUIRED}
    assert reject_reasons(frame(row, columns=REQUIRED), WEEK, TODAY).tolist() == [""]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_only_the_records_of_a_dataset_are_good_in_it(dataset):
    types = [each.summary_type for each in DATASETS]
    rows = frame(*(GOOD | {"summary_type": text} for text in types))
    reasons = reject_reasons(rows, WEEK, TODAY, dataset).tolist()
    good = [text for text, reason in zip(types, reasons, strict=True) if reason == ""]
    assert good == [dataset.summary_type]
    assert set(reasons) - {""} == {"wrong_summary_type"}


def test_without_a_dataset_ats_is_meant():
    assert GOOD["summary_type"] == ATS.summary_type


def test_no_rows_have_no_reasons():
    assert reasons_of() == []


def test_every_reason_has_a_sentence():
    assert set(REASONS) == set(RejectReason)
    assert all(sentence.strip() for sentence in REASONS.values())


days = st.dates(date(2025, 11, 1), date(2026, 2, 1)).map(date.isoformat)
cells = {
    "tier": st.sampled_from([*Tier, "T1"]) | fields,
    "summary_type": st.sampled_from(["ATS_W_SMBL_FIRM", "ATS_W_SMBL"]) | fields,
    "symbol": fields,
    "mpid": fields,
    "share_volume": quantities | fields | st.decimals().map(str),
    "trade_count": st.integers().map(str) | fields,
    "notional": quantities | fields | st.decimals().map(str),
    "publication_date": days | fields,
    "revision_date": days | fields,
    "last_reported_date": days | fields,
}
optional = st.sets(st.sampled_from(sorted(set(GOOD) - set(REQUIRED))))


@given(st.lists(st.fixed_dictionaries(cells), max_size=5), optional)
def test_whatever_the_cells_hold_a_row_is_refused_or_can_be_read(rows, left_out):
    columns = [column for column in GOOD if column not in left_out]
    text = frame(*rows, columns=columns)
    reasons = reject_reasons(text, WEEK, TODAY)
    assert set(reasons) <= {"", *RejectReason}
    good = text[reasons == ""]
    assert (good["symbol"] != "").all()
    assert (good["mpid"] != "").all()
    volumes = parse_shares(good["share_volume"]).tolist()
    assert volumes == [Decimal(value) * MILLIONTHS for value in good["share_volume"]]
    assert all(volume >= 0 for volume in volumes)
    assert all(count >= 0 for count in good["trade_count"].astype("int64"))
    assert all(Tier(value) for value in good.get("tier", []))
    for column in {"publication_date", "revision_date"} & set(columns):
        read = [date.fromisoformat(value) for value in good[column]]
        assert all(WEEK.week_ending < day <= TODAY for day in read)
    assert all(date.fromisoformat(value) for value in good.get("last_reported_date", []) if value)
    assert all(abs(Decimal(value)) < 10**12 for value in good.get("notional", []) if value)


@pytest.mark.parametrize("column", ["share_volume", "trade_count", "revision_date"])
def test_only_ascii_digits_are_digits(column):
    value = GOOD[column].replace("2", "\u0662")  # ARABIC-INDIC DIGIT TWO
    assert reasons_of(GOOD | {column: value}) != [""]
