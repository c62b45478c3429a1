"""What did not change is not sent twice, and costs no look at a row."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from otc_assets.research.knowledge import plain_store
from otc_assets.warehouse.listings import remember_listing
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.serving.conftest import serving, slice_of

QUESTIONS = (
    "/v1/latest?symbol=PXDT",
    "/v1/as-of?day=2025-07-01&tier=OTC",
    "/v1/history?symbol=PXDT",
    "/v1/venue-share",
    "/v1/tables/raw?tier=OTC",
    "/v1/coverage",
    "/v1/events",
)
BOTH = pytest.mark.parametrize("question", QUESTIONS)


@contextmanager
def statements(url: str) -> Iterator[list[str]]:
    """The statements that the server's engine executes meanwhile."""
    engine, found = plain_store("ats", url).engine, []

    def told(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement)

    sa.event.listen(engine, "before_cursor_execute", told)
    yield found
    sa.event.remove(engine, "before_cursor_execute", told)


@BOTH
def test_a_repeat_reads_no_row_of_a_table(api: httpx.Client, store_url: str, question: str):
    first = api.get(question)
    with statements(store_url) as executed:
        again = api.get(question, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert [text for text in executed if "_rows" in text or "research_snapshot" in text] == []


def test_another_question_or_format_has_another_etag(sqlite_api: httpx.Client):
    asked = ("", "&limit=5", "&format=csv", "&format=parquet", "&dataset=non_ats")
    answers = [sqlite_api.get(f"/v1/latest?symbol=PXDT{more}") for more in asked]
    assert len({answer.headers["etag"] for answer in answers}) == len(asked)


def test_several_tags_and_weak_ones_are_understood(sqlite_api: httpx.Client):
    tag = sqlite_api.get(QUESTIONS[0]).headers["etag"]
    for named in (f'"other", {tag}', f"W/{tag}", "*"):
        assert sqlite_api.get(QUESTIONS[0], headers={"If-None-Match": named}).status_code == 304
    assert sqlite_api.get(QUESTIONS[0], headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_new_week_changes_the_etag_of_what_is_about_it_and_of_nothing_else(own_home: Path):
    with serving(OTC_HOME=str(own_home)) as api:
        asked = ("week=2025-05-16&tier=OTC", "week=2025-05-30&tier=OTC", "symbol=PXDT")
        before = [api.get(f"/v1/latest?{each}") for each in asked]
        warehouse = Warehouse(f"sqlite:///{own_home / 'otc.db'}")
        slices = [slice_of("OTC", "2025-05-30")]
        pipeline.run(warehouse, FIXTURES, own_home / "archive", slices)
        warehouse.engine.dispose()
        after = [api.get(f"/v1/latest?{each}") for each in asked]
    same = [a.headers["etag"] == b.headers["etag"] for a, b in zip(before, after, strict=True)]
    assert same == [True, False, False]
    assert (len(before[1].json()["data"]), len(after[1].json()["data"]) > 0) == (0, True)


def test_a_week_that_is_written_again_as_it_was_keeps_its_etag(own_home: Path):
    with serving(OTC_HOME=str(own_home)) as api:
        question = "/v1/latest?week=2025-05-16&tier=OTC"
        before = api.get(question)
        warehouse = Warehouse(f"sqlite:///{own_home / 'otc.db'}")
        slices = [slice_of("OTC", "2025-05-16")]
        pipeline.run(warehouse, FIXTURES, own_home / "archive", slices)
        warehouse.engine.dispose()
        assert api.get(question).headers["etag"] == before.headers["etag"]


def test_a_week_that_finra_drops_changes_the_etag_of_what_stands_and_not_of_numbers(
    own_home: Path,
):
    asked = ("/v1/coverage", "/v1/gaps", "/v1/latest?symbol=PXDT")
    with serving(OTC_HOME=str(own_home)) as api:
        before = [api.get(each) for each in asked]
        warehouse = Warehouse(f"sqlite:///{own_home / 'otc.db'}")
        newest = slice_of("NMS Tier 2", "2025-06-13")
        remember_listing(warehouse.engine, "weeklySummary", [newest])
        remember_listing(warehouse.engine, "weeklySummaryHistoric", [])
        warehouse.engine.dispose()
        after = [api.get(each) for each in asked]
    same = [a.headers["etag"] == b.headers["etag"] for a, b in zip(before, after, strict=True)]
    assert same == [False, False, True]
    dropped = {"tier": "NMS Tier 2", "week_ending": "2025-05-16"}
    states = [row for row in after[0].json()["data"] if dropped.items() <= row.items()]
    assert [row["state"] for row in states] == ["no_longer_offered"]
    assert not [row for row in after[1].json()["data"] if dropped.items() <= row.items()]
