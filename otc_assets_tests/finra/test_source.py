"""Whole slices or none, from however many pages, with every digit as FINRA wrote it."""

import random
from datetime import date
from decimal import Decimal

import pytest

from otc_assets.domain.datasets import ATS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import SourceError
from otc_assets.sources.finra import FinraSource
from otc_assets.sources.listings import Listings
from otc_assets.sources.parse import parse
from otc_assets_tests.finra import world
from otc_assets_tests.finra.conftest import (
    MONDAY,
    PART,
    TIERS,
    TODAY,
    WEEK,
    index_of,
    means_of,
    named,
    told,
)
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import DATA, PARTITIONS
from otc_assets_tests.finra.world import Number, Part, as_json
from otc_assets_tests.pipeline import RUN

DATASETS = [(ATS, world.ATS), (NON_ATS, world.NON_ATS)]


def lines_of(index, week=WEEK) -> list[str]:
    """The records that a source gives, as they were written."""
    (file,) = index.files_of(week)
    return file.data.decode().removeprefix("[\n").removesuffix("\n]\n").split(",\n")


@pytest.mark.parametrize(("dataset", "kind"), DATASETS, ids=["ats", "non_ats"])
@pytest.mark.parametrize("tier", Tier)
def test_a_slice_is_all_the_rows_of_its_kind_and_no_others(server, client, dataset, kind, tier):
    for identifier in TIERS.values():
        for monday in (MONDAY, date(2025, 11, 17)):
            server.world.publish(monday, identifier)
    truth = server.world.records(Part(MONDAY, TIERS[tier]), kind)
    week = WeekKey(tier, WEEK.week_ending)
    assert lines_of(index_of(client, dataset), week) == sorted(map(as_json, truth))
    pages = -(-len(truth) // server.max_limit)
    assert len(server.asked(DATA)) == pages
    assert pages > 1


@pytest.mark.parametrize("rows", [1, 50, 51, 100])
def test_the_last_page_may_be_full(server, client, rows):
    server.world.firms[PART] = server.world.records(PART, world.ATS)[:rows]
    assert len(lines_of(index_of(client))) == rows
    assert len(server.asked(DATA)) == -(-rows // 50)


def test_the_same_rows_give_the_same_bytes_however_they_are_paged(server, client):
    contents = set()
    for limit in (5000, 50, 7):
        server.max_limit = limit
        random.Random(limit).shuffle(server.world.firms[PART])
        contents.add(index_of(client).files_of(WEEK)[0].read())
    assert len(contents) == 1


def test_a_week_that_changes_while_it_is_paged_is_read_again_from_its_start(server, client, caplog):
    def correct_after_the_second_page(request):
        if len(server.asked(DATA)) == 3:
            first = server.world.firms[PART][0]
            server.world.add(PART, first | {"issueSymbolIdentifier": "LATE"}, TODAY)

    server.before_rows = correct_after_the_second_page
    lines = lines_of(index_of(client))
    assert lines == sorted(map(as_json, server.world.records(PART, world.ATS)))
    assert any('"LATE"' in line for line in lines)
    assert named(told(caplog)) == {Fault.OTHER_TOTAL: 1}


def test_a_slice_is_all_or_nothing(server, client):
    server.faults.always(Fault.EMPTY_PAGE)
    with pytest.raises(SourceError, match="NMS Tier 1:2025-11-14, rows from 50 on"):
        index_of(client).files_of(WEEK)


def test_a_slice_of_more_rows_than_can_be_asked_for_is_refused(server, client, monkeypatch):
    monkeypatch.setattr("otc_assets.sources.finra.MAX_OFFSET", 100)
    with pytest.raises(SourceError, match=r"has \d+ rows, over 100"):
        index_of(client).files_of(WEEK)


def test_numbers_keep_the_digits_that_finra_wrote(server, client):
    texts = ["100.250000", "1.5E7", "0", "7.0", "12345678901.123456", "2.50E1"]
    for record, text in zip(server.world.records(PART, world.ATS), texts, strict=False):
        record["totalWeeklyShareQuantity"] = Number(text)
    lines = lines_of(index_of(client))
    for text in texts:
        assert any(f'"totalWeeklyShareQuantity": {text}, ' in line for line in lines)


@pytest.mark.parametrize(("dataset", "kind"), DATASETS, ids=["ats", "non_ats"])
def test_every_share_and_dollar_survives_to_the_parsed_rows(server, client, dataset, kind):
    (file,) = index_of(client, dataset).files_of(WEEK)
    parsed = parse(file.name, file.data, WEEK, TODAY, dataset)
    assert parsed.rejects.empty
    truth = server.world.records(PART, kind)
    for column, field in (
        ("share_volume", "totalWeeklyShareQuantity"),
        ("notional", "totalNotionalSum"),
    ):
        exact = sorted(int(Decimal(str(r[field])) * 10**6) for r in truth)
        assert sorted(parsed.rows[column]) == exact
    assert sorted(parsed.rows["symbol"]) == sorted(str(r["issueSymbolIdentifier"]) for r in truth)
    fractional = [r for r in truth if Decimal(str(r["totalWeeklyShareQuantity"])) % 1]
    assert fractional


def test_firms_without_mpid_are_told_apart_by_number_and_name(server, client):
    (file,) = index_of(client, NON_ATS).files_of(WEEK)
    parsed = parse(file.name, file.data, WEEK, TODAY, NON_ATS)
    assert set(parsed.rows["mpid"]) == {f"{crd} {name}" for crd, name in world.FIRMS.items()}
    assert "0 De Minimis Firms" in set(parsed.rows["mpid"])


def test_a_week_that_is_not_public_is_no_file(server, client):
    later = WeekKey(Tier.NMS_TIER_1, date(2025, 12, 26))
    assert index_of(client).files_of(later) == []
    assert len(server.asked(DATA)) == 1


def test_a_week_to_come_is_not_asked_for(server, client):
    assert index_of(client, today=date(2025, 11, 13)).files_of(WEEK) == []
    assert server.requests == []


def test_an_empty_answer_for_a_listed_slice_is_doubted_twice_and_then_believed(
    server, client, caplog
):
    server.faults.always(Fault.EMPTY_SLICE)
    assert index_of(client, listings=Listings).files_of(WEEK) == []
    assert len(server.asked(DATA)) == 3
    assert len(server.asked(PARTITIONS)) == 1
    assert named(told(caplog)) == {Fault.EMPTY_SLICE: 3}


def test_what_finra_lists_are_the_slices_there_are(server, client, caplog):
    server.world.publish(MONDAY, "OTCE")
    server.world.firms[Part(MONDAY, "T9")] = [{}]
    server.world.firms[Part(date(2025, 11, 11), "T1")] = [{}]
    index = FinraSource(means_of(client)).index(TODAY, ATS)
    assert set(index.versions()) == {WEEK, WeekKey(Tier.OTC, WEEK.week_ending)}
    assert set(index.versions().values()) == {index.version_of(WEEK)}
    strange = ["2025-11-10, T9", "2025-11-11, T1"]
    assert [line.rpartition(": ")[2] for line in told(caplog)] == sorted(strange)


def test_nothing_is_asked_before_it_is_needed(server, client):
    assert FinraSource(means_of(client)).index(TODAY, ATS).strays() == []
    assert server.requests == []


def test_a_refused_slice_leaves_what_the_store_has(server, client, sqlite_warehouse, tmp_path):
    def take_in():
        archive = Archive(str(tmp_path / "archive"))
        outcome = ingest(sqlite_warehouse, archive, index_of(client), WEEK, RUN, TODAY)
        with sqlite_warehouse.read() as reader:
            return outcome, reader.count("raw", WEEK), reader.records("dead_letters", WEEK)

    _, rows, none = take_in()
    record = server.world.firms[PART][0]
    server.world.correct(record, TODAY, totalWeeklyShareQuantity=Number("1"))
    server.faults.always(Fault.FORBIDDEN)
    refused, still, (letter,) = take_in()
    assert (rows, none) == (still, [])
    assert "The message of a 403" in letter["error"]
    assert refused.reason == letter["error"]
    server.faults.stop()
    _, both, healed = take_in()
    assert both == 2 * rows
    assert healed == []
