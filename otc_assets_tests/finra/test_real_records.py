"""FINRA's real records, where they are at hand: the calendar fits, and nothing is rejected."""

import json
from datetime import date, timedelta

import pytest

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.parse import parse
from otc_assets_tests.finra.conftest import index_of, quick
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import ATS, FIELDS, Number, Part, World

TODAY = date(2026, 12, 31)


@pytest.fixture(scope="module")
def records(real_data):
    """Each record as it was written; they are one symbol's totals, week by week."""
    text = (real_data / "api/weeklySummary_ATS_W_SMBL_T1_AAPL.json").read_text()
    return json.loads(text, parse_int=Number, parse_float=Number)


def week_of(record):
    monday = date.fromisoformat(record["weekStartDate"])
    return WeekKey(Tier.NMS_TIER_1, monday + timedelta(days=4))


def test_every_week_was_published_on_the_day_of_the_calendar(records):
    told = [date.fromisoformat(record["initialPublishedDate"]) for record in records]
    assert [expected_publication_date(week_of(record)) for record in records] == told
    assert len(records) == 248


def test_served_as_rows_of_a_venue_they_all_come_through(records, unlimited):
    world = World()
    firm = {"tierIdentifier": "T1", "MPID": "XMPL", "summaryTypeCode": ATS}
    for record in records:
        part = Part(week_of(record).monday, "T1")
        world.firms[part] = [dict.fromkeys(FIELDS) | record | firm]
    shares = 0
    with FinraServer(world) as server:
        index = index_of(quick(server), today=TODAY)
        for record in records:
            week = week_of(record)
            (file,) = index.files_of(week)
            parsed = parse(file.name, file.data, week, TODAY)
            assert parsed.rejects.empty
            (row,) = parsed.rows.to_dict("records")
            assert row["revision_date"] == record["lastUpdateDate"]
            assert row["publication_date"] == record["initialPublishedDate"]
            shares += row["share_volume"]
    assert shares == sum(int(record["totalWeeklyShareQuantity"]) for record in records) * 10**6
