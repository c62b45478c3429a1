"""Every route gives what a function of research gives, and what SQL gives."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.cli.output import records
from otc_assets.research import (
    as_of,
    chain,
    get_events,
    history,
    latest,
    venue_registry,
    venue_share_by_owner,
)
from otc_assets.research.between import between
from otc_assets.research.extract import table_batches
from otc_assets.research.standing import lacking, quality, revisions
from otc_assets.research.symbols import find_symbols
from otc_assets.research.venues import venue_share, venue_volume, venues
from otc_assets.warehouse.engine import create_engine
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.serving.conftest import serving

DAY, LATER = "2025-06-25", "2025-07-30"
IN_ORDER = ["tier", "week_ending", "symbol"]
QUESTIONS: dict[str, tuple[str, Callable[..., pd.DataFrame]]] = {
    "a symbol as of a day": (
        f"as-of?day={DAY}&symbol=XGON",
        lambda **w: as_of(DAY, "XGON", **w),
    ),
    "all as of a day": (
        f"as-of?day={DAY}&limit=10000",
        lambda **w: as_of(DAY, **w).sort_values(IN_ORDER),
    ),
    "as of a moment": (
        "as-of?day=2025-06-20T09:00-04:00&tier=OTC",
        lambda **w: as_of("2025-06-20T09:00-04:00", tiers="OTC", **w),
    ),
    "some symbols of a week": (
        "latest?symbol=PXDT&symbol=XGON&week=2025-05-16",
        lambda **w: latest(["PXDT", "XGON"], weeks="2025-05-16", **w),
    ),
    "a week of a tier": (
        "latest?tier=NMS+Tier+1&week=2025-05-23",
        lambda **w: latest(tiers="NMS Tier 1", weeks="2025-05-23", **w).sort_values("symbol"),
    ),
    "dealers": (
        "latest?dataset=non_ats&week=2025-05-16&tier=OTC",
        lambda **w: latest(tiers="OTC", weeks="2025-05-16", **w | {"dataset": "non_ats"}),
    ),
    "a history": ("history?symbol=PXDT", lambda **w: history("PXDT", **w)),
    "two days": (
        f"compare?before={DAY}&after={LATER}&limit=10000",
        lambda **w: between(DAY, LATER, **w).sort_values(IN_ORDER),
    ),
    "symbols": ("symbols?search=px", lambda **w: find_symbols("px", **w)),
    "names": ("symbols?search=HOLDINGS", lambda **w: find_symbols("HOLDINGS", **w)),
    "venues": ("venues", venues),
    "a venue over weeks": ("venue-share?venue=ABCD", lambda **w: venue_share("ABCD", **w)),
    "all venues": ("venue-share", venue_share),
    "who the venues are": (
        f"venue-registry?day={DAY}",
        lambda **w: venue_registry(DAY, w["dataset"], w["database_url"]),
    ),
    "who a venue is": (
        "venue-registry?venue=ABCD",
        lambda **w: venue_registry(None, w["dataset"], w["database_url"]).query("venue == 'ABCD'"),
    ),
    "owners over weeks": (
        "venue-share-by-owner?venue=ABCD&tier=NMS+Tier+1",
        lambda **w: venue_share_by_owner("ABCD", "NMS Tier 1", **w),
    ),
    "who trades a symbol": ("venue-volume?symbol=PXDT", lambda **w: venue_volume("PXDT", **w)),
    "gaps": ("gaps?day=2025-08-05", lambda **w: lacking(date(2025, 8, 5), **w)),
    "verdicts": ("quality?week=2025-05-16&tier=OTC", lambda **w: quality("OTC", "2025-05-16", **w)),
    "revisions": ("revisions", revisions),
    "a table": (
        "tables/venue_volume?tier=OTC&week=2025-05-16&limit=10000",
        lambda **w: pd.concat(
            [part.to_pandas() for part in table_batches("venue_volume", "OTC", "2025-05-16", **w)][
                1:
            ]
        ),
    ),
    "events of a slice": (
        "events?aggregate_type=slice&aggregate_id=ats+OTC:2025-05-16",
        lambda **w: get_events("slice", "ats OTC:2025-05-16", database_url=w["database_url"]),
    ),
}


def data(api: httpx.Client, question: str) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/{question}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def plain(frame: pd.DataFrame) -> Any:
    """A frame as JSON, by other code than the server's."""
    return json.loads(json.dumps(records(frame), default=str))


@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_route_gives_what_the_function_gives(api: httpx.Client, store_url: str, asked: str):
    question, function = QUESTIONS[asked]
    expected = plain(function(dataset="ats", database_url=store_url))
    assert expected
    assert data(api, question) == expected


