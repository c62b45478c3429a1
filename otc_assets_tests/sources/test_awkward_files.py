"""Files that have tripped a reader: each is taken right, or refused with its reason."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from upath import UPath

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources import dialects
from otc_assets.sources.archive import Archive, archived_on
from otc_assets.sources.errors import ArchiveError, SourceError
from otc_assets.sources.files import FileSource
from otc_assets.sources.resolve import hint_of
from otc_assets_tests.sources.samples import (
    API,
    DOWNLOAD,
    NAMED,
    PSV,
    TODAY,
    WEEK,
    api_csv,
    api_json,
    parsed,
    piped,
    reasons,
    row,
)
from otc_assets_tests.sources.test_parse_generated import is_taken_or_refused

N = "week_2025-11-14.csv"


def index_of(folder):
    return FileSource(str(folder)).index(TODAY)


def test_a_bad_date_in_the_middle_is_no_truncation():
    data = piped([row("A"), row("B", updated="2025-13-45"), row("C")]).rstrip(b"\n")
    assert reasons(parsed(data)) == ["invalid_date"]


def test_a_bad_date_in_json_is_no_truncation():
    assert reasons(parsed(api_json([row("A"), row("B", updated="x"), row("C")]))) == [
        "invalid_date"
    ]


@pytest.mark.parametrize("friday", ["garbage", "2099-01-02", ""])
def test_a_psv_row_of_no_week_is_rejected(friday):
    assert len(reasons(parsed(piped([row(), row("B", friday=friday)], PSV)))) == 1


@pytest.mark.parametrize("monday", ["garbage", "2099-01-05", ""])
def test_an_api_row_of_no_week_is_rejected(monday):
    assert len(reasons(parsed(api_json([row(), row("B", monday=monday)])))) == 1


def test_a_cut_in_a_last_line_without_symbol_is_a_truncation():
    data = piped([row("A"), row("B"), row("")])[:-4]
    with pytest.raises(SourceError, match="truncated"):
        parsed(data)


def test_a_future_week_is_refused():
    week = WeekKey(Tier.OTC, date(2099, 1, 2))
    with pytest.raises(SourceError):
        parsed(piped([row(friday="2099-01-02")], PSV), asked=week)


@pytest.mark.parametrize("name", ['"open', '"two\nlines"', "bare\rcr", "x" * 140_000])
def test_broken_csv_is_taken_or_refused(name):
    data = (
        api_csv([row("B")])
        + api_csv([row()]).split(b"\n")[1].replace(b"Abcd Example Corp.", name.encode())
        + b"\n"
        + api_csv([row("Z")]).split(b"\n")[1]
        + b"\n"
    )
    assert is_taken_or_refused(data)


def test_a_bare_return_in_the_header_is_refused():
    assert is_taken_or_refused(b"a\rb,c\n1,2\n")


def test_json_nested_too_deep_is_refused():
    assert is_taken_or_refused(b"[" * 200_000)


def test_an_unpaired_surrogate_is_rejected():
    assert is_taken_or_refused(api_json([row(name="\ud800")]))


@pytest.mark.parametrize("field", ["monday", "updated"])
def test_dates_far_off_are_refused(field):
    value = {"monday": "9999-12-31", "updated": "0001-01-01"}[field]
    data = (
        api_json([row("A"), row("B", monday=value)])
        if field == "monday"
        else piped([row(updated=value)])
    )
    assert is_taken_or_refused(data, "f.csv")


@pytest.mark.parametrize("name", ["otc_00010101.csv", "t\u0131er1_20250519.csv"])
def test_odd_names_tell_nothing(name):
    assert hint_of(name).week_ending is None


def test_digits_of_other_scripts_are_no_date():
    assert reasons(parsed(piped([row(), row("B", updated="\uff12\uff10\uff12\uff15-12-15")]))) == [
        "invalid_date"
    ]


@pytest.mark.parametrize("change", [{"shares": "\u0661\u0662"}, {"trades": "\u0661\u0662"}])
def test_digits_of_other_scripts_are_no_number(change):
    assert len(reasons(parsed(piped([row(), row("B", **change)])))) == 1


@pytest.mark.parametrize("data", [b"a\rb,c\n1,2\n", b"[" * 200_000])
def test_one_bad_file_leaves_the_index_alive(tmp_path, data):
    (tmp_path / "good.csv").write_bytes(piped([row()]))
    (tmp_path / "bad.csv").write_bytes(data)
    assert len(index_of(tmp_path).files_of(WEEK)) == 1


def test_a_name_that_is_no_friday_is_a_stray(tmp_path):
    (tmp_path / "week_2025-11-13.csv").write_bytes(piped([row()]))
    index = index_of(tmp_path)
    assert index.strays() or index.files_of(WEEK)


def test_a_broken_file_beside_three_good_tiers_is_a_stray(tmp_path):
    for tier in Tier:
        (tmp_path / f"week_2025-11-14_{tier[-1]}.csv").write_bytes(piped([row(tier=tier)]))
    (tmp_path / "week_2025-11-14_x.csv").write_bytes(b"")
    index = index_of(tmp_path)
    listed = [f.name for t in Tier for f in index.files_of(WeekKey(t, WEEK.week_ending))]
    assert "week_2025-11-14_x.csv" in [*listed, *(f.name for f in index.strays())]


@pytest.mark.parametrize("name", ["a.JSON", "a.txt"])
def test_a_large_json_is_placed_whatever_its_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(api_json([row(str(n)) for n in range(2_500)]))
    assert len(index_of(tmp_path).files_of(WEEK)) == 1


def test_a_passing_read_error_is_forgotten(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes(piped([row()]))
    source = FileSource(str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(UPath("/")), "read_bytes", lambda p: (_ for _ in ()).throw(OSError("x")))
        source.index(TODAY)
    assert len(source.index(TODAY).files_of(WEEK)) == 1


def test_a_change_is_seen_where_files_have_no_time():
    folder = UPath("memory://reported")
    folder.mkdir(parents=True)
    source = FileSource(str(folder))
    (folder / "a.csv").write_bytes(piped([row()]))
    source.index(TODAY)
    (folder / "a.csv").write_bytes(piped([row(updated="2025-12-22")]))
    assert source.index(TODAY).files_of(WEEK.shifted(1))


def test_bytes_that_rotted_in_the_archive_are_noticed(tmp_path):
    archive = Archive(str(tmp_path))
    key = archive.receive(WEEK, NAMED, b"abc")
    (archive.root / key).write_bytes(b"zzz")
    try:
        archive.receive(WEEK, NAMED, b"abc")
    except ArchiveError:
        return
    assert archive.get(key) == b"abc"


def test_wrong_bytes_are_not_restored(tmp_path):
    archive = Archive(str(tmp_path))
    key = f"otc/2025-11-14/2025-12-15/{'a' * 64}/x.csv"
    with pytest.raises(ArchiveError, match="other bytes"):
        archive.restore(key, b"other")
    assert not (archive.root / key).exists()


def test_a_folder_that_is_no_date_is_no_archive():
    assert archived_on(UPath(f"/x/2025-13-45/{'a' * 64}/f.csv")) is None


def test_a_very_long_name_can_be_archived(tmp_path):
    Archive(str(tmp_path)).receive(WEEK, "a" * 246 + ".csv", b"x")


def test_a_bad_byte_after_a_bom_is_named_right():
    data = b"\xef\xbb\xbf" + piped([row()]) + b"\xffOTC|\n"
    with pytest.raises(SourceError, match="line 3: is not UTF-8: byte ff"):
        parsed(data)


def test_a_file_of_malformed_lines_only_is_refused():
    with pytest.raises(SourceError) as caught:
        parsed(piped([]) + b"OTC|x|y\n")
    assert "unknown tier ''" not in str(caught.value)


def test_a_file_of_a_bom_only_is_empty():
    with pytest.raises(SourceError, match="is empty"):
        parsed(b"\xef\xbb\xbf")


def test_a_week_that_is_no_friday_names_its_line():
    with pytest.raises(SourceError, match="line 2"):
        parsed(piped([row(friday="2025-11-13")], PSV))


def test_a_rejected_json_record_keeps_its_numbers():
    file = parsed(api_json([row(), row("B", shares=-5)]))
    assert '"totalWeeklyShareQuantity": -5' in file.rejects["raw_line"][0]


def test_rows_that_differ_in_any_field_are_no_repeats():
    file = parsed(api_json([row(), row() | {"totalNotionalSum": 1}]))
    assert reasons(file) == []


def test_a_symbol_of_spaces_is_empty():
    assert len(reasons(parsed(piped([row(), row("  ")])))) == 1


def test_a_nul_in_json_is_rejected():
    try:
        file = parsed(api_json([row(), row("B\0")]))
    except SourceError:
        return
    assert reasons(file)


@pytest.mark.parametrize("value", [["X"], True, {"a": 1}])
def test_a_json_mpid_that_is_no_text_is_rejected(value):
    assert len(reasons(parsed(api_json([row(), row() | {"MPID": value}])))) == 1


def test_a_psv_cut_before_its_last_field_is_a_truncation():
    with pytest.raises(SourceError, match="truncated"):
        parsed(piped([row(), row("B", trades="")], PSV).rstrip(b"\n"))


@settings(max_examples=300, deadline=None)
@given(st.binary())
@example(b"\r0")
def test_any_bytes_are_taken_or_refused(data):
    assert is_taken_or_refused(data)


@pytest.mark.parametrize("column", ["updated", "published"])
def test_a_day_soon_to_come_refuses_the_file_since_our_clock_may_be_behind(column):
    data = api_json([row(), row("BRK.B", **{column: "2026-01-16"})])
    with pytest.raises(SourceError, match=f"^{N}, line 2: 2026-01-16 is yet to come"):
        parsed(data, N)


# What mutated files have found


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1E-99999999999999999999", "1e400"])
def test_a_json_number_beyond_all_bounds_is_refused_with_its_record(number):
    data = api_json([row(), row("BRK.B", shares=987654321)]).replace(b"987654321", number.encode())
    file = parsed(data, N)
    assert (list(file.rows["symbol"]), reasons(file)) == (["ABCD"], ["invalid_volume"])
    assert number in file.rejects["raw_line"][0]


@pytest.mark.parametrize("make", [piped, api_csv], ids=["FINRA download", "Query API"])
def test_a_column_that_is_there_twice_refuses_the_file(make):
    columns = (*(API if make is api_csv else DOWNLOAD), "totalWeeklyShareQuantity")
    reason = f"^{N}, line 1: has totalWeeklyShareQuantity twice"
    with pytest.raises(SourceError, match=reason):
        parsed(make([row()], columns), N)


def test_a_column_of_no_meaning_may_be_there_twice():
    lines = piped([row()]).decode().splitlines()
    data = f"{lines[0]}|x|x\n{lines[1]}|1|2\n".encode()
    assert list(parsed(data, N).rows["symbol"]) == ["ABCD"]


def test_a_json_record_with_a_name_twice_is_refused_alone():
    twice = api_json([row("BRK.B", shares=5)])[1:-1].replace(
        b'"totalWeeklyShareQuantity": 5', b'"totalWeeklyShareQuantity": 5, "MPID": "X"'
    )
    file = parsed(api_json([row()])[:-1] + b"," + twice + b"]", N)
    assert (list(file.rows["symbol"]), reasons(file)) == (["ABCD"], ["malformed_line"])


@pytest.mark.parametrize("data", [b"x\n" * 40, b"[" + b"1," * 40 + b"1]"], ids=["lines", "JSON"])
def test_more_values_than_a_week_can_have_are_refused_before_they_are_read(data, monkeypatch):
    monkeypatch.setattr(dialects, "MAX_VALUES", 39)
    monkeypatch.setattr(dialects, "_decode", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(SourceError, match=f"^{N}: has over 39 values"):
        parsed(data, N)
