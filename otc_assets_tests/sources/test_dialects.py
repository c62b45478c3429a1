"""Every dialect is recognised from its header, and no value is changed on the way in."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.dialects import (
    FINRA_DOWNLOAD,
    QUERY_API,
    SIMPLE_PSV,
    TIER_ALIASES,
    read_lines,
)
from otc_assets_tests.sources.samples import (
    API,
    DOWNLOAD,
    FIXTURES,
    PSV,
    WEEK,
    api_csv,
    api_json,
    content,
    parsed,
    piped,
    reasons,
    row,
)

ROWS = [row(), row(mpid="RUSH", shares="37.125"), row("ABR$D", name='Half, "quoted" & Co.')]
LONG_NAME = "Notes due 2047, " * 12 + "Series W."


def rendered(form, rows, extra=()):
    """Rows as a file of one of the forms, with ``extra`` columns at the end."""
    if form == "download":
        return piped(rows, (*DOWNLOAD, *extra))
    if form == "psv":
        return piped(rows, (*PSV, *extra))
    render = api_json if form == "json" else api_csv
    return render(rows, (*API, *extra))


FORMS = {"download": FINRA_DOWNLOAD, "psv": SIMPLE_PSV, "csv": QUERY_API, "json": QUERY_API}
every_form = pytest.mark.parametrize("form", FORMS)


@every_form
def test_a_dialect_is_recognised_from_its_header(form):
    assert read_lines("any name", rendered(form, ROWS)).dialect is FORMS[form]


@every_form
def test_a_file_of_each_dialect_gives_the_same_figures(form):
    figures = ["symbol", "mpid", "share_volume", "trade_count"]
    assert parsed(rendered(form, ROWS)).rows[figures].values.tolist() == [
        ["ABCD", "PLUM", 1_200_000_000, 7],
        ["ABCD", "RUSH", 37_125_000, 7],
        ["ABR$D", "PLUM", 1_200_000_000, 7],
    ]


def test_the_golden_files_are_simple_psv():
    path = FIXTURES.parent / "otc_assets_tests/golden/two_symbols/week_2025-12-26.psv"
    week = WeekKey.from_string("NMS Tier 1:2025-12-26")
    file = parsed(path.read_bytes(), path.name, week)
    assert file.rows["trade_count"].sum() == 100_483
    assert file.newest_update is None


def test_the_api_says_the_same_in_json_and_in_csv_with_quoted_commas():
    rows = [row(name='Comma, Inc. "A", 5" pipe'), row("BRK.B", name='"Quoted" & Co., Ltd')]
    as_csv, as_json = parsed(api_csv(rows)), parsed(api_json(rows))
    assert list(as_csv.rows["issue_name"]) == [r["issueName"] for r in rows]
    assert_frame_equal(content(as_csv), content(as_json))
    assert list(as_csv.rows["line_number"]) == [2, 3]
    assert list(as_json.rows["line_number"]) == [1, 2]


def test_the_api_tells_the_publication_date_and_the_product_type():
    file = parsed(api_json([row(published="2025-12-16", updated="2025-12-29", product="CTS")]))
    assert file.rows.loc[0, ["product_type", "publication_date", "revision_date"]].tolist() == [
        "CTS",
        "2025-12-16",
        "2025-12-29",
    ]


@pytest.mark.parametrize("summary", ["ATS_W_SMBL", "OTC_W_SMBL_FIRM", ""])
def test_a_total_of_the_api_is_no_row_because_it_would_count_twice(summary):
    file = parsed(api_json([row(), row(mpid="SUM", summary=summary)]))
    assert list(file.rejects["reason_code"]) == ["wrong_summary_type"]


def api_numbers(rows):
    """The Query API's JSON, with the numbers that are given as texts as numbers in that writing."""
    texts = {text for r in rows for text in (r["totalWeeklyShareQuantity"], r["totalNotionalSum"])}
    data = api_json(rows).decode()
    for text in (text for text in texts if isinstance(text, str)):
        data = data.replace(f'"{text}"', text)
    return data.encode()


NUMBERS = ["999999999999", "123456789012.123456", "0.000001", "1.10", "1.5E7", "15e-1", "12E+0"]


