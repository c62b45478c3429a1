"""A file that cannot be taken says why and where, and costs no other slice anything."""

import shutil
from datetime import date

import pytest

from otc_assets.domain.weeks import WeekKey
from otc_assets.sources import files
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import FileSource
from otc_assets_tests.sources.samples import (
    DOWNLOAD,
    FIXTURES,
    NAMED,
    PSV,
    TODAY,
    WEEK,
    api_csv,
    api_json,
    parsed,
    piped,
    row,
)


def cut(data, text, last=False):
    """A file up to the first or last time that a text stands in it."""
    return data[: (data.rindex if last else data.index)(text.encode())]


GOOD = piped([row(), row("B"), row("C")])
WITH_WEEK = (*DOWNLOAD, "weekStartDate")
HEADER_ONLY = piped([])

BAD = {
    "unknown dialect": (b"a|b|c\n1|2|3\n", "is of no known dialect", 1),
    "unknown dialect, comma": (b"a,b,c\n1,2,3\n", "is of no known dialect", 1),
    "no MPID column": (piped([row()], [c for c in DOWNLOAD if c != "MPID"]), "lacks MPID", 1),
    "no tier column in PSV": (piped([row()], [c for c in PSV if c != "Tier"]), "lacks Tier", 1),
    "wrong tier": (piped([row(tier="NMS Tier 1")]), "its name says OTC, its rows say NMS", 2),
    "unknown tier": (piped([row(tier="T9")]), "unknown tier 'T9'", 2),
    "mixed tiers": (piped([row(), row("B"), row("C", tier="T2")]), "tier 'NMS Tier 2'", 4),
    "mixed weeks": (
        piped([row(), row("B"), row("C", monday="2025-11-17")], WITH_WEEK),
        "mixes several slices: week_start '2025-11-17'",
        4,
    ),
    "cut in the middle of a line": (cut(GOOD, "Abcd", last=True), "truncated", 4),
    "cut in the middle of the date": (GOOD[:-5], "truncated: its last line is cut off", 4),
    "cut before the date": (cut(GOOD, "2025", last=True), "truncated", 4),
    "cut in the first field": (GOOD + b"OT", "truncated: its last line is cut off", 5),
    "cut CSV": (cut(api_csv([row(), row("B")]), ",98765.43", last=True), "truncated", 3),
    "cut CSV, in quotes": (cut(api_csv([row(), row("B", name="C, D")]), " D"), "truncated", 3),
    "cut JSON": (cut(api_json([row()]), "MPID"), "is no whole JSON document", 5),
    "cut JSON, whole records": (api_json([row()])[:-1], "is no whole JSON document", 21),
    "JSON object": (b'{"message": "no data"}', "is no JSON array of records", 1),
    "empty JSON array": (b"[]", "is an empty JSON array", None),
    "JSON array of numbers": (b"[1, 2]", "is of no known dialect", 1),
    "JSON of other records": (b'[{"symbol": "A"}]', "is of no known dialect", 1),
    "HTML": (b"<!DOCTYPE html>\n<html><body>503 | try later</body></html>", "no known dialect", 1),
    "empty": (b"", "is empty", None),
    "whitespace only": (b" \r\n\t\n  ", "is empty", None),
    "header only": (HEADER_ONLY, "has a header and no rows", 1),
    "header only, no newline": (HEADER_ONLY.strip(), "has a header and no rows", 1),
    "header and blank lines": (HEADER_ONLY + b"\n \n", "has a header and no rows", 1),
    "no UTF-8": (GOOD.replace(b"|C|", b"|C\xe9|"), "is not UTF-8: byte e9", 4),
    "UTF-16": (GOOD.decode().encode("utf-16"), "is not UTF-8: byte ff", 1),
    "NUL byte": (GOOD.replace(b"|B|", b"|B\0|"), "holds a NUL byte", 3),
    "no good line": (piped([row(""), row("B", mpid="")]), "no good line; the first is refused", 2),
    "no publication day": (piped([row(updated="2025-12-17")]), "2025-12-17 (Wednesday)", None),
}
OTHER_SLICES = [
    (WeekKey.from_string("OTC:2025-05-02"), "finra_otc_weekly_otc_20250602.csv"),
    (WeekKey.from_string("NMS Tier 1:2025-05-02"), "finra_otc_weekly_tier1_20250519.csv"),
]
every_bad_file = pytest.mark.parametrize(
    ("data", "reason", "line"), [pytest.param(*case, id=name) for name, case in BAD.items()]
)


@pytest.fixture
def folder(tmp_path):
    """A folder with whole files of other slices."""
    for _, name in OTHER_SLICES:
        shutil.copy(FIXTURES / name, tmp_path)
    return tmp_path


