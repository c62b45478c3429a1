"""The server keeps to what is known of FINRA's API, so that the other tests mean something."""

import csv
import io
import re
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.finra import world
from otc_assets_tests.finra.conftest import MONDAY, PART
from otc_assets_tests.finra.server import DATA, HISTORIC_DATA, HISTORIC_PARTITIONS, PARTITIONS
from otc_assets_tests.finra.world import ATS, FIELDS, TOTALS

JSON = {"Accept": "application/json"}
FILTERS = {"weekStartDate": str(MONDAY), "tierIdentifier": "T1"}


def query(equal=FILTERS, **more):
    filters = [
        {"compareType": "EQUAL", "fieldName": name, "fieldValue": value}
        for name, value in equal.items()
    ]
    return {"compareFilters": filters, **more}


@pytest.fixture
def ask(server):
    """Post a query for data."""
    return lambda headers=JSON, **body: httpx.post(server.url + DATA, json=body, headers=headers)


def test_a_page_says_where_it_stands(server, ask):
    total = len(server.world.records(PART))
    answer = ask(**query(limit=10, offset=20))
    assert len(answer.json()) == 10
    assert {k: v for k, v in answer.headers.items() if k.startswith("record-")} == {
        "record-total": str(total),
        "record-offset": "20",
        "record-limit": "10",
        "record-max-limit": "50",
    }
    assert set(answer.json()[0]) == set(FIELDS)
    assert len(ask(**query(limit=5000)).json()) == 50


def test_a_page_has_a_thousand_rows_at_first(server, ask):
    server.max_limit = 5000
    server.world.firms[PART] *= 4
    assert len(ask(**query()).json()) == 1000


def test_without_the_summary_type_totals_are_mixed_in_and_double_the_volume(server, ask):
    server.max_limit = 5000
    rows = ask(**query(limit=5000)).json()
    shares = {
        kind: sum(
            Decimal(str(r["totalWeeklyShareQuantity"]))
            for r in server.world.records(PART)
            if r["summaryTypeCode"] == kind
        )
        for kind in (*TOTALS, *TOTALS.values())
    }
    assert {r["summaryTypeCode"] for r in rows} == set(shares)
    assert all(shares[kind] == shares[total] > 0 for kind, total in TOTALS.items())


def test_an_unfiltered_query_starts_at_an_old_week(server, ask):
    server.world.publish(MONDAY - timedelta(weeks=9), "OTCE")
    assert ask(limit=1).json()[0]["weekStartDate"] == "2025-09-08"


def test_get_ignores_filters(server):
    server.world.publish(MONDAY - timedelta(weeks=9), "OTCE")
    answer = httpx.get(server.url + DATA, params=FILTERS, headers=JSON)
    assert answer.json()[0]["weekStartDate"] == "2025-09-08"


def test_without_accept_the_answer_is_csv(ask):
    answer = ask(headers={}, **query(limit=3, fields=["issueSymbolIdentifier", "MPID"]))
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["issueSymbolIdentifier", "MPID"]
    assert len(rows) == 4


def test_sorting_needs_both_partition_keys(ask):
    assert ask(**query({"weekStartDate": str(MONDAY)}, sortFields=["MPID"])).status_code == 400
    symbols = [
        r["issueSymbolIdentifier"]
        for r in ask(**query(sortFields=["-issueSymbolIdentifier"])).json()
    ]
    assert symbols == sorted(symbols, reverse=True)


def test_errors_are_documents(ask):
    error = ask(**query({"noSuchField": "x"}))
    assert error.status_code == 400
    assert set(error.json()) == {"statusCode", "statusDescription", "requestId", "message"}
    assert ask(**query(offset=500_001)).status_code == 400


def test_no_rows_are_204(ask):
    answer = ask(**query(FILTERS | {"issueSymbolIdentifier": "NONE"}))
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_range_of_dates_is_a_filter(server, ask):
    server.world.publish(MONDAY - timedelta(weeks=9), "T1")
    range_ = {"fieldName": "weekStartDate", "startDate": "2025-11-01", "endDate": "2025-11-30"}
    rows = ask(dateRangeFilters=[range_]).json()
    assert {r["weekStartDate"] for r in rows} == {str(MONDAY)}