@pytest.mark.parametrize("digits", NUMBERS)
def test_a_json_number_keeps_its_digits(digits):
    read = parsed(api_numbers([row(shares=digits, notional=digits)])).rows.loc[0]
    assert Decimal(int(read["share_volume"])) == Decimal(digits) * 10**6
    assert Decimal(int(read["notional"])) == Decimal(digits) * 10**6


@settings(max_examples=60)
@given(st.integers(0, 10**18 - 1), st.integers(0, 6), st.integers(-20, 20), st.sampled_from("eE"))
def test_a_json_number_means_the_same_in_every_writing(millionths, zeros, shift, exponent):
    plain = Decimal(millionths).scaleb(-6)
    text = f"{plain.scaleb(-shift):f}"
    text += "0" * zeros if "." in text else f".{'0' * zeros}" if zeros else ""
    written = [f"{plain:f}", f"{text}{exponent}{shift}", f"{text}{exponent}{shift:+}"]
    rows = [row(f"S{n}", shares=t, notional=t) for n, t in enumerate(written)]
    file = parsed(api_numbers(rows))
    assert list(file.rows["share_volume"]) == [millionths] * 3
    assert list(file.rows["notional"]) == [millionths] * 3


@pytest.mark.parametrize("number", ["1E13", "1.5E-7", "-1E2", "1E31", "1E400", "1E-400"])
def test_a_json_number_that_is_no_quantity_is_refused_alone(number):
    file = parsed(api_numbers([row(), row("B", shares=number)]))
    assert len(reasons(file)) == 1
    assert reasons(file)[0] in ("invalid_volume", "negative_volume")


@pytest.mark.parametrize("number", ["1E28", "1e+30", "123456789012345678901234567890.5"])
def test_a_json_number_of_thirty_digits_is_refused_alone(number):
    file = parsed(api_numbers([row(), row("B", shares=number), row("C", notional=number)]))
    assert reasons(file) == ["invalid_volume", "invalid_notional"]


def test_json_numbers_that_floats_cannot_tell_apart_are_no_repeat():
    numbers = ["999999999999.123456", "999999999999.123457"]
    file = parsed(api_numbers([row(shares=number) for number in numbers]))
    assert reasons(file) == []
    assert list(file.rows["share_volume"]) == [999_999_999_999_123_456, 999_999_999_999_123_457]


@pytest.mark.parametrize(
    ("amount", "millionths"),
    [
        ("98765.43", 98_765_430_000),
        ("2045218749", 2_045_218_749_000_000),
        ("0.1234567", 123_456),  # cut, not rounded
        ("999999999999.9999999", 10**18 - 1),
        ("-0.5", -500_000),
        ("0", 0),
    ],
)
@pytest.mark.parametrize("render", [api_csv, api_numbers])
def test_an_amount_is_read_to_its_sixth_decimal(render, amount, millionths):
    assert parsed(render([row(notional=amount)])).rows.loc[0, "notional"] == millionths


@pytest.mark.parametrize(("render", "nothing"), [(api_csv, ""), (api_json, None)])
def test_an_amount_is_unknown_where_the_api_has_none_for_a_row(render, nothing):
    rows = parsed(render([row("A", notional=nothing), row("B", notional=1.5)])).rows
    assert rows["notional"].isna().tolist() == [True, False]
    assert rows["notional"].dtype == "Int64"
    assert rows["notional"][1] == 1_500_000


@pytest.mark.parametrize("form", ["download", "psv"])
def test_the_dialects_without_amounts_have_unknown_ones(form):
    rows = parsed(rendered(form, ROWS)).rows
    assert rows[["notional", "firm_crd", "last_reported_date"]].isna().all(axis=None)


def test_a_venue_that_reported_on_no_known_day_keeps_its_row():
    rows = [row("A"), row("B") | {"lastReportedDate": None}]
    assert parsed(api_json(rows)).rows["last_reported_date"].tolist()[0] == "2025-11-14"
    assert parsed(api_json(rows)).rows["last_reported_date"].isna().tolist() == [False, True]


def test_a_json_number_of_thousands_of_digits_is_refused_alone():
    data = api_json([row(), row("B", shares="9" * 5_000)]).replace(b'"999', b"999")
    file = parsed(data.replace(b'999"', b"999"))
    assert list(file.rejects["reason_code"]) == ["invalid_volume"]


def test_a_null_in_json_is_an_empty_value():
    file = parsed(api_json([row(), row("NULL") | {"issueName": None, "MPID": None}]))
    assert list(file.rejects["reason_code"]) == ["empty_mpid"]


