"""A store on TimescaleDB gives what the others give, compressed, corrected and pruned as well.

`make test-timescale` runs this. The tests go through one store's life, in their order: it is
filled, compressed, corrected, pruned, restored and taken down.
"""

import os
from collections.abc import Iterator
from datetime import date

import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations import verify as verification
from otc_assets.operations.retention import SliceRows, expired, give_back, prune, pruned, restore
from otc_assets.research import as_of
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.migrate import downgrade, leave_timescale
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.fingerprints import SLICES, fingerprints_of, golden
from otc_assets_tests.pipeline import RUN

if not os.environ.get("OTC_TEST_TIMESCALE"):
    pytest.skip("make test-timescale", allow_module_level=True)

from otc_assets_tests.timescale.conftest import EXTENSION, Home

HYPERTABLES = {
    "raw_rows",
    "venue_volume_rows",
    "non_ats_raw_rows",
    "non_ats_venue_volume_rows",
}
SUMMARIES = {"weekly_summary_agg", "non_ats_weekly_summary_agg"}
CORRECTED = WeekKey(Tier.NMS_TIER_1, date(2025, 5, 23))
SOME = [CORRECTED, CORRECTED.shifted(2), WeekKey(Tier.OTC, date(2025, 6, 20))]
"""Of May and June; the one in the middle has the correction in its window."""
IN_MAY = [week for week in SLICES if week.week_ending.month == 5]
DAYS = ("2025-06-10", "2025-07-15", "2025-07-16")
"""Before the weeks of May are all public, and around the correction."""
JOBS = "SELECT {} FROM timescaledb_information.jobs WHERE proc_name = '{}'"
COMPRESSION, REFRESH = "policy_compression", "policy_refresh_continuous_aggregate"