def test_without_partitions_there_is_a_message_and_no_list(server):
    assert httpx.get(server.url + PARTITIONS).json()["availablePartitions"]
    server.world.firms.clear()
    document = httpx.get(server.url + PARTITIONS).json()
    assert "message" in document
    assert "availablePartitions" not in document


def test_its_world_has_every_trap(server):
    rows = server.world.records(PART, ATS)
    shares = [str(r["totalWeeklyShareQuantity"]) for r in rows]
    keys = [(r["issueSymbolIdentifier"], r["MPID"]) for r in rows]
    assert 0.05 < sum("." in text and "E" not in text for text in shares) / len(shares) < 0.25
    assert any("E7" in text for text in shares)
    assert len(set(keys)) < len(keys)
    assert {"ABRpD", "ABRPD", "ABR$D", "aB", "AB"} & {symbol for symbol, _ in keys}


def test_from_the_command_line_it_publishes_and_corrects():
    command = [sys.executable, "-um", "otc_assets_tests.finra.server", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--weeks", "2", "--today", "2026-01-15", "--symbols", "5"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        lines = iter(process.stdout.readline, "")
        said = next(line for line in lines if " is up" in line)
        url = re.match(r"\S+", said)[0]
        listed = httpx.get(url + PARTITIONS).json()["availablePartitions"]
        assert len(listed) == 6
        assert ["2025-12-29", "T1"] not in [each["partitions"] for each in listed]
        week = {"week_ending": "2026-01-02", "tier": "T1"}
        assert httpx.post(f"{url}/control/correct", json=week).status_code == 404
        assert httpx.post(f"{url}/control/publish", json=week).json()["published"] > 0
        assert httpx.post(f"{url}/control/publish", json=week).status_code == 409
        corrected = httpx.post(f"{url}/control/correct", json=week).json()["corrected"]
        assert corrected["lastUpdateDate"] == "2026-01-15"
        assert httpx.post(f"{url}/control/correct", json={}).status_code == 400
    finally:
        process.kill()
        process.wait()


HISTORIC = {"historicalWeek": str(MONDAY), "tierIdentifier": "T1"}


@pytest.fixture
def ask_historic(server):
    """Post a query for data of the historic set, which has the week too."""
    server.world.move(PART, world.HISTORIC, world.WEEKLY)
    return lambda **body: httpx.post(server.url + HISTORIC_DATA, json=body, headers=JSON)


@pytest.mark.parametrize(
    "equal",
    [HISTORIC, {"historicalWeek": str(MONDAY)}, {"historicalMonth": "2025-Nov"}, {}],
)
def test_the_historic_set_gives_all_summary_types_of_a_time(server, ask_historic, equal):
    server.max_limit = 5000
    rows = ask_historic(**query(equal, limit=5000)).json()
    assert len(rows) == len(server.world.records(PART))
    assert {r["summaryTypeCode"] for r in rows} == {*TOTALS, *TOTALS.values()}


@pytest.mark.parametrize(
    "more",
    [
        query({**HISTORIC, "summaryTypeCode": ATS}),
        query({**HISTORIC, "issueSymbolIdentifier": "AB"}),
        query({"weekStartDate": str(MONDAY), "tierIdentifier": "T1"}),
        query(HISTORIC, sortFields=["issueSymbolIdentifier"]),
        query(dateRangeFilters=[{"fieldName": "weekStartDate"}], equal={}),
    ],
    ids=["summary type", "symbol", "week start", "sorted", "range"],
)
def test_the_historic_set_refuses_every_filter_but_time_and_tier(ask_historic, more):
    answer = ask_historic(**more)
    assert answer.status_code == 400
    assert set(answer.json()) == {"statusCode", "statusDescription", "requestId", "message"}


def test_the_two_sets_overlap_as_they_are_told_to(server):
    later = server.world.publish(MONDAY + timedelta(weeks=1), "T1")
    older = server.world.publish(MONDAY - timedelta(weeks=1), "T1")
    server.world.move(older, world.HISTORIC)
    server.world.move(PART, world.HISTORIC, world.WEEKLY)
    listed = {
        path: [
            e["partitions"][0] for e in httpx.get(server.url + path).json()["availablePartitions"]
        ]
        for path in (PARTITIONS, HISTORIC_PARTITIONS)
    }
    assert listed[PARTITIONS] == [str(PART.monday), str(later.monday)]
    assert listed[HISTORIC_PARTITIONS] == [str(older.monday), str(PART.monday)]
