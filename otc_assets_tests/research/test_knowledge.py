"""What was known on a day, through the API and through SQL, against a naive second answer."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research import as_of, history, latest
from otc_assets.research.knowledge import UnknownSymbol, known_from
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import run, weeks
from otc_assets_tests.research.publications import Publication, naive_as_of

TIER_1, OTC = "NMS Tier 1", "OTC"
MAY_2, MAY_9 = date(2025, 5, 2), date(2025, 5, 9)
FIRST_PUBLIC = {
    (TIER_1, MAY_2): date(2025, 5, 19),
    (TIER_1, MAY_9): date(2025, 5, 27),
    (OTC, MAY_2): date(2025, 6, 2),
}
CORRECTED = date(2025, 7, 16)
GONE = "XGON"
"""A symbol that the fixtures' correction of Tier 1, 2025-05-23, takes out."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a store with six weeks of Tier 1, one of them corrected, and one of OTC."""
    folder = tmp_path_factory.mktemp("store")
    url = f"sqlite:///{folder / 'otc.db'}"
    slices = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-06-20")
    slices += weeks([Tier.OTC], "2025-05-23", "2025-05-23")
    run(Warehouse(url), FIXTURES, folder / "archive", slices)
    return url


def load(url: str, folder: Path, public: list[Publication]) -> None:
    """Take publications in, in the order in which they come; each slice as often as it is there."""
    stores = {dataset.name: Warehouse(url, dataset) for dataset in DATASETS}
    for number, each in enumerate(public):
        each.write(folder / "source", f"{each.dataset}_{number}.json")
        week = WeekKey(Tier(each.tier), each.week_ending)
        run(stores[each.dataset], folder / "source", folder / "archive", [week])
    for warehouse in stores.values():
        warehouse.engine.dispose()


def matches(frame: pd.DataFrame, expected: dict[tuple[str, date, str], dict[str, Any]]) -> None:
    """Compare an answer of the API with a naive one."""
    keys = list(zip(frame["tier"], frame["week_ending"].dt.date, frame["symbol"], strict=True))
    assert sorted(keys) == sorted(expected)
    for key, row in zip(keys, frame.to_dict("records"), strict=True):
        for name, value in expected[key].items():
            tolerance = 0.0051 if name == "hhi" else 1e-9 * max(1.0, abs(float(value)))
            assert row[name] == pytest.approx(float(value), abs=tolerance), (key, name)


Figures = st.tuples(st.integers(1, 10**9), st.integers(1, 10**4))
Contents = st.dictionaries(
    st.tuples(st.sampled_from(["AAA", "BBB", "CCC"]), st.sampled_from(["VENA", "VENB"])),
    Figures,
    min_size=1,
)
Corrections = st.tuples(
    st.sampled_from(["ats", "non_ats"]),
    st.sampled_from(list(FIRST_PUBLIC)),
    st.dates(date(2025, 6, 3), date(2025, 9, 30)),
    Contents,
)


@given(
    first=st.lists(Contents, min_size=6, max_size=6),
    corrections=st.lists(Corrections, max_size=3, unique_by=lambda c: c[:3]),
    data=st.data(),
)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_day_shows_what_was_public_by_its_end_and_nothing_later(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Any],
    corrections: list[Any],
    data: st.DataObject,
):
    """Whatever is published and corrected, in whatever order it reaches us."""
    slices = [(name, *key) for name in ("ats", "non_ats") for key in FIRST_PUBLIC]
    public = [
        Publication(name, tier, week, FIRST_PUBLIC[tier, week], FIRST_PUBLIC[tier, week], records)
        for (name, tier, week), records in zip(slices, first, strict=True)
    ]
    public += [
        Publication(name, *key, FIRST_PUBLIC[key], day, records)
        for name, key, day, records in corrections
    ]
    folder = tmp_path_factory.mktemp("case")
    url = f"sqlite:///{folder / 'otc.db'}"
    load(url, folder, data.draw(st.permutations(public)))
    for day in sorted({p.day for p in public} | {date(2025, 5, 18), date(2025, 12, 31)}):
        for name in ("ats", "non_ats"):
            expected = naive_as_of(public, name, day)
            matches(as_of(day, dataset=name, database_url=url), expected)
    for name in ("ats", "non_ats"):
        matches(latest(dataset=name, database_url=url), naive_as_of(public, name, date.max))


