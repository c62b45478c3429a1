"""A dataset of quarters, declared here alone, goes the whole way without a function of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from otc_assets.assets.partitions import partition_key_of, partitions_of, slice_of
from otc_assets.assets.platform import Platform
from otc_assets.automation.ranges import ranges_of
from otc_assets.calculations import tables_of
from otc_assets.definitions import build_defs
from otc_assets.domain import datasets
from otc_assets.domain.calendar import due_weeks, expected_publication_date
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import gaps
from otc_assets.domain.grains import Grain, Months, SliceKey, Slicing
from otc_assets.domain.tables import Column, ColumnType
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.rebuild import rebuild
from otc_assets.operations.verify import verify
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import empty_store
from otc_assets_tests.pipeline import RUN

QUARTER = Grain(
    name="quarter",
    words="quarter",
    column=Column("quarter", ColumnType.DATE, "First day of the reported quarter."),
    first_day=date(2024, 1, 1),
    months=3,
    cron="0 0 1 */3 *",
)
QUARTERLY = Dataset(
    name="quarterly",
    title="quarterly",
    summary_type=None,
    publication_delay={"listed": Months(4), "other": Months(5)},
    first_period=date(2024, 1, 1),
    venue_columns=("mpid",),
    prefix="quarterly",
    slicing=Slicing(QUARTER, ("listed", "other"), date(2024, 1, 1)),
    set_name="quarterlySummary",
    fields={
        "tier": "tier",
        "symbol": "symbol",
        "MPID": "mpid",
        "shares": "share_volume",
        "trades": "trade_count",
        "quarterStart": "quarter_start",
        "lastUpdateDate": "revision_date",
    },
    section_codes={"listed": "L", "other": "O"},
    features="symbol_summary",
)
FIRST, SECOND, THIRD = (
    QUARTERLY.key("listed", day) for day in (date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1))
)
PUBLISHED = {FIRST: "2024-05-01", SECOND: "2024-08-01"}
CORRECTED = "2024-09-03"
SYMBOL_A = [("AAA", "PLUM", 100, 4), ("AAA", "PEAR", 50.25, 2)]


def line(week: SliceKey, symbol: str, mpid: str, shares: object, trades: int, updated: str) -> Any:
    return {
        "tier": QUARTERLY.section_codes[week.section],
        "symbol": symbol,
        "MPID": mpid,
        "shares": shares,
        "trades": trades,
        "quarterStart": str(week.period),
        "lastUpdateDate": updated,
    }


def write(folder: Path, name: str, lines: list[Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(lines))


@pytest.fixture(scope="module", autouse=True)
def _declared() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "EVERY_DATASET", (*datasets.EVERY_DATASET, QUARTERLY))
        yield


@dataclass
class Done:
    """What a run over two quarters, and one over a correction, have left."""

    store: Warehouse
    archive: Archive
    features: Path
    results: list[dg.ExecuteInProcessResult]

    def known(self, day: str) -> Knowledge:
        with self.store.read() as reader:
            return Knowledge(reader, FIRST, date.fromisoformat(day))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("quarters")
    source = folder / "source"
    for week, day in PUBLISHED.items():
        lines = [line(week, *each, day) for each in SYMBOL_A]
        bad = line(week, "BBB", "PLUM", -1, 1, day)
        write(source, f"{week.period}.json", [*lines, bad])
    with empty_store(request, request.param, folder) as url:
        platform = Platform(
            database_url=url,
            source_url=str(source),
            archive_url=str(folder / "archive"),
            features_url=str(folder / "features"),
        )
        job = build_defs([QUARTERLY], platform=platform).resolve_implicit_global_asset_job_def()
        names = [*(table.name for table in tables_of(QUARTERLY)), "features"]
        keys = [dg.AssetKey(["quarterly", name]) for name in names]
        (both,) = ranges_of([FIRST, SECOND])
        store = Warehouse(url, QUARTERLY)
        with dg.DagsterInstance.ephemeral() as instance:

            def run(**how: Any) -> dg.ExecuteInProcessResult:
                return job.execute_in_process(instance=instance, asset_selection=keys, **how)

            results = [run(tags=both.tags)]
            changed = [line(FIRST, "AAA", "PLUM", 70, 4, CORRECTED)]
            write(source, "corrected.json", changed)
            results.append(run(partition_key=partition_key_of(FIRST)))
        archive = Archive(str(folder / "archive"), QUARTERLY)
        yield Done(store, archive, folder / "features", results)
        store.engine.dispose()


def test_a_quarter_is_named_shifted_and_refused_as_its_grain_says():
    assert (str(FIRST), FIRST.number) == ("listed:2024-01-01", 202401011)
    assert FIRST.window(2) == [QUARTERLY.key("listed", date(2023, 10, 1)), FIRST]
    assert (FIRST.first_day, FIRST.last_day) == (date(2024, 1, 1), date(2024, 3, 31))
    assert QUARTER.between(FIRST.period, THIRD.period) == 2
    with pytest.raises(ValueError, match="2024-02-01 names no quarter"):
        QUARTERLY.key("listed", date(2024, 2, 1))


def test_its_partitions_are_its_slices():
    keys = partitions_of(QUARTERLY.slicing).get_partition_keys()
    assert set(keys[:2]) == {"2024-01-01|listed", "2024-01-01|other"}
    assert all(partition_key_of(slice_of(key, QUARTERLY.slicing)) == key for key in keys)


def test_its_calendar_says_what_is_due_and_what_is_lacking():
    assert expected_publication_date(FIRST, QUARTERLY) == date(2024, 5, 1)
    assert expected_publication_date(SECOND.shifted(1), QUARTERLY) == date(2024, 11, 1)
    assert due_weeks("listed", FIRST.period, date(2024, 8, 1), QUARTERLY) == (FIRST, SECOND)
    lacking = gaps(QUARTERLY, [FIRST, SECOND], date(2024, 11, 20))
    others = [QUARTERLY.key("other", week.period) for week in (FIRST, SECOND)]
    assert [gap.week for gap in lacking] == [*others, THIRD]


def test_its_tables_name_the_quarter(done: Done):
    with done.store.engine.connect() as connection:
        query = "SELECT quarter, tier, symbol, mpid FROM quarterly_venue_volume ORDER BY 1, 3, 4"
        found = [tuple(map(str, row)) for row in connection.exec_driver_sql(query)]
    assert found == [
        ("2024-01-01", "listed", "AAA", "PLUM"),
        ("2024-04-01", "listed", "AAA", "PEAR"),
        ("2024-04-01", "listed", "AAA", "PLUM"),
    ]


def test_a_bad_row_is_kept_with_its_reason_and_the_others_go_through(done: Done):
    with done.store.read() as reader:
        refused = reader.frame("rejects", SECOND, ["reason_code"])
        assert refused["reason_code"].tolist() == ["negative_volume"]
        volume = reader.frame("symbol_summary", SECOND, ["symbol", "total_volume"])
    assert volume.values.tolist() == [["AAA", 150_250_000]]


def test_what_was_known_on_a_day_is_told_by_raw_and_by_the_snapshot(done: Done):
    with done.store.read() as reader:
        before, after = (
            Knowledge(reader, FIRST, day)["venue_volume"]["share_volume"].sum()
            for day in (date(2024, 5, 1), date.fromisoformat(CORRECTED))
        )
        snapshot = reader.frame("research_snapshot", FIRST, ["as_of_date", "total_volume"])
    assert (before, after) == (150_250_000, 70_000_000)
    assert sorted(snapshot.values.tolist()) == [
        [date(2024, 5, 1), 150_250_000],
        [date.fromisoformat(CORRECTED), 70_000_000],
    ]


def test_a_correction_refreshes_the_quarters_that_look_back(done: Done):
    refreshed = [
        event.materialization.partition
        for event in done.results[1].get_asset_materialization_events()
        for event in [event.step_materialization_data]
        if event.materialization.asset_key.path[-1] == "rolling_6w"
    ]
    assert sorted(map(str, refreshed)) == ["2024-01-01|listed", "2024-04-01|listed"]
    with done.store.read() as reader:
        rolling = reader.frame("rolling_6w", SECOND, ["avg_6w_volume", "weeks_in_window"])
    assert rolling.values.tolist() == [[(70 + 150.25) / 2, 2]]


def test_each_partition_is_judged(done: Done):
    verdicts = {
        (check.asset_key.path[-1], check.check_name, check.partition): check.passed
        for check in done.results[0].get_asset_check_evaluations()
    }
    for table in tables_of(QUARTERLY):
        for week in (FIRST, SECOND):
            assert verdicts[table.name, "rows_are_sound", partition_key_of(week)]
    assert not verdicts["raw", "quarter_is_usual", partition_key_of(FIRST)]  # a third is refused


def test_its_features_are_files_of_its_quarters_as_they_were_known(done: Done):
    rows = pd.read_parquet(done.features / "_quarterly")
    found = rows[["quarter", "tier", "symbol", "as_of_date", "total_volume", "venue_count"]]
    first, second, corrected = (date.fromisoformat(d) for d in (*PUBLISHED.values(), CORRECTED))
    assert found.values.tolist() == [
        [FIRST.period, "listed", "AAA", first, 150.25, 2],
        [FIRST.period, "listed", "AAA", corrected, 70.0, 1],
        [SECOND.period, "listed", "AAA", second, 150.25, 2],
    ]
    (folder,) = (done.features / "_quarterly").iterdir()
    assert {path.name for path in folder.iterdir()} == {"period=2024-01-01", "period=2024-04-01"}
    judged = [
        (check.partition, check.passed)
        for check in done.results[0].get_asset_check_evaluations()
        if check.asset_key.path[-1] == "features" and check.partition
    ]
    assert judged == [(partition_key_of(week), True) for week in (FIRST, SECOND)]


def test_the_archive_gives_it_again(done: Done):
    for week in (FIRST, SECOND):
        assert rebuild(done.store, done.archive, week, RUN).differences == ()
    found = list(verify(done.store, done.archive, [FIRST, SECOND]))
    assert [each.findings for each in found] == [[], []]
    folders = {path.name for path in Path(str(done.archive.root)).glob("quarterly/listed/*")}
    assert folders == {"2024-01-01", "2024-04-01"}