@pytest.fixture(scope="module")
def home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with all slices, one of which FINRA has not corrected yet."""
    filled = Home(server, tmp_path_factory.mktemp("home"))
    filled.tell(EXTENSION)
    filled.run(SLICES)
    return filled


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A store on SQLite with the same slices, the correction included."""
    folder = tmp_path_factory.mktemp("sqlite")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    pipeline.run(store, FIXTURES, folder / "archive", SLICES)
    yield store
    store.engine.dispose()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a verification expect the aggregate to be refreshed at once."""
    monkeypatch.setattr(verification, "REFRESHED_WITHIN", pd.Timedelta(0))


def compressed(home: Home) -> dict[tuple[str, int], bool]:
    """Return which chunks are compressed, by table and first number."""
    rows = home.ask(
        "SELECT hypertable_name, range_start_integer, is_compressed "
        "FROM timescaledb_information.chunks WHERE hypertable_schema = 'otc'"
    )
    return {(table, start): is_compressed for table, start, is_compressed in rows}


def test_raw_and_venue_volume_are_hypertables_with_a_month_a_chunk(home: Home):
    dimensions = home.ask(
        "SELECT hypertable_name, column_name, integer_interval "
        "FROM timescaledb_information.dimensions WHERE hypertable_schema = 'otc'"
    )
    assert set(dimensions) == {(table, "slice", 1000) for table in HYPERTABLES}
    tables = ("raw_rows", "venue_volume_rows")
    assert set(compressed(home)) == {(t, m) for t in tables for m in (202505000, 202506000)}


def test_policies_compress_after_12_weeks_and_refresh_each_hour(home: Home):
    assert len(home.ask(JOBS.format("job_id", COMPRESSION))) == len(HYPERTABLES)
    assert home.ask(JOBS.format("schedule_interval", REFRESH)) == [pd.Timedelta(hours=1)] * 2
    (ago,) = home.ask("SELECT slice_of_12_weeks_ago()")
    (today,) = home.ask("SELECT current_date")
    assert pd.Timestamp(str(ago // 10)) == pd.Timestamp(today) - pd.Timedelta(weeks=12)


def test_no_policy_removes_rows_behind_the_back_of_retention(home: Home):
    assert home.ask(JOBS.format("job_id", "policy_retention")) == []


def test_an_aggregate_that_was_never_refreshed_is_found(home: Home, no_patience: None):
    assert set(home.ask("SELECT view_name FROM timescaledb_information.continuous_aggregates")) == (
        SUMMARIES
    )
    found = home.findings([CORRECTED])
    assert {finding.table for finding in found} == {"weekly_summary_agg"}
    assert {(finding.stored, finding.recomputed) for finding in found[:-1]} == {("no row", "row")}


def test_it_has_two_hours_to_be_refreshed(home: Home):
    assert home.findings([CORRECTED]) == []


def test_refreshed_it_is_equal_to_symbol_summary(home: Home, no_patience: None):
    home.run_jobs(REFRESH)
    assert home.findings(SOME) == []
    columns = "week_ending, tier, symbol, total_volume, total_trades, venue_count"
    ours, theirs = (
        home.ask(f"SELECT {columns} FROM {table} ORDER BY week_ending, tier, symbol")
        for table in ("symbol_summary", "weekly_summary_agg")
    )
    assert theirs == ours != []


def test_a_sum_that_was_changed_by_hand_is_found(home: Home, no_patience: None):
    (table,) = home.ask(
        "SELECT materialization_hypertable_schema || '.' || materialization_hypertable_name "
        "FROM timescaledb_information.continuous_aggregates "
        "WHERE view_name = 'weekly_summary_agg'"
    )
    of_slice = f"slice = {CORRECTED.number}"
    (symbol,) = home.ask(f"SELECT min(symbol) FROM weekly_summary_agg WHERE {of_slice}")
    row = f"{of_slice} AND symbol = '{symbol}'"
    change = f"UPDATE {table} SET total_trades = total_trades + {{}} WHERE {row}"
    home.tell(change.format(1))
    (found,) = home.findings([CORRECTED])
    home.tell(change.format(-1))
    assert (found.table, found.column) == ("weekly_summary_agg", "total_trades")
    assert found.key == f"symbol {symbol}"
    assert int(found.stored) == int(found.recomputed) + 1


def test_old_chunks_are_compressed_and_say_the_same(home: Home):
    before = home.content()
    sizes = "SELECT sum(hypertable_size(format('otc.%%I', t)::regclass)) FROM unnest(ARRAY{}) t"
    (large,) = home.ask(sizes.format(sorted(HYPERTABLES)))
    (today,) = home.ask("SELECT to_char(current_date, 'YYYYMMDD')::integer * 10 + 3")
    names = "slice, lineage_number, symbol, mpid, share_volume, trade_count, record_hash"
    home.tell(f"INSERT INTO venue_volume_rows ({names}) VALUES ({today}, 0, 'X', 'X', 1, 1, '')")
    home.run_jobs(COMPRESSION)
    newest = "venue_volume_rows", today // 1000 * 1000
    found = compressed(home)
    assert {chunk for chunk, is_compressed in found.items() if not is_compressed} == {newest}
    home.tell(f"DELETE FROM venue_volume_rows WHERE slice = {today}")
    assert home.content() == before
    (small,) = home.ask(sizes.format(sorted(HYPERTABLES)))
    assert small < large


def test_a_slice_is_found_among_compressed_rows_without_reading_others(home: Home):
    for table in ("raw_rows", "venue_volume_rows"):
        plan = "\n".join(
            home.ask(f"EXPLAIN SELECT * FROM {table} WHERE slice = {CORRECTED.number}")
        )
        assert plan.count("ColumnarScan") == 1, "the chunk of one month"
        assert "Index Cond: (slice = " in plan


def test_a_correction_of_a_compressed_week_gives_what_it_gives_on_sqlite(
    home: Home, sqlite: Warehouse
):
    home.correct(CORRECTED)
    assert fingerprints_of(home.store(), SLICES) == golden()
    assert home.content() == pipeline.content(sqlite)
    for day in DAYS:
        ours, theirs = (as_of(day, database_url=url) for url in (home.url, sqlite.url))
        pd.testing.assert_frame_equal(ours, theirs)


def test_the_next_refresh_and_compression_take_the_correction_up(home: Home, no_patience: None):
    assert {finding.table for finding in home.findings([CORRECTED])} == {"weekly_summary_agg"}
    home.run_jobs(REFRESH)
    home.run_jobs(COMPRESSION)
    assert home.findings(SOME) == []


def test_compressed_rows_are_summed_rightly_too(home: Home, no_patience: None):
    home.tell("CALL refresh_continuous_aggregate('weekly_summary_agg', NULL, NULL, force => true)")
    assert home.findings(SOME) == []


def test_retention_drops_chunks_that_have_no_rows_left(home: Home, no_patience: None):
    size = "SELECT hypertable_size('raw_rows') + hypertable_size('venue_volume_rows')"
    (large,) = home.ask(size)
    expiring = [each for each in expired(home.store(), date(2040, 1, 1)) if each.week in IN_MAY]
    done = list(prune(home.store(), expiring, RUN))
    assert [each.week for each in done if isinstance(each, SliceRows)] == IN_MAY
    told = list(give_back(home.store()))
    assert {start for _, start in compressed(home)} == {202506000}
    chunks = [line for line in told if "_chunk has no rows" in line]
    assert len(chunks) == 3, "two of May, and the one that the newest row was in"
    (small,) = home.ask(size)
    assert small < large
    home.run_jobs(REFRESH)
    assert home.findings(SOME) == [], "the archive gives the rows"


def test_restored_rows_make_their_chunks_anew(home: Home, sqlite: Warehouse):
    list(restore(home.store(), pruned(home.store()), RUN))
    assert {start for _, start in compressed(home)} == {202505000, 202506000}
    assert pruned(home.store()) == []
    assert home.content() == pipeline.content(sqlite)


def test_compressed_rows_move_into_plain_tables_and_back(home: Home, sqlite: Warehouse):
    home.run_jobs(COMPRESSION)
    assert set(compressed(home).values()) == {True}
    leave_timescale(create_engine(home.url))
    assert compressed(home) == {}
    assert home.ask(JOBS.format("job_id", COMPRESSION)) == []
    assert home.content() == pipeline.content(sqlite)
    assert len(compressed(home)) == 4


def test_all_of_it_goes_down_with_the_schema(home: Home):
    engine = home.store().engine
    downgrade(engine, "base")
    left = set(sa.inspect(engine).get_table_names())
    assert left == {"alembic_version", "alembic_version_timescale"}
    assert home.ask("SELECT job_id FROM timescaledb_information.jobs WHERE job_id >= 1000") == []
