"""Whoever asks gets one answer: pages, REST, MCP, Python and SQL, on the days of a made-up history.

The history is drawn by a seed; what was known on a day is told by `naive_as_of`, which knows no
code of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import Any

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research import as_of
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import empty_store
from otc_assets_tests.explorer.tables import Page, number
from otc_assets_tests.research.publications import Publication, naive_as_of
from otc_assets_tests.research.test_knowledge import matches
from otc_assets_tests.serving.conftest import serving
from otc_assets_tests.serving.mcp.conftest import Asker, address, asking

SEED = 20260115
SYMBOLS = {Tier.NMS_TIER_1: ("AAA", "BBB.A"), Tier.OTC: ("CCCCF", "DDDDY")}
WEEKS = [date(2025, 5, 2), date(2025, 5, 9), date(2025, 5, 30)]
VENUES = ("VENA", "VENB", "VENC")
IN_SQL = """
    SELECT * FROM (
        SELECT s.*, row_number() OVER (
            PARTITION BY week_ending, tier, symbol ORDER BY as_of_date DESC) AS newest
        FROM {table} AS s WHERE as_of_date <= :day) AS known
    WHERE newest = 1 AND NOT is_removed
"""
pytestmark = pytest.mark.filterwarnings("ignore::otc_assets.research.knowledge.UnknownSymbol")


@dataclass
class World:
    """A history, and those who can be asked about it."""

    public: list[Publication]
    url: str
    api: httpx.Client
    asker: Asker

    def days(self, dataset: str) -> list[date]:
        """Each day on which something became public, and the day before."""
        days = {each.day for each in self.public if each.dataset == dataset}
        return sorted(days | {day - timedelta(days=1) for day in days})


def drawn(random: Random) -> list[Publication]:
    """Invent the weeks of two tiers of both datasets, and corrections of half of them."""
    found = []
    for dataset in DATASETS:
        for tier in SYMBOLS:
            for week in random.sample(WEEKS, 2):
                first = expected_publication_date(WeekKey(tier, week), dataset)
                later = first + timedelta(days=random.randint(1, 90))
                for day in (first, later)[: random.randint(1, 2)]:
                    records = contents(random, tier)
                    found.append(Publication(dataset.name, tier.value, week, first, day, records))
    return found


def contents(random: Random, tier: Tier) -> dict[tuple[str, str], tuple[int, int]]:
    """Shares and trades of some symbols at some venues."""
    places = [(symbol, venue) for symbol in SYMBOLS[tier] for venue in VENUES]
    chosen = random.sample(places, random.randint(1, len(places)))
    return {place: (random.randint(1, 10**7), random.randint(1, 500)) for place in chosen}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The history in a store, which a server answers from."""
    home = tmp_path_factory.mktemp("world")
    public = drawn(Random(SEED))
    with empty_store(request, request.param, home) as url:
        for dataset in DATASETS:
            mine, warehouse = (
                [p for p in public if p.dataset == dataset.name],
                Warehouse(url, dataset),
            )
            for place, each in enumerate(mine):
                each.write(home / dataset.name, f"{place}.json")
            slices = sorted({WeekKey(Tier(p.tier), p.week_ending) for p in mine})
            pipeline.run(warehouse, home / dataset.name, home / "archive" / dataset.name, slices)
            warehouse.engine.dispose()
        with (
            serving(OTC_HOME=str(home), OTC_DATABASE_URL=url) as api,
            asking(address(api)) as asker,
        ):
            yield World(public, url, api, asker)


@pytest.mark.parametrize("dataset", ["ats", "non_ats"])
def test_rest_python_and_sql_tell_what_was_public(world: World, dataset: str):
    table = "research_snapshot" if dataset == "ats" else "non_ats_research_snapshot"
    engine = create_engine(world.url, read_only=True)
    for day in world.days(dataset):
        expected = naive_as_of(world.public, dataset, day)
        question = {"dataset": dataset, "day": str(day), "limit": 10_000}
        answer = world.api.get("/v1/as-of", params=question).json()["data"]
        with engine.connect() as connection:
            asked = sa.text(IN_SQL.format(table=table))
            rows = connection.execute(asked, {"day": str(day)}).mappings().all()
        for found in (as_of(day, dataset=dataset, database_url=world.url), answer, rows):
            matches(framed(found), expected)
    engine.dispose()


def framed(rows: Any) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=None if len(rows) else ["tier", "week_ending", "symbol"])
    return frame.assign(week_ending=pd.to_datetime(frame["week_ending"]))


@pytest.mark.parametrize("dataset", ["ats", "non_ats"])
@pytest.mark.parametrize("symbol", [*chain(*SYMBOLS.values())])
def test_tools_and_pages_tell_what_was_public(world: World, symbol: str, dataset: str):
    column = "ATS, shares" if dataset == "ats" else "Dealers, shares"
    for day in world.days(dataset):
        everything = naive_as_of(world.public, dataset, day)
        expected = {key: row for key, row in everything.items() if key[2] == symbol}
        question = {"symbol": symbol, "dataset": dataset, "day": str(day)}
        matches(framed(world.asker.answer("what_was_known", **question)["rows"]), expected)
        shown = Page(world.api.get(f"/symbol/{symbol}", params={"as_of": str(day)}).text)
        rows = shown.rows("weeks-table") if "weeks-table" in shown.tables else []
        volumes = {row["Week ending"]: number(row[column]) for row in rows}
        assert {week: shares for week, shares in volumes.items() if shares is not None} == {
            str(week): row["total_volume"] for (_, week, _), row in expected.items()
        }