@pytest.mark.parametrize(
    ("columns", "render"), [(DOWNLOAD, piped), (PSV, piped), (API, api_csv), (API, api_json)]
)
@settings(max_examples=15)
@given(data=st.data())
def test_the_order_of_the_columns_is_irrelevant(columns, render, data):
    shuffled = data.draw(st.permutations(columns))
    assert_frame_equal(
        content(parsed(render(ROWS, shuffled))), content(parsed(render(ROWS, columns)))
    )


@every_form
def test_extra_columns_are_tolerated(form):
    rows = [r | {"somethingNew": "1", "": "2"} for r in ROWS]
    more = parsed(rendered(form, rows, ("somethingNew", "")))
    assert_frame_equal(more.rows, parsed(rendered(form, ROWS)).rows)


@every_form
@pytest.mark.parametrize("symbol", ["BRK.B", "ABR$D", "ACMp", "ACMP", "A B", "NA", "null", "1E5"])
def test_a_symbol_is_never_changed(form, symbol):
    assert parsed(rendered(form, [row(symbol)])).rows.loc[0, "symbol"] == symbol


@pytest.mark.parametrize("form", ["download", "csv", "json"])
@pytest.mark.parametrize(
    "name", ['"Fabelyn" Works, S.A.', 'a lone 5" Pipe', '"', "O'Dell & Co. ($0.001)", LONG_NAME]
)
def test_a_name_is_never_changed(form, name):
    assert parsed(rendered(form, [row(name=name), row("B")])).rows.loc[0, "issue_name"] == name


def test_the_long_name_has_201_characters():
    assert len(LONG_NAME) == 201


@every_form
def test_a_value_that_reads_like_a_missing_one_is_kept(form):
    file = parsed(rendered(form, [row("NaN", mpid="NA", name="None")]))
    assert file.rows.loc[0, ["symbol", "mpid"]].tolist() == ["NaN", "NA"]


@every_form
def test_windows_line_ends_are_fine(form):
    data = rendered(form, ROWS)
    windows = parsed(data.replace(b"\n", b"\r\n"))
    assert_frame_equal(windows.rows, parsed(data).rows)


@every_form
def test_a_byte_order_mark_is_fine(form):
    data = rendered(form, ROWS)
    assert_frame_equal(parsed(b"\xef\xbb\xbf" + data).rows, parsed(data).rows)


@every_form
def test_a_missing_final_newline_is_fine(form):
    data = rendered(form, ROWS)
    assert_frame_equal(parsed(data.rstrip(b"\n")).rows, parsed(data).rows)


def test_blank_lines_are_no_lines_and_keep_the_numbers_of_the_others():
    header, *lines = piped(ROWS).splitlines(keepends=True)
    file = parsed(header + b"\n" + b"  \n".join(lines) + b"\n\n")
    assert list(file.rows["line_number"]) == [3, 5, 7]
    assert file.line_count == 3


@every_form
@pytest.mark.parametrize(
    ("spelling", "tier"),
    [
        ("T1", Tier.NMS_TIER_1),
        ("T2", Tier.NMS_TIER_2),
        ("OTCE", Tier.OTC),
        ("NMS_TIER_1", Tier.NMS_TIER_1),
        ("NMS_TIER_2", Tier.NMS_TIER_2),
        *((tier.value, tier) for tier in Tier),
    ],
)
def test_every_spelling_of_a_tier_is_read_as_that_tier(form, spelling, tier):
    week = WeekKey(tier, WEEK.week_ending)
    data = rendered(form, [row(tier=spelling)])
    assert parsed(data, "week_2025-11-14.csv", week).week == week


@pytest.mark.parametrize("render", [api_csv, api_json])
def test_the_api_tells_the_tier_by_its_identifier_where_it_has_no_description(render):
    columns = [column for column in API if column != "tierDescription"]
    assert parsed(render(ROWS, columns)).week == WEEK


@pytest.mark.parametrize("alias", TIER_ALIASES)
def test_nothing_past_the_parser_accepts_an_alias(alias):
    with pytest.raises(ValueError, match=alias):
        WeekKey(alias, WEEK.week_ending)


@every_form
def test_two_spellings_of_one_tier_are_one_slice(form):
    assert len(parsed(rendered(form, [row(tier="OTCE"), row("B", tier="OTC")])).rows) == 2
