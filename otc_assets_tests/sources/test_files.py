"""The index of a folder: which files there are for which slice, read no more than is needed."""

import os

import pytest
from upath import UPath

from otc_assets.domain.datasets import NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources import files
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import SAMPLE_PART, SAMPLE_PARTS, SAMPLE_WHOLE, FileSource
from otc_assets_tests.sources.samples import (
    FIXTURES,
    NAMED,
    TODAY,
    WEEK,
    api_json,
    parsed,
    piped,
    row,
)

NEXT = WEEK.shifted(1)
OF_NEXT = piped([row(updated="2025-12-22")])


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    """An empty folder, once on a disk and once at an fsspec address."""
    if request.param == "local":
        yield UPath(tmp_path)
        return
    path = UPath("memory://source-files")
    path.mkdir(parents=True)
    yield path
    path.fs.rm(path.path, recursive=True)


@pytest.fixture
def looked_into(monkeypatch):
    """What the index reads, as (name, bytes), one after the other."""
    reads = []
    read_lines = files.read_lines

    def counted(name, data, *, strict):
        reads.append((name, data))
        return read_lines(name, data, strict=strict)

    monkeypatch.setattr(files, "read_lines", counted)
    return reads


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def index_of(folder):
    return FileSource(str(folder)).index(TODAY)


def names(found):
    return [file.name for file in found]


def test_the_fixture_folder_has_30_slices_of_each_dataset_and_nothing_else():
    index = index_of(FIXTURES)
    weeks = [WeekKey(tier, WEEK.week_ending).shifted(-n) for tier in Tier for n in range(19, 29)]
    assert sorted(index.placed) == sorted(weeks)
    assert index.unplaced == index.strays() == []
    assert names(index.files_of(WeekKey.from_string("NMS Tier 1:2025-05-23"))) == [
        "finra_otc_weekly_tier1_20250609.csv",
        "finra_otc_weekly_tier1_20250609_corrected_20250716.csv",
    ]
    dealers = FileSource(str(FIXTURES)).index(TODAY, NON_ATS)
    assert {week: names(found) for week, found in dealers.placed.items()} == {
        week: [f"finra_non_ats_{slug}_week_{week.week_ending}.json"]
        for week in weeks
        for slug in [{"OTC": "otc"}.get(week.tier, f"tier{week.tier[-1]}")]
    }
    assert dealers.unplaced == dealers.strays() == []


def test_sub_folders_are_included(folder):
    put(folder, "top.csv", piped([row()]))
    put(folder, "2025/december/deep.csv", OF_NEXT)
    index = index_of(folder)
    assert names(index.files_of(WEEK)) == ["top.csv"]
    assert names(index.files_of(NEXT)) == ["deep.csv"]


def test_only_files_of_known_suffixes_are_looked_at(folder):
    known = ["a.csv", "b.psv", "c.txt", "d.json", "E.CSV"]
    for name in [*known, "f.xlsx", "g.csv.gz", "README.md", "csv", ".h.csv.1.part"]:
        put(folder, name, api_json([row()]) if name == "d.json" else piped([row()]))
    index = index_of(folder)
    assert sorted(names(index.files_of(WEEK))) == sorted(known)
    assert index.unplaced == []


def test_a_folder_with_the_name_of_a_file_is_no_file(folder):
    put(folder, "week.csv/inside.csv", piped([row()]))
    index = index_of(folder)
    assert names(index.files_of(WEEK)) == ["inside.csv"]
    assert index.unplaced == []


def test_several_files_of_a_slice_are_listed_in_the_order_of_their_paths(folder):
    for name in ("b.csv", "a/z.csv", "c.csv"):
        put(folder, name, piped([row()]))
    assert names(index_of(folder).files_of(WEEK)) == ["z.csv", "b.csv", "c.csv"]


def test_a_slice_without_a_file_has_none(folder):
    put(folder, "a.csv", piped([row()]))
    assert index_of(folder).files_of(NEXT) == []


def test_an_empty_folder_has_an_empty_index(folder):
    assert index_of(folder).placed == {}


def test_what_is_indexed_can_be_read_and_parsed(folder):
    data = piped([row(), row("BRK.B", shares="0.5")])
    put(folder, "deep/a.csv", data)
    (file,) = index_of(folder).files_of(WEEK)
    assert file.read() == data
    assert file.known_on is None
    assert len(parsed(file.read(), file.name, file.week).rows) == 2


@pytest.mark.parametrize("damage", [b"OTC|C", b"OTC|\xe9\n", b"OTC|\0\n"])
def test_a_damaged_file_is_placed_as_far_as_it_can_be_read(folder, damage):
    put(folder, "any.csv", piped([row(), row("B")]) + damage)
    (file,) = index_of(folder).files_of(WEEK)
    assert file.week == WEEK
    with pytest.raises(SourceError, match=r"any\.csv, line 4"):
        parsed(file.read(), file.name, file.week)


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_missing_folder_is_a_clear_error(folder, kind):
    missing = folder / "nowhere"
    if kind == "a file":
        missing.write_bytes(b"")
    with pytest.raises(SourceError, match="nowhere: there is no such folder; set OTC_SOURCE_URL"):
        index_of(missing)