def test_two_revisions_that_are_loaded_together_keep_their_days(database_url: str, tmp_path: Path):
    """A folder may hold a week and its correction; a backfill of an old year is such a folder."""
    key = (TIER_1, MAY_2)
    old = Publication("ats", *key, FIRST_PUBLIC[key], FIRST_PUBLIC[key], {("AAA", "VENA"): (5, 1)})
    new = Publication("ats", *key, FIRST_PUBLIC[key], date(2025, 8, 4), {("BBB", "VENA"): (7, 1)})
    for number, each in enumerate((new, old)):
        each.write(tmp_path / "source", f"{number}.json")
    week = WeekKey(Tier.NMS_TIER_1, MAY_2)
    run(Warehouse(database_url), tmp_path / "source", tmp_path / "archive", [week])
    for day in (date(2025, 5, 18), date(2025, 5, 19), date(2025, 8, 3), date(2025, 8, 4)):
        expected = naive_as_of([old, new], "ats", day)
        matches(as_of(day, database_url=database_url), expected)
    assert latest(database_url=database_url)["symbol"].tolist() == ["BBB"]


def test_a_day_counts_from_its_end_in_new_york(store: str):
    def symbols(day: str | date | datetime) -> set[str]:
        return set(as_of(day, tiers=TIER_1, weeks="2025-05-23", database_url=store)["symbol"])

    last_second = datetime(2025, 7, 16, 23, 59, 59, tzinfo=ZoneInfo("America/New_York"))
    midnight = datetime(2025, 7, 17, tzinfo=ZoneInfo("America/New_York"))
    assert known_from(CORRECTED) == midnight
    assert GONE in symbols(last_second)
    assert GONE not in symbols(midnight)
    assert GONE not in symbols(midnight.astimezone(UTC))
    assert GONE in symbols("2025-07-17T03:59:59+00:00")
    assert GONE in symbols("2025-07-15")
    assert GONE not in symbols("2025-07-16")  # the day itself: its end
    assert symbols(CORRECTED) == symbols("2025-07-16") == symbols("2025-07-17T04:00:00+00:00")


