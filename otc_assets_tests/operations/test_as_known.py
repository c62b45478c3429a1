"""What was known on a day: corrections change it from their day on, and never before."""

import itertools
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import TODAY, content, run, weeks

HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID|"
    "totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate"
)
FIRST, SECOND = weeks([Tier.NMS_TIER_1], "2025-05-02", "2025-05-09")
PUBLISHED = {FIRST: "2025-05-19", SECOND: "2025-05-27"}


def known(warehouse: Warehouse, week: WeekKey, day: str) -> dict[str, int]:
    """Return each symbol's volume as it was known at the end of a day, straight from the rows."""
    with warehouse.read() as reader:
        rows = reader.frame("research_snapshot", week)
    past = rows[rows["as_of_date"] <= date.fromisoformat(day)]
    latest = past.sort_values("as_of_date").drop_duplicates("symbol", keep="last")
    alive = latest[~latest["is_removed"]]
    return {s: int(v) // 10**6 for s, v in zip(alive["symbol"], alive["total_volume"], strict=True)}


def write(folder: Path, name: str, *rows: tuple[str, int, str]) -> None:
    """Write a download file of (symbol, shares, lastUpdateDate), each on one venue."""
    folder.mkdir(exist_ok=True)
    lines = [f"NMS Tier 1|{s}|Name|Venue|VENU|{v}|1|{day}" for s, v, day in rows]
    (folder / name).write_text("\n".join([HEADER, *lines, ""]))


CORRECTED, *AFTER = weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-07-04")
SIX = [CORRECTED.shifted(-1), CORRECTED, AFTER[0], AFTER[1], AFTER[4], AFTER[5]]
"""The week before a corrected one, and of those after it the ends of the window and the next."""


@pytest.fixture(scope="module")
def six_weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A store of fixture weeks, the second of them corrected; nobody may change it.

    On SQLite alone: test_whole_pipeline claims that both databases hold equal rows, also of a
    corrected week.
    """
    folder = tmp_path_factory.mktemp("six")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, FIXTURES, folder / "archive", SIX)
    yield store
    store.engine.dispose()


def test_a_correction_counts_from_its_day_on(six_weeks: Warehouse):
    before, after = (known(six_weeks, CORRECTED, f"2025-07-{day}") for day in (15, 16))
    changed = {s for s in before | after if before.get(s) != after.get(s)}
    assert changed == {"FNWL", "PXDT", "PXZT", "QRK.A", "QRK.B", "WXLW", "XGON", "ZLKN"}
    assert "XGON" in before
    assert "XGON" not in after
    assert known(six_weeks, CORRECTED, "2025-06-08") == {}


def test_only_symbols_that_changed_get_a_row_and_only_in_the_window(six_weeks: Warehouse):
    days = {}
    with six_weeks.read() as reader:
        for week in SIX:
            rows = reader.frame("research_snapshot", week)
            late = rows[rows["as_of_date"] == date(2025, 7, 16)]
            days[week.week_ending.isoformat()] = sorted(late["symbol"])
    symbols = ["FNWL", "PXDT", "PXZT", "QRK.A", "QRK.B", "WXLW", "XGON", "ZLKN"]
    assert days["2025-05-16"] == []
    assert days["2025-05-23"] == symbols
    assert all(days[d] == symbols for d in ("2025-05-30", "2025-06-06", "2025-06-27"))
    assert days["2025-07-04"] == []  # out of the window


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_revisions_answer_alike_in_whatever_order_they_come(
    sqlite_warehouse: Warehouse, tmp_path: Path, order: tuple[int, ...]
):
    files = [
        ("a.csv", ("AAA", 100, "2025-05-19"), ("BBB", 50, "2025-05-19")),
        ("b.csv", ("AAA", 110, "2025-06-03"), ("BBB", 50, "2025-05-19"), ("CCC", 9, "2025-05-19")),
        ("c.csv", ("AAA", 110, "2025-06-03"), ("BBB", 70, "2025-08-01"), ("DDD", 1, "2025-05-19")),
    ]
    source = tmp_path / "source"
    for number in order:
        write(source, f"week_2025-05-02_{files[number][0]}", *files[number][1:])
        run(sqlite_warehouse, source, tmp_path / "archive", [FIRST])
    assert known(sqlite_warehouse, FIRST, "2025-05-18") == {}
    assert known(sqlite_warehouse, FIRST, "2025-05-19") == {"AAA": 100, "BBB": 50}
    assert known(sqlite_warehouse, FIRST, "2025-06-03") == {"AAA": 110, "BBB": 50, "CCC": 9}
    assert known(sqlite_warehouse, FIRST, "2025-12-31") == {"AAA": 110, "BBB": 70, "DDD": 1}


def test_a_correction_without_a_date_of_its_own_is_known_when_we_read_it(
    sqlite_warehouse: Warehouse, tmp_path: Path
):
    source = tmp_path / "source"
    write(source, "a.csv", ("AAA", 100, "2025-05-19"), ("BBB", 50, "2025-05-19"))
    run(sqlite_warehouse, source, tmp_path / "archive", [FIRST])
    write(source, "b.csv", ("AAA", 100, "2025-05-19"))
    run(sqlite_warehouse, source, tmp_path / "archive", [FIRST])
    assert known(sqlite_warehouse, FIRST, "2026-01-14") == {"AAA": 100, "BBB": 50}
    assert known(sqlite_warehouse, FIRST, TODAY.isoformat()) == {"AAA": 100}
    with sqlite_warehouse.read() as reader:
        rows = reader.frame("research_snapshot", FIRST)
    assert set(rows.loc[rows["is_removed"], "as_of_source"]) == {"captured"}


def test_a_window_has_no_week_that_was_not_public_yet(sqlite_warehouse: Warehouse, tmp_path: Path):
    """The first week is published after the second, and must not show in its average before."""
    source = tmp_path / "source"
    write(source, "week_2025-05-02.csv", ("AAA", 100, "2025-06-16"))
    write(source, "week_2025-05-09.csv", ("AAA", 50, "2025-05-27"))
    run(sqlite_warehouse, source, tmp_path / "archive", [FIRST, SECOND])
    with sqlite_warehouse.read() as reader:
        rows = reader.frame("research_snapshot", SECOND)
    shown = zip(map(str, rows["as_of_date"]), rows["avg_6w_volume"], strict=True)
    assert list(shown) == [("2025-05-27", 50.0), ("2025-06-16", 75.0)]


def test_a_rebuild_from_the_archive_remembers_when_it_was_read(
    sqlite_warehouse: Warehouse, tmp_path: Path
):
    source, archive = tmp_path / "source", tmp_path / "archive"
    write(source, "a.csv", ("AAA", 100, "2025-05-19"), ("BBB", 50, "2025-05-19"))
    run(sqlite_warehouse, source, archive, [FIRST])
    write(source, "b.csv", ("AAA", 100, "2025-05-19"))
    run(sqlite_warehouse, source, archive, [FIRST])
    rebuilt = Warehouse(f"sqlite:///{tmp_path / 'rebuilt.db'}")
    run(rebuilt, archive, tmp_path / "archive2", [FIRST], today=date(2026, 8, 1))
    assert content(rebuilt) == content(sqlite_warehouse)


PublicDay = st.dates(date(2025, 5, 28), date(2025, 9, 30)).map(date.isoformat)
Volumes = st.dictionaries(st.sampled_from("ABCD"), st.integers(1, 9), min_size=1)


@given(
    corrections=st.lists(
        st.tuples(st.sampled_from([FIRST, SECOND]), PublicDay, Volumes),
        max_size=3,
        unique_by=lambda correction: (correction[0], correction[1]),
    ),
    data=st.data(),
)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_later_knowledge_shows_on_an_earlier_day(
    tmp_path_factory: pytest.TempPathFactory, corrections: list, data: st.DataObject
):
    """Whatever is corrected, in whatever order it comes: each day shows what was public then."""
    folder = tmp_path_factory.mktemp("case")
    public = [(week, day, {"A": 5, "B": 5}) for week, day in PUBLISHED.items()] + corrections
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    for number, (week, day, volumes) in enumerate(data.draw(st.permutations(public))):
        rows = [(symbol, volume, day) for symbol, volume in volumes.items()]
        write(folder / "source", f"week_{week.week_ending}_{number}.csv", *rows)
        run(store, folder / "source", folder / "archive", [week])
    for asked in sorted({day for _, day, _ in public} | {"2025-05-26", "2025-10-01"}):
        for week in (FIRST, SECOND):
            seen = [(day, volumes) for w, day, volumes in public if w == week and day <= asked]
            expected = max(seen, key=lambda item: item[0])[1] if seen else {}
            assert known(store, week, asked) == expected
    store.engine.dispose()


def test_the_snapshot_is_whole_on_each_day(six_weeks: Warehouse):
    with six_weeks.read() as reader:
        rows = reader.frame("research_snapshot", CORRECTED)
    alive = rows[~rows["is_removed"]]
    required = ["total_volume", "venue_count", "current_volume", "trend", "quality_grade"]
    assert alive[required].notna().all(axis=None)
    assert alive["has_rolling_data"].all()
    assert pd.isna(rows.loc[rows["is_removed"], "total_volume"]).all()
