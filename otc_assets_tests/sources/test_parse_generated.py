"""Whatever is in a file: it comes back as it was written, or the file is refused."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otc_assets.sources.errors import SourceError
from otc_assets_tests.sources.samples import (
    API,
    DOWNLOAD,
    PSV,
    all_lines_are_accounted_for,
    api_json,
    parsed,
    piped,
    row,
)

PLAIN = st.characters(exclude_characters="|\n\r\0", exclude_categories=["Cs"])
WORDS = st.text(PLAIN, min_size=1, max_size=12).filter(str.strip)
DIGITS = st.integers(0, 10**12 - 1).map(str)
SHARES = st.one_of(
    st.sampled_from(["0", "0.000001", "999999999999.999999"]),
    st.builds("{}.{}".format, DIGITS, st.text("0123456789", min_size=1, max_size=6)),
    DIGITS,
)
UPDATES = st.dates(date(2025, 11, 15), date(2026, 1, 15)).map(str)
GOOD_LINES = st.tuples(
    st.just("OTC"), WORDS, st.text(PLAIN, max_size=30), WORDS, WORDS, SHARES, DIGITS, UPDATES
)
ODD_VALUES = [
    (0, "unknown_tier", ["", "NMS Tier 9", "otc", "OTC "]),
    (1, "empty_symbol", [""]),
    (4, "empty_mpid", [""]),
    (5, "invalid_volume", ["", "12x", "1.1234567", ".5", "1.", "1e3", "1,000", " 1", "+1", "NaN"]),
    (5, "invalid_volume", ["1234567890123"]),
    (5, "negative_volume", ["-1", "-0.5"]),
    (6, "invalid_trades", ["", "3.5", "x", "1 ", "1234567890123"]),
    (6, "negative_trades", ["-3"]),
    (7, "invalid_date", ["", "2025-13-45", "2025-02-29", "20251215", "15.12.2025"]),
    (7, "invalid_date", ["2025-11-14", "2014-01-01"]),
    (7, "future_date", ["2027-01-17", "2099-01-01"]),
]
"""Place in the line, reason, and values that are refused for it there."""

ODD_FIELDS = [(place, reason, value) for place, reason, values in ODD_VALUES for value in values]
WRONG_LENGTH = st.one_of(
    GOOD_LINES.map(lambda fields: fields[:-1]),
    GOOD_LINES.map(lambda fields: (*fields, "")),
    WORDS.map(lambda text: (text,)),
).map(lambda fields: (fields, "malformed_line"))


def spoiled(fields, odd):
    place, reason, value = odd
    return ((*fields[:place], value, *fields[place + 1 :]), reason)


LINES = st.one_of(
    GOOD_LINES.map(lambda fields: (fields, "")),
    st.builds(spoiled, GOOD_LINES, st.sampled_from(ODD_FIELDS)),
    WRONG_LENGTH,
)
A_GOOD_LINE = tuple(str(row()[column]) for column in DOWNLOAD)
ANOTHER = (*A_GOOD_LINE[:-1], "2026-01-15")
WITH_A_LINE_BREAK_OF_UNICODE = ("OTC", "A\x85B\u2028", *A_GOOD_LINE[2:])


@pytest.mark.parametrize("odd", ODD_FIELDS, ids=lambda odd: f"{odd[1]} {odd[2]!r}")
def test_a_line_with_one_odd_value_is_refused_alone_and_kept_whole(odd):
    fields, reason = spoiled(A_GOOD_LINE, odd)
    lines = ["|".join(line) for line in (DOWNLOAD, A_GOOD_LINE, fields, ANOTHER)]
    file = parsed("".join(f"{line}\n" for line in lines).encode(), "week_2025-11-14.csv")
    assert file.rejects.values.tolist() == [[3, reason, lines[2]]]
    assert list(file.rows["line_number"]) == [2, 4]


@settings(max_examples=80)
@given(lines=st.lists(LINES, max_size=8), again=st.booleans(), end=st.sampled_from(["\n", "\r\n"]))
@example(lines=[(WITH_A_LINE_BREAK_OF_UNICODE, "")], again=True, end="\n")
def test_any_rows_come_back_as_they_were_written(lines, again, end):
    lines = [(A_GOOD_LINE, ""), *lines, *(lines if again else [])]
    text = [f"{'|'.join(fields)}{end}" for fields in (DOWNLOAD, *(f for f, _ in lines))]
    file = parsed("".join(text).encode(), "week_2025-11-14.csv")

    rows, rejects = {}, {}
    for number, (fields, reason) in enumerate(lines, start=2):
        if reason or fields in rows.values():
            rejects[number] = (reason or "exact_repeat", "|".join(fields))
        else:
            rows[number] = fields
    assert {
        r.line_number: (r.reason_code, r.raw_line) for r in file.rejects.itertuples()
    } == rejects
    assert list(file.rows["line_number"]) == list(rows)
    for read, fields in zip(file.rows.itertuples(), rows.values(), strict=True):
        name = read.issue_name if isinstance(read.issue_name, str) else ""
        assert (read.symbol, name, read.venue_name, read.mpid) == fields[1:5]
        assert Decimal(read.share_volume) == Decimal(fields[5]).scaleb(6)
        assert (read.trade_count, read.revision_date) == (int(fields[6]), fields[7])
    assert all_lines_are_accounted_for(file)


def is_taken_or_refused(data: bytes, name: str = "week_2025-11-14.csv") -> bool:
    """Parse whatever it is: rows and rejects make up its lines, or SourceError names the file."""
    try:
        file = parsed(data, name)
    except SourceError as error:
        return str(error).startswith(name)
    return all_lines_are_accounted_for(file) and len(file.rows) > 0


A_DOWNLOAD = piped([row(), row("BRK.B", shares="10.25"), row('5" Pipe, "A"', mpid="RUSH")])
A_PSV = piped([row(), row("BRK.B", shares="10.25"), row("C", mpid="RUSH")], PSV)
LINES_OF_BYTES = st.lists(st.binary(max_size=60)).map(b"\n".join)
LINES_OF_TEXT = st.lists(st.text(max_size=20) | GOOD_LINES.map("|".join)).map("\n".join)
EDITS = st.tuples(
    st.sampled_from(["flip", "delete", "insert", "cut"]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=4).map(lambda piece: piece.replace(b"\r", b"\n"))
    | st.sampled_from([b"\n", b"|", b"\r\n", b'"', b"-", b"9"]),
)


def edited(data: bytes, edits) -> bytes:
    """Flip, delete or insert bytes at places of a file, or cut it there."""
    for kind, place, piece in edits:
        at = place % (len(data) + 1)
        after = at if kind == "insert" else at + len(piece)
        new = piece if kind in ("flip", "insert") else b""
        data = data[:at] if kind == "cut" else data[:at] + new + data[after:]
    return data


@settings(max_examples=80)
@given(
    start=st.sampled_from([A_DOWNLOAD, A_PSV]), data=LINES_OF_BYTES | LINES_OF_TEXT.map(str.encode)
)
def test_any_bytes_after_good_lines_are_taken_or_refused(start, data):
    assert is_taken_or_refused(start + data)


@given(data=LINES_OF_BYTES.map(lambda data: data.replace(b"\r", b"")))
def test_any_bytes_without_a_header_are_refused(data):
    with pytest.raises(SourceError):
        parsed(data)


@settings(max_examples=150)
@given(
    data=st.sampled_from([A_DOWNLOAD, A_PSV, api_json([row(), row("B")])]),
    edits=st.lists(EDITS, min_size=1, max_size=4),
)
def test_a_damaged_file_is_taken_or_refused(data, edits):
    assert is_taken_or_refused(edited(data, edits))


JSON_VALUES = st.one_of(
    st.sampled_from([None, True, [], {}]), st.integers(), st.floats(), st.text(max_size=8)
)
RECORDS = st.dictionaries(st.sampled_from(API), JSON_VALUES, max_size=4)


@settings(max_examples=80)
@given(changes=st.lists(RECORDS, max_size=4))
def test_any_values_in_json_are_taken_or_refused(changes):
    records = [row() | change for change in changes]
    assert is_taken_or_refused(api_json([*records, *(row(f"X{n}") for n in range(6))]))


@pytest.mark.parametrize("data", [A_DOWNLOAD, A_PSV, api_json([row()])])
def test_the_undamaged_files_of_these_tests_are_taken(data):
    assert len(parsed(data).rows) > 0