def test_what_was_known_on_a_day_is_what_sql_says(api: httpx.Client, store_url: str):
    query = """
        SELECT symbol, total_volume FROM (
            SELECT *, row_number() OVER (
                PARTITION BY week_ending, tier, symbol ORDER BY as_of_date DESC) AS newest
            FROM research_snapshot
            WHERE as_of_date <= :day AND week_ending = '2025-05-16' AND tier = 'NMS Tier 1'
        ) AS known
        WHERE newest = 1 AND NOT is_removed"""
    engine = create_engine(store_url, read_only=True)
    with engine.connect() as connection:
        rows = connection.execute(sa.text(query), {"day": DAY}).all()
    engine.dispose()
    found = data(api, f"as-of?day={DAY}&tier=NMS+Tier+1&week=2025-05-16")
    assert {row["symbol"]: row["total_volume"] for row in found} == {
        symbol: float(volume) for symbol, volume in rows
    }


def test_a_correction_is_seen_from_its_own_day_on(sqlite_api: httpx.Client):
    first = data(sqlite_api, "history?symbol=FNWL&week=2025-05-23")
    days = [row["as_of_date"] for row in first]
    assert len(days) > 1
    question = "as-of?symbol=FNWL&week=2025-05-23&day="
    (before,) = data(sqlite_api, question + DAY)
    (after,) = data(sqlite_api, question + days[1])
    assert before["total_volume"] == first[0]["total_volume"] != after["total_volume"]
    (differs,) = data(
        sqlite_api, f"compare?symbol=FNWL&week=2025-05-23&before={DAY}&after={days[1]}"
    )
    assert differs["total_volume_before"] == before["total_volume"]
    assert differs["total_volume_after"] == after["total_volume"]
    assert "total_volume" in differs["changed"]


def test_latest_is_what_was_known_on_the_day_that_it_names(sqlite_api: httpx.Client):
    answer = sqlite_api.get("/v1/latest?limit=10000").json()
    day = answer["meta"]["as_of"]
    assert answer["data"] == data(sqlite_api, f"as-of?day={day}&limit=10000")


def test_volumes_of_a_week_are_those_of_finras_file(sqlite_api: httpx.Client):
    lines = (FIXTURES / "finra_otc_weekly_tier1_20250602.csv").read_text().splitlines()[1:]
    shares = [float(line.split("|")[5]) for line in lines if line.split("|")[1] == "XGON"]
    found = data(sqlite_api, "as-of?day=2025-06-02&symbol=XGON&week=2025-05-16")
    assert sum(row["total_volume"] for row in found) == pytest.approx(sum(shares))


def test_the_chain_of_an_event_leads_to_its_file(api: httpx.Client, store_url: str):
    events = data(api, "events?aggregate_type=slice&aggregate_id=ats+OTC:2025-05-16")
    event_id = events[-1]["event_id"]
    up = data(api, f"events/{event_id}/chain")
    assert up == plain(chain(event_id, database_url=store_url))
    assert up[0]["event_type"] == "FILE_DOWNLOADED"
    down = data(api, f"events/{up[0]['event_id']}/chain?direction=down")
    assert event_id in [row["event_id"] for row in down]


def test_coverage_names_the_state_of_each_slice_that_is_loaded(sqlite_api: httpx.Client):
    found = {(r["tier"], r["week_ending"]): r for r in data(sqlite_api, "coverage?newest=1000")}
    assert found["NMS Tier 1", "2025-05-16"]["state"] == "complete"
    assert found["NMS Tier 1", "2025-05-23"]["state"] == "corrected"
    assert found["NMS Tier 2", "2025-05-16"]["state"] == "missing"


def test_features_are_those_of_the_file(sqlite_api: httpx.Client, judged_home):
    file = judged_home / "features/tier_slug=otc/week=2025-05-16/features.parquet"
    rows = pd.read_parquet(file)
    found = data(sqlite_api, "features?week=2025-05-16&tier=OTC&limit=10000")
    assert [(r["symbol"], r["volume"], r["as_of_date"]) for r in found] == [
        (symbol, volume, str(day))
        for symbol, volume, day in rows[["symbol", "volume", "as_of_date"]].itertuples(index=False)
    ]
    assert data(sqlite_api, "features?week=2025-05-23") == []


def test_a_file_of_an_earlier_version_has_null_where_it_lacks_a_feature(own_home: Path):
    file = own_home / "features/tier_slug=otc/week=2025-05-16/features.parquet"
    pd.read_parquet(file).drop(columns="facility_volume").to_parquet(file)
    with serving(OTC_HOME=str(own_home)) as api:
        first, *_ = data(api, "features?week=2025-05-16&tier=OTC")
    assert first["facility_volume"] is None
    assert first["volume"] > 0