def names(found):
    return [file.name for file in found]


@every_bad_file
def test_parse_refuses_it_with_its_name_the_reason_and_the_line(data, reason, line):
    with pytest.raises(SourceError) as caught:
        parsed(data, NAMED)
    message = str(caught.value)
    assert reason in message
    assert message.startswith(NAMED)
    assert (f"line {line}:" if line else f"{NAMED}: ") in message


@every_bad_file
def test_the_index_gives_it_to_its_own_slice_alone(folder, data, reason, line):
    (folder / NAMED).write_bytes(data)
    index = FileSource(str(folder)).index(TODAY)
    assert names(index.files_of(WEEK)) == [NAMED]
    assert index.strays() == []
    for week, name in OTHER_SLICES:
        assert names(index.files_of(week)) == [name]
    everything = [f.name for found in index.placed.values() for f in found]
    assert sorted([*everything, *names(index.unplaced)]) == sorted(
        [NAMED, *(name for _, name in OTHER_SLICES)]
    )


def test_a_cut_anywhere_in_the_last_line_is_noticed():
    start = GOOD.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(GOOD) - 1):
        with pytest.raises(SourceError, match="line 4: the file is truncated"):
            parsed(GOOD[:end])


def test_a_malformed_last_line_is_a_cut_only_without_its_newline():
    file = parsed(GOOD + b"OTC|D\n")
    assert list(file.rejects["reason_code"]) == ["malformed_line"]


def test_a_last_line_with_a_bad_date_is_a_cut_only_without_its_newline():
    data = GOOD + piped([row("D", updated="2025-12-1")]).splitlines(keepends=True)[1]
    assert list(parsed(data).rejects["reason_code"]) == ["invalid_date"]
    with pytest.raises(SourceError, match="line 5: the file is truncated"):
        parsed(data.rstrip(b"\n"))


def test_a_gigantic_file_is_placed_and_refused_before_it_is_read(folder, monkeypatch):
    (folder / NAMED).write_bytes(GOOD)
    monkeypatch.setattr(files, "MAX_BYTES", len(GOOD) - 1)
    index = FileSource(str(folder)).index(TODAY)
    (file,) = index.files_of(WEEK)
    monkeypatch.setattr(type(file.path), "read_bytes", lambda path: pytest.fail("was read"))
    with pytest.raises(SourceError, match=f"{NAMED}: is {len(GOOD)} bytes.*split it"):
        file.read()


def test_a_file_of_the_largest_size_is_read(folder, monkeypatch):
    (folder / NAMED).write_bytes(GOOD)
    monkeypatch.setattr(files, "MAX_BYTES", len(GOOD))
    (file,) = FileSource(str(folder)).index(TODAY).files_of(WEEK)
    assert file.read() == GOOD


def test_a_file_that_is_gone_when_it_is_read_says_so(folder):
    (folder / NAMED).write_bytes(GOOD)
    (file,) = FileSource(str(folder)).index(TODAY).files_of(WEEK)
    (folder / NAMED).unlink()
    with pytest.raises(SourceError, match=f"{NAMED}: cannot be read"):
        file.read()


def test_a_file_that_nothing_can_place_is_a_stray(folder):
    (folder / "notes.txt").write_text("Remember the milk.")
    (folder / "otc_20251217.csv").write_bytes(piped([row(updated="2025-12-17")]))
    strays = FileSource(str(folder)).index(TODAY).strays()
    assert names(strays) == ["notes.txt", "otc_20251217.csv"]
    assert [str(f.error).split(":")[0] for f in strays] == ["notes.txt, line 1", "otc_20251217.csv"]


def test_a_broken_file_without_a_tier_counts_for_the_tiers_that_have_no_other(folder):
    (folder / "week_2025-05-02.csv").write_bytes(b"")
    index = FileSource(str(folder)).index(TODAY)
    for week, name in OTHER_SLICES:
        assert names(index.files_of(week)) == [name]
    lonely = WeekKey.from_string("NMS Tier 2:2025-05-02")
    assert names(index.files_of(lonely)) == ["week_2025-05-02.csv"]
    assert index.files_of(lonely.shifted(1)) == []


def test_a_broken_file_stands_beside_the_whole_one_of_its_slice(folder):
    (folder / "finra_otc_weekly_otc_20250602_again.csv").write_bytes(b"<html>")
    index = FileSource(str(folder)).index(date(2025, 7, 1))
    assert names(index.files_of(OTHER_SLICES[0][0])) == [
        "finra_otc_weekly_otc_20250602.csv",
        "finra_otc_weekly_otc_20250602_again.csv",
    ]
