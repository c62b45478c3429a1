import hashlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.records import (
    RecordKey,
    content_hashes,
    record_hashes,
    slice_content_hash,
)
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.domain.strategies import fields, weeks

rows = st.lists(st.binary(min_size=16, max_size=16), max_size=6)


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # printf '<key>' | sha256sum | cut -c1-32
        ("2025-12-26|NMS Tier 1|AAPL|UBSA", "db59a07dc38fd49e4d2dc76e454a97a4"),
        ("2025-11-14|OTC|QCMp|OTCN", "84673ab24a3fcb75e516b2c071891578"),
        ("2025-11-14|OTC|QCMP|OTCN", "019688fdccd86f209346cdd777c91de6"),
        ("2014-05-16|NMS Tier 2|BRK.B|Ä", "f4034f13c4218428d9f20071221e76b5"),
    ],
)
def test_the_hash_of_a_record_is_the_one_that_sha256sum_gives(key, expected):
    day, tier, symbol, mpid = key.split("|")
    assert RecordKey(date.fromisoformat(day), Tier(tier), symbol, mpid).to_hash() == expected


@given(weeks, fields, fields)
def test_the_hash_of_a_record_is_the_start_of_sha256_of_its_key(week, symbol, mpid):
    key = f"{week.week_ending}|{week.tier.value}|{symbol}|{mpid}"
    hashed = RecordKey(week.week_ending, week.tier, symbol, mpid).to_hash()
    assert hashed == hashlib.sha256(key.encode("utf-8")).hexdigest()[:32]


@given(weeks, st.lists(st.tuples(fields, fields), max_size=8))
def test_hashing_a_slice_at_once_gives_the_hash_of_each_record(week, records):
    symbols, mpids = [r[0] for r in records], [r[1] for r in records]
    assert [h.hex() for h in record_hashes(week, symbols, mpids)] == [
        RecordKey(week.week_ending, week.tier, symbol, mpid).to_hash() for symbol, mpid in records
    ]


def test_symbols_that_differ_in_case_or_punctuation_are_different_records():
    week = WeekKey(Tier.OTC, date(2025, 11, 14))
    symbols = ["QCMP", "QCMp", "BRK.B", "BRKB", "ABR$D", "ABRD", "É", "E\u0301"]
    assert len(set(record_hashes(week, symbols, ["OTCN"] * len(symbols)))) == len(symbols)


def test_columns_of_different_length_are_no_records():
    with pytest.raises(ValueError, match="same length"):
        record_hashes(WeekKey(Tier.OTC, date(2025, 11, 14)), ["A", "B"], ["OTCN"])
    with pytest.raises(ValueError, match="same length"):
        content_hashes([["A", "B"], ["OTCN"]])


@given(st.lists(fields, min_size=1, max_size=9), st.data())
def test_a_change_in_any_one_field_is_another_content(row, data):
    changed = list(row)
    position = data.draw(st.integers(0, len(row) - 1))
    changed[position] = data.draw(fields.filter(lambda text: text != row[position]))
    before, after = content_hashes(list(zip(row, changed, strict=True)))
    assert before != after
    assert len(before) == len(after) == 16


def test_text_that_moves_from_one_field_to_the_next_is_another_content():
    assert content_hashes([["AB"], ["C"]]) != content_hashes([["A"], ["BC"]])


@given(rows, st.lists(fields, max_size=4), st.randoms())
def test_a_slice_has_the_same_content_in_any_order_of_its_lines(hashes, lines, random):
    expected = slice_content_hash(hashes, lines)
    random.shuffle(hashes)
    random.shuffle(lines)
    assert slice_content_hash(hashes, lines) == expected


@given(rows, st.lists(fields, max_size=4), fields)
def test_one_more_refused_line_is_another_content_of_a_slice(hashes, lines, line):
    assert slice_content_hash(hashes, [*lines, line]) != slice_content_hash(hashes, lines)


@given(rows, st.binary(min_size=16, max_size=16))
def test_one_more_row_is_another_content_of_a_slice(hashes, row):
    assert slice_content_hash([*hashes, row], []) != slice_content_hash(hashes, [])