def test_a_missing_folder_may_come_later(tmp_path):
    source = FileSource(str(tmp_path / "later"))
    with pytest.raises(SourceError):
        source.index(TODAY)
    put(tmp_path, "later/a.csv", piped([row()]))
    assert names(source.index(TODAY).files_of(WEEK)) == ["a.csv"]


def test_an_unchanged_file_is_not_read_again(tmp_path, looked_into):
    put(tmp_path, "a.csv", piped([row()]))
    put(tmp_path, "broken.csv", b"<html>")
    source = FileSource(str(tmp_path))
    first = source.index(TODAY)
    assert sorted(name for name, _ in looked_into) == ["a.csv", "broken.csv"]
    again = source.index(TODAY)
    assert len(looked_into) == 2
    assert (again.placed, again.unplaced) == (first.placed, first.unplaced)


def test_a_file_that_changed_in_place_is_read_again(folder, looked_into):
    put(folder, "a.csv", piped([row()]))
    put(folder, "b.csv", piped([row()]))
    source = FileSource(str(folder))
    source.index(TODAY)
    looked_into.clear()
    put(folder, "a.csv", OF_NEXT + b"\n")
    index = source.index(TODAY)
    assert "a.csv" in [name for name, _ in looked_into]
    assert (names(index.files_of(WEEK)), names(index.files_of(NEXT))) == (["b.csv"], ["a.csv"])


def test_a_change_that_keeps_the_size_is_seen_by_its_time(tmp_path):
    path = put(tmp_path, "a.csv", piped([row()]))
    source = FileSource(str(tmp_path))
    source.index(TODAY)
    assert len(OF_NEXT) == path.stat().st_size
    path.write_bytes(OF_NEXT)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 1))
    assert names(source.index(TODAY).files_of(NEXT)) == ["a.csv"]


def test_a_removed_file_leaves_the_index_and_a_new_one_joins_it(folder):
    path = put(folder, "a.csv", piped([row()]))
    source = FileSource(str(folder))
    source.index(TODAY)
    path.unlink()
    put(folder, "b.csv", piped([row()]))
    assert names(source.index(TODAY).files_of(WEEK)) == ["b.csv"]


def a_large_file(rows=45_000, end=b"\n"):
    header, line = piped([row("WEND", name="Ünlimited Näme", shares="123.000001")]).splitlines()
    return end.join([header, *[line] * rows, b""])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_large_file_is_placed_from_samples(folder, looked_into, end):
    data = a_large_file(end=end)
    assert len(data) > 3 * SAMPLE_WHOLE
    put(folder, "large.csv", data)
    assert names(index_of(folder).files_of(WEEK)) == ["large.csv"]
    ((_, sample),) = looked_into
    assert SAMPLE_PART < len(sample) <= SAMPLE_PARTS * SAMPLE_PART
    assert set(sample.splitlines()) == set(data.splitlines())  # whole lines, and no other


def test_the_samples_are_from_all_over_a_large_file(folder):
    """A correction of a part of the rows, wherever it stands, is not taken for the publication."""
    corrected = piped([row(updated="2025-12-22")]).splitlines(keepends=True)[1] * 12_000
    header, _, rest = a_large_file(20_000).partition(b"\n")
    put(folder, "first.csv", header + b"\n" + corrected + rest)
    put(folder, "last.csv", header + b"\n" + rest + corrected)
    assert names(index_of(folder).files_of(WEEK)) == ["first.csv", "last.csv"]


def test_a_large_json_file_is_read_whole_to_be_placed(folder, looked_into):
    data = api_json([row(str(n)) for n in range(2_500)])
    assert len(data) > SAMPLE_WHOLE
    put(folder, "large.json", data)
    assert names(index_of(folder).files_of(WEEK)) == ["large.json"]
    assert looked_into == [("large.json", data)]


def test_a_large_file_of_one_line_is_placed_by_its_name(folder):
    put(folder, NAMED, b"x" * (SAMPLE_WHOLE + 1))
    index = index_of(folder)
    assert names(index.files_of(WEEK)) == names(index.unplaced) == [NAMED]


def test_a_file_that_cannot_be_read_is_given_to_its_slice_by_its_name(tmp_path, monkeypatch):
    path = put(tmp_path, NAMED, piped([row()]))
    put(tmp_path, "next.csv", OF_NEXT)
    read = type(UPath(path)).read_bytes

    def refused(self):
        if self.name == NAMED:
            raise PermissionError("not yours")
        return read(self)

    monkeypatch.setattr(type(UPath(path)), "read_bytes", refused)
    index = index_of(tmp_path)
    (file,) = index.files_of(WEEK)
    assert str(file.error) == f"{NAMED}: cannot be read: not yours"
    assert names(index.files_of(NEXT)) == ["next.csv"]
