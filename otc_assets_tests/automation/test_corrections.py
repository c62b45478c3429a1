"""What FINRA changes afterwards is found, requested, kept as a revision, and ripples on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorTick

from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.automation.conftest import Place, part_of, place_in, publish
from otc_assets_tests.automation.daemon import Daemon, daemon
from otc_assets_tests.finra import world
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import DATA, FinraServer
from otc_assets_tests.finra.world import Number, World
from otc_assets_tests.pipeline import content

WEEK = WeekKey(Tier.NMS_TIER_1, date(2025, 5, 2))
WEEKS = [WEEK.shifted(n) for n in range(7)]
"""The corrected one, the five that it reaches, and one beyond."""
TODAY = date(2025, 7, 2)
CORRECTED_ON = date(2025, 7, 1)
LINEAGE = ["execution_id", "batch_id", "correlation_id", "computed_at", "source_revision"]
CHECKS = [
    (check.asset_key.path[-1], check.name)
    for definition in build_defs([ATS]).asset_checks or []
    for check in definition.check_specs
    if check.partitions_def
]


def only(*weeks: WeekKey) -> list[str]:
    """Return the ranges that are one week each."""
    keys = [f"{week.tier}|{week.week_ending}" for week in weeks]
    return [f"{key}...{key}" for key in keys]


def correct(finra: FinraServer, week: WeekKey, shares: int, on: date = CORRECTED_ON) -> str:
    """Change one record of a symbol; return the symbol."""
    record = finra.world.records(part_of(week), world.ATS)[0]
    finra.world.correct(record, on, totalWeeklyShareQuantity=Number(shares))
    return str(record["issueSymbolIdentifier"])


def snapshot(place: Place) -> pd.DataFrame:
    with place.store().engine.connect() as connection:
        rows = pd.read_sql(
            sa.text("SELECT * FROM research_snapshot ORDER BY week_ending, symbol, as_of_date"),
            connection,
        )
    return rows.drop(columns=LINEAGE)


@pytest.fixture
def loaded(place: Place, dagster: Daemon, finra: FinraServer) -> FinraServer:
    """FINRA, of which the newest three weeks of a tier are in the store."""
    place.today(TODAY)
    publish(finra, *WEEKS[:3])
    place.take_in(*map(str, WEEKS[:3]))
    return finra


def test_a_week_that_has_not_changed_is_left_alone(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    before = content(place.store())
    assert dagster.do("ats_corrections").success
    assert len(loaded.asked(DATA)) == 6  # once to load them, once to read them again
    assert content(place.store()) == before
    assert place.events("CORRECTION_NOTICED") == []
    assert dagster.tick().run_ids == []


def test_a_week_that_has_changed_is_requested_by_the_next_tick(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    correct(loaded, WEEKS[1], 123)
    before = content(place.store())
    assert dagster.do("ats_corrections").success
    assert place.events("CORRECTION_NOTICED") == [str(WEEKS[1])]
    assert content(place.store()) == before
    assert dagster.requested(dagster.tick()) == only(WEEKS[1])
    assert dagster.tick().run_ids == []


def test_a_record_that_is_taken_out_is_noticed(place: Place, dagster: Daemon, loaded: FinraServer):
    part = part_of(WEEKS[2])
    loaded.world.remove(part, loaded.world.records(part, world.ATS)[0])
    assert dagster.do("ats_corrections").success
    assert dagster.requested(dagster.tick()) == only(WEEKS[2])


def test_each_correction_of_a_week_is_a_revision(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    for number in (1, 2):
        correct(loaded, WEEKS[2], number, date(2025, 6, 20 + number))
        dagster.do("ats_corrections")
        assert dagster.requested(dagster.tick()) == only(WEEKS[2])
        place.take_in(str(WEEKS[2]))
    with place.store().read() as reader:
        revisions = reader.records("revisions", WEEKS[2])
    assert [(r["source_revision"], str(r["revision_date"])) for r in revisions] == [
        (1, "2025-06-02"),
        (2, "2025-06-21"),
        (3, "2025-06-22"),
    ]


def test_only_the_newest_weeks_of_a_tier_are_read_again(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    place.set("OTC_REREAD_WEEKS", 2)
    for week in WEEKS[:3]:
        correct(loaded, week, 123)
    assert dagster.do("ats_corrections").success
    assert place.events("CORRECTION_NOTICED") == [str(week) for week in WEEKS[1:3]]


def test_a_week_that_cannot_be_read_again_does_not_hide_the_others(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    correct(loaded, WEEKS[1], 123)
    loaded.faults.next(*[Fault.SERVER_ERROR] * 10)  # as often as it is tried
    result = dagster.do("ats_corrections")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.error.message
    assert f"1 slices could not be read again:\n{WEEKS[0]}: FINRA: the list" in message
    assert place.events("CORRECTION_NOTICED") == [str(WEEKS[1])]


def test_an_outage_ends_the_reading_at_once_and_the_next_job_reads_again(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    correct(loaded, WEEKS[1], 123)
    before, asked = content(place.store()), len(loaded.asked(DATA))
    loaded.faults.always(Fault.RESET)
    result = dagster.do("ats_corrections")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.error.message
    assert f"1 slices could not be read again:\n{WEEKS[0]}: FINRA: ATS {WEEKS[0]}" in message
    assert "those after it were not asked for" in message
    assert len(loaded.asked(DATA)) == asked + 10  # as often as one week is tried
    assert content(place.store()) == before
    assert place.dead() == []
    loaded.faults.stop()
    assert dagster.do("ats_corrections").success
    assert place.events("CORRECTION_NOTICED") == [str(WEEKS[1])]


def test_a_correction_is_requested_however_many_weeks_finra_lists(
    place: Place, dagster: Daemon, loaded: FinraServer
):
    """A backfill of an older year is among the newest weeks of the store, and not of FINRA."""
    place.set("OTC_FOLLOW_WEEKS", 1)
    place.set("OTC_REREAD_WEEKS", 3)
    publish(loaded, *WEEKS[3:])
    correct(loaded, WEEK, 123)
    assert dagster.do("ats_corrections").success
    assert dagster.requested(dagster.tick()) == only(WEEK, WEEKS[-1])


@dataclass
class Rippled:
    """What was there before a correction and after it, and the run in between."""

    daemon: Daemon
    place: Place
    before: pd.DataFrame
    after: pd.DataFrame
    symbol: str
    """The corrected one."""
    reached: list[WeekKey]
    """The weeks within reach in which it trades."""
    tick: InstigatorTick
    runs: list[dg.DagsterRun]

    def materialized_by_the_correction(self, table: str) -> set[str]:
        (run,) = self.runs
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        records = self.daemon.instance.get_records_for_run(run.run_id, of_type=kind).records
        events = [record.event_log_entry.dagster_event for record in records]
        return {e.partition for e in events if e and e.asset_key == dg.AssetKey(table)}

    def current_verdicts(self, table: str, name: str) -> set[str]:
        """Return the partitions whose verdict the UI shows: of their newest materialization."""
        key = dg.AssetCheckKey(dg.AssetKey(table), name)
        found = self.daemon.instance.event_log_storage.get_asset_check_partition_info([key])
        return {info.partition_key for info in found if info.partition_key and info.is_current}


@pytest.fixture(scope="module")
def rippled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rippled]:
    """Seven weeks that were followed, of which the first is corrected."""
    with (
        place_in(tmp_path_factory.mktemp("rippled")) as place,
        daemon() as dagster,
        FinraServer(World(symbols=0)) as finra,
    ):
        place.ask(finra)
        place.today(TODAY)
        publish(finra, *WEEKS)
        dagster.tick()
        dagster.work()
        before = snapshot(place)
        symbol = correct(finra, WEEK, 123_456_789)
        assert dagster.do("ats_corrections").success
        tick = dagster.tick()
        runs = dagster.work()
        reached = [
            week
            for week in WEEKS[:6]
            if symbol
            in {r["issueSymbolIdentifier"] for r in finra.world.records(part_of(week), world.ATS)}
        ]
        yield Rippled(dagster, place, before, snapshot(place), symbol, reached, tick, runs)


def keys(weeks: list[WeekKey]) -> set[str]:
    return {f"{week.tier}|{week.week_ending}" for week in weeks}


def test_a_correction_is_one_run_of_its_week(rippled: Rippled):
    assert rippled.daemon.requested(rippled.tick) == only(WEEK)
    assert [run.status for run in rippled.runs] == [dg.DagsterRunStatus.SUCCESS]


def test_the_same_run_does_the_weeks_that_a_correction_reaches(rippled: Rippled):
    reach = {"raw": 1, "symbol_summary": 1, "rolling_6w": 6, "research_snapshot": 6}
    assert {table: rippled.materialized_by_the_correction(table) for table in reach} == {
        table: keys(WEEKS[:count]) for table, count in reach.items()
    }


def test_every_week_shows_current_verdicts_afterwards(rippled: Rippled):
    for table, name in CHECKS:
        assert rippled.current_verdicts(table, name) == keys(WEEKS), (table, name)


def test_exactly_the_changed_rows_bear_the_day_of_the_correction(rippled: Rippled):
    corrected = rippled.after[rippled.after["as_of_date"] == str(CORRECTED_ON)]
    assert list(zip(corrected["week_ending"], corrected["symbol"], strict=True)) == [
        (str(week.week_ending), rippled.symbol) for week in rippled.reached
    ]
    assert {week.week_ending for week in rippled.reached} > {WEEK.week_ending}


def test_older_knowledge_stays_as_it_was(rippled: Rippled):
    older = rippled.after[rippled.after["as_of_date"] < str(CORRECTED_ON)]
    pd.testing.assert_frame_equal(older.reset_index(drop=True), rippled.before)


def test_both_revisions_of_the_week_stay(rippled: Rippled):
    columns = ["symbol", "mpid", "product_type", "share_volume", "revision_date"]
    with rippled.place.store().read() as reader:
        first, second = (
            reader.frame("raw", WEEK, columns, source_revision=number) for number in (1, 2)
        )
    changed = first.merge(second, how="outer", indicator=True).query("_merge != 'both'")
    assert list(changed["symbol"]) == [rippled.symbol] * 2
    assert sorted(map(str, changed["revision_date"])) == ["2025-05-19", str(CORRECTED_ON)]


def test_the_metadata_of_raw_say_what_became_of_the_correction(rippled: Rippled):
    (partition,) = keys([WEEK])
    metadata = rippled.daemon.metadata("raw", partition)
    assert metadata["content"] == "updated as revision 2, after revision 1"