def test_a_moment_without_a_time_zone_is_refused(store: str):
    with pytest.raises(ValueError, match="has no time zone"):
        as_of(datetime(2025, 7, 16, 12), database_url=store)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"weeks": "2025-05-22"}, "must be a Friday"),
        ({"tiers": "T1"}, "T1"),
        ({"dataset": "otc"}, "no dataset 'otc'; there are ats, non_ats"),
    ],
)
def test_what_cannot_be_meant_is_refused(store: str, arguments: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        as_of("2025-07-16", database_url=store, **arguments)


def test_an_answer_may_be_empty_and_has_its_columns(store: str):
    with pytest.warns(UnknownSymbol):
        nothing = as_of("2025-05-30", symbols="NO.SUCH", database_url=store)
    assert nothing.empty
    pd.testing.assert_series_equal(nothing.dtypes, latest(database_url=store).dtypes)
    assert as_of("2025-06-01", database_url=store).empty
    assert as_of("2025-07-16", symbols=[], database_url=store).empty


def test_choices_narrow_the_answer(store: str):
    every = as_of("2025-07-16", database_url=store)
    chosen = as_of(
        "2025-07-16",
        symbols=["PXDT", "FNWL"],
        tiers=[Tier.NMS_TIER_1],
        weeks=[date(2025, 5, 23), "2025-05-30"],
        database_url=store,
    )
    wanted = every[
        every["symbol"].isin(["PXDT", "FNWL"])
        & (every["tier"] == TIER_1)
        & every["week_ending"].isin(pd.to_datetime(["2025-05-23", "2025-05-30"]))
    ]
    assert len(chosen) == 4
    pd.testing.assert_frame_equal(chosen, wanted.reset_index(drop=True))


def test_the_history_of_a_symbol_tells_what_changed_and_when(store: str):
    rows = history(GONE, database_url=store)
    assert rows["changed"].map(len).gt(0).tolist() == (~first_of_week(rows)).tolist()
    corrected = rows[rows["week_ending"] == "2025-05-23"]
    assert corrected["as_of_date"].dt.date.tolist() == [date(2025, 6, 9), CORRECTED]
    assert corrected["is_removed"].tolist() == [False, True]
    assert "total_volume" in corrected["changed"].iloc[1]
    later = rows[(rows["week_ending"] > "2025-05-23") & (rows["as_of_date"] == "2025-07-16")]
    assert len(later) == 4
    assert all("avg_6w_volume" in names for names in later["changed"])
    assert all("total_volume" not in names for names in later["changed"])


def first_of_week(rows: pd.DataFrame) -> "pd.Series[bool]":
    return ~rows.duplicated(["tier", "week_ending"])


def test_the_newest_row_of_the_history_by_a_day_is_the_answer_of_that_day(store: str):
    for symbol in (GONE, "PXDT", "FNWL"):
        rows = history(symbol, database_url=store)
        for day in ("2025-06-09", "2025-07-15", "2025-07-16"):
            past = rows[rows["as_of_date"] <= day]
            newest = past.drop_duplicates(["tier", "week_ending"], keep="last")
            alive = newest[~newest["is_removed"]].drop(columns=["is_removed", "changed"])
            answer = as_of(day, symbols=symbol, database_url=store)
            pd.testing.assert_frame_equal(alive.reset_index(drop=True), answer, check_dtype=False)


AS_OF_IN_SQL = """
SELECT tier, week_ending, symbol, total_volume FROM (
    SELECT *, row_number() OVER (
        PARTITION BY week_ending, tier, symbol ORDER BY as_of_date DESC) AS newest
    FROM research_snapshot WHERE as_of_date <= '2025-07-15') AS known
WHERE newest = 1 AND NOT is_removed ORDER BY tier, week_ending, symbol
"""
"""As docs/research.md gives it."""


def test_plain_sql_gives_the_same(warehouse: Warehouse, tmp_path: Path):
    run(warehouse, FIXTURES, tmp_path, weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-05-30"))
    url = warehouse.url
    with warehouse.engine.connect() as connection:
        in_sql = connection.execute(sa.text(AS_OF_IN_SQL)).all()
        now = connection.execute(
            sa.text("SELECT symbol FROM research_latest ORDER BY tier, week_ending, symbol")
        ).scalars()
        assert list(now) == latest(database_url=url)["symbol"].tolist()
    answer = as_of("2025-07-15", database_url=url)
    assert [row.symbol for row in in_sql] == answer["symbol"].tolist()
    assert [float(row.total_volume) for row in in_sql] == answer["total_volume"].tolist()


def test_a_symbol_is_found_by_its_index(store: str):
    with Warehouse(store).engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM research_latest WHERE symbol = 'PXDT'"
        ).all()
    assert any("ix_research_snapshot_rows_symbol" in row.detail for row in plan), plan


def test_each_dataset_has_its_own_knowledge(tmp_path: Path):
    key = (OTC, MAY_2)
    day = FIRST_PUBLIC[key]
    public = [
        Publication("ats", *key, day, day, {("AAA", "VENA"): (5, 1)}),
        Publication("non_ats", *key, day, day, {("AAA", "VENB"): (9, 2)}),
    ]
    url = f"sqlite:///{tmp_path / 'otc.db'}"
    load(url, tmp_path, public)
    volumes = [
        as_of(day, dataset=dataset.name, database_url=url)["total_volume"].tolist()
        for dataset in (ATS, NON_ATS)
    ]
    assert volumes == [[5.0], [9.0]]
