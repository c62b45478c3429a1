"""Non-ATS data: dealers are known by CRD number and name, and no file is of two datasets."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import FileSource
from otc_assets.sources.parse import ParsedFile
from otc_assets_tests.sources.samples import (
    API,
    DOWNLOAD,
    FIXTURES,
    NAMED,
    PSV,
    TODAY,
    WEEK,
    all_lines_are_accounted_for,
    api_csv,
    api_json,
    dealer,
    parsed,
    piped,
    reasons,
    row,
)

each_form = pytest.mark.parametrize("render", [api_csv, api_json])
each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
OF = {ATS: row, NON_ATS: dealer}
"""What makes a record of each dataset."""


def non_ats(data: bytes) -> ParsedFile:
    return parsed(data, "some.file", dataset=NON_ATS)


@each_form
def test_a_dealer_is_known_by_its_crd_number_and_its_name(render):
    file = non_ats(render([dealer(name="EXAMPLE & CO., LLC", crd=361, shares=12, notional=3.5)]))
    read = file.rows.loc[0, ["mpid", "firm_crd", "venue_name", "share_volume", "notional"]]
    assert read.tolist() == [
        "361 EXAMPLE & CO., LLC",
        "361",
        "EXAMPLE & CO., LLC",
        12_000_000,
        3_500_000,
    ]


@each_form
def test_de_minimis_firms_are_a_venue_of_number_0(render):
    file = non_ats(render([dealer("A"), dealer("A", "De Minimis Firms", crd=0)]))
    assert list(file.rows["mpid"]) == ["361 EXAMPLE TRADING LLC", "0 De Minimis Firms"]
    assert list(file.rows["firm_crd"]) == ["361", "0"]
    assert reasons(file) == []


@pytest.mark.parametrize(
    "change",
    [{"crd": None}, {"crd": ""}, {"crd": " "}, {"name": None}, {"name": ""}, {"name": " "}],
)
@each_form
def test_a_dealer_without_a_number_or_a_name_is_refused_alone(render, change):
    file = non_ats(render([dealer("A"), dealer("B", **change)]))
    assert list(file.rows["symbol"]) == ["A"]
    assert reasons(file) == ["empty_mpid"]
    assert "B" in file.rejects["raw_line"][0]
    assert all_lines_are_accounted_for(file)


@pytest.mark.parametrize("crd", [None, 123456])
def test_an_mpid_in_non_ats_data_names_no_venue(crd):
    file = non_ats(api_json([dealer("A"), dealer("B", crd=crd) | {"MPID": "PLUM"}]))
    if crd is None:
        assert reasons(file) == ["empty_mpid"]
    else:
        assert list(file.rows["mpid"])[1] == "123456 EXAMPLE TRADING LLC"


@each_form
def test_a_file_without_the_column_mpid_is_fine_in_non_ats_data_alone(render):
    columns = [column for column in API if column != "MPID"]
    assert list(non_ats(render([dealer()], columns)).rows["mpid"]) == ["361 EXAMPLE TRADING LLC"]
    with pytest.raises(SourceError, match="has no good line; the first is refused for empty_mpid"):
        parsed(render([row()], columns))


@each_form
def test_a_file_without_the_column_of_crd_numbers_is_fine_in_ats_data_alone(render):
    columns = [column for column in API if column != "firmCRDNumber"]
    assert list(parsed(render([row()], columns)).rows["mpid"]) == ["PLUM"]
    with pytest.raises(SourceError, match="has no good line; the first is refused for empty_mpid"):
        non_ats(render([dealer()], columns))


def test_an_ats_is_known_by_its_mpid_alone():
    rows = [row("A", crd=1), row("B", crd=2, venue="Another Name"), row("C", crd=None, venue="")]
    assert set(parsed(api_json(rows)).rows["mpid"]) == {"PLUM"}


def test_one_name_under_two_numbers_is_two_dealers_and_so_is_one_number_under_two_names():
    rows = [dealer(crd=1, name="A"), dealer(crd=2, name="A"), dealer(crd=1, name="B")]
    assert non_ats(api_json(rows)).rows["mpid"].nunique() == 3


numbers = st.integers(0, 999_999)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)


@settings(max_examples=40)
@given(st.lists(st.tuples(numbers | st.none(), words | st.none()), min_size=1, max_size=6))
def test_whatever_its_parts_a_dealer_is_named_by_both_or_refused(venues):
    rows = [
        dealer("FIRST"),
        *(dealer(f"S{n}", name, crd=crd) for n, (crd, name) in enumerate(venues)),
    ]
    file = non_ats(api_json(rows))
    named = {
        f"S{n}": f"{crd} {name}"
        for n, (crd, name) in enumerate(venues)
        if crd is not None and name and name.strip()
    }
    assert dict(zip(file.rows["symbol"][1:], file.rows["mpid"][1:], strict=True)) == named
    assert reasons(file) == ["empty_mpid"] * (len(venues) - len(named))


@pytest.mark.parametrize("summary", ["ATS_W_SMBL_FIRM", "ATS_W_SMBL", "OTC_W_SMBL", ""])
@each_form
def test_no_total_and_no_ats_counts_as_a_dealer(render, summary):
    rows = [dealer("A"), dealer("B"), dealer("C", summary=summary)]
    file = non_ats(render(rows))
    assert list(file.rows["symbol"]) == ["A", "B"]
    assert reasons(file) == ["wrong_summary_type"]


@each_form
@each_dataset
def test_a_file_of_another_dataset_is_refused_whole(render, dataset):
    (other,) = (each for each in DATASETS if each is not dataset)
    with pytest.raises(SourceError) as caught:
        parsed(render([OF[other](), OF[other]("B")]), "some.file", dataset=dataset)
    assert str(caught.value) == f"some.file: holds {other.title} data, not {dataset.title}"


@pytest.mark.parametrize("columns", [DOWNLOAD, PSV])
def test_the_dialects_that_name_no_dataset_hold_ats_data(columns):
    with pytest.raises(SourceError, match="holds ATS data, not non-ATS"):
        non_ats(piped([row()], columns))


def test_the_publication_date_of_non_ats_data_is_told_by_the_api():
    file = non_ats(api_json([dealer(published="2025-12-16", updated="2025-12-29")]))
    assert (file.publication_date, file.newest_update) == (date(2025, 12, 16), date(2025, 12, 29))


def test_every_row_of_the_fixtures_says_what_its_record_says():
    placed = FileSource(str(FIXTURES)).index(TODAY, NON_ATS).placed
    assert len(placed) == 30
    for week, (found,) in placed.items():
        file = parsed(found.read(), found.name, week, NON_ATS)
        records = json.loads(found.read(), parse_float=Decimal)
        assert reasons(file) == []
        assert [
            (r.symbol, r.mpid, int(r.share_volume), r.trade_count, int(r.notional))
            for r in file.rows.itertuples()
        ] == [
            (
                record["issueSymbolIdentifier"],
                f"{record['firmCRDNumber']} {record['marketParticipantName']}",
                record["totalWeeklyShareQuantity"] * 10**6,
                record["totalWeeklyTradeCount"],
                record["totalNotionalSum"] * 10**6,
            )
            for record in records
        ]
        assert "0 De Minimis Firms" in set(file.rows["mpid"])


def names(found) -> list[str]:
    return [file.name for file in found]


@pytest.fixture
def folder(tmp_path_factory):
    """Files of both datasets in one folder; its name tells none of them."""
    folder = tmp_path_factory.mktemp("mixed")
    ats = [row(), row("B"), row("C", summary=NON_ATS.summary_type)]
    (folder / "a.json").write_bytes(api_json(ats))
    (folder / "b.csv").write_bytes(api_csv([dealer(), dealer("B")]))
    (folder / "c.json").write_bytes(api_json([dealer("C", tier="NMS Tier 2")]))
    (folder / "d.csv").write_bytes(piped([row("D")]))
    (folder / "e.psv").write_bytes(piped([row("E")], PSV))
    return folder


def test_an_index_places_the_files_of_its_dataset_and_no_other(folder):
    source, tier_2 = FileSource(str(folder)), WeekKey(Tier.NMS_TIER_2, WEEK.week_ending)
    ats, dealers = source.index(TODAY, ATS), source.index(TODAY, NON_ATS)
    assert {week: names(found) for week, found in ats.placed.items()} == {
        WEEK: ["a.json", "d.csv", "e.psv"]
    }
    assert {week: names(found) for week, found in dealers.placed.items()} == {
        WEEK: ["b.csv"],
        tier_2: ["c.json"],
    }
    assert ats.unplaced == dealers.unplaced == []
    assert (set(ats.versions()), set(dealers.versions())) == ({WEEK}, {WEEK, tier_2})


def test_without_a_dataset_an_index_is_of_ats(folder):
    source = FileSource(str(folder))
    assert source.index(TODAY).placed == source.index(TODAY, ATS).placed


def test_a_broken_file_is_of_the_dataset_that_its_rows_or_its_folder_tell(folder):
    (folder / "week_2025-11-14_mixed.json").write_bytes(
        api_json([dealer(monday="2025-11-10"), dealer("B", monday="2025-11-17")])
    )
    (folder / "week_2025-11-14_broken.csv").write_bytes(b"<html>")
    (folder / "non_ats").mkdir()
    (folder / "non_ats" / "notes.txt").write_bytes(b"Remember the milk.")
    source = FileSource(str(folder))
    ats, dealers = source.index(TODAY, ATS), source.index(TODAY, NON_ATS)
    assert names(ats.unplaced) == ["week_2025-11-14_broken.csv"]
    assert names(dealers.unplaced) == ["notes.txt", "week_2025-11-14_mixed.json"]
    assert (names(ats.strays()), names(dealers.strays())) == ([], ["notes.txt"])


def test_what_is_archived_of_each_dataset_is_found_again_as_of_it(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    day = date(2025, 12, 15)
    for dataset in DATASETS:
        archive, data = Archive(str(root), dataset), api_json([OF[dataset]()])
        key = archive.accept(archive.receive(WEEK, "same_name.json", data), WEEK, day)
        assert key.startswith("non_ats/otc/" if dataset is NON_ATS else "otc/")
        archive.receive(WEEK, NAMED, b"<html>")
    source = FileSource(str(root))
    for dataset in DATASETS:
        placed, broken = source.index(TODAY, dataset).files_of(WEEK)
        assert (placed.name, placed.known_on, broken.known_on) == ("same_name.json", day, None)
        parsed(placed.read(), placed.name, dataset=dataset)
        assert (placed.week, broken.name, broken.dataset) == (WEEK, NAMED, dataset)
