"""From files to the research snapshot.

That both databases hold equal rows is one claim, over all tiers; what rows say is then told of
SQLite alone.
"""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from otc_assets.calculations import output_tables
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.fingerprints import SLICES, fingerprints_of, golden
from otc_assets_tests.pipeline import content, run, weeks

GOLDEN = Path(__file__).parent.parent / "golden"
THREE_WEEKS = weeks([Tier.NMS_TIER_1], "2025-12-19", "2026-01-02")


def table(warehouse: Warehouse, name: str, week: WeekKey) -> pd.DataFrame:
    with warehouse.read() as reader:
        return reader.frame(name, week)


@pytest.fixture(scope="module")
def two_symbols(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A store with three weeks of two symbols; nobody may change it."""
    folder = tmp_path_factory.mktemp("two")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, GOLDEN / "two_symbols", folder / "archive", THREE_WEEKS, date(2026, 2, 1))
    yield store
    store.engine.dispose()


def test_the_figures_of_the_verification_report(two_symbols: Warehouse):
    for number, week in enumerate(THREE_WEEKS, start=1):
        snapshot = table(two_symbols, "research_snapshot", week).set_index("symbol")
        assert snapshot["total_volume"].to_dict() == {
            "A": 3_827_870_000_000,
            "AA": 3_110_306_000_000,
        }
        assert snapshot["venue_count"].to_dict() == {"A": 29, "AA": 21}
        assert snapshot["avg_trade_size"].round(2).to_dict() == {"A": 59.41, "AA": 86.26}
        assert snapshot["liquidity_score"].to_dict() == {"A": 1722.89, "AA": 1811.46}
        assert snapshot["avg_6w_volume"].to_dict() == {"A": 3_827_870.0, "AA": 3_110_306.0}
        assert snapshot["weeks_in_window"].tolist() == [number, number]
        assert not snapshot["is_complete"].any()
        assert snapshot["total_trades"].sum() == 100_483
        assert len(table(two_symbols, "venue_share", week)) == 30


def test_a_file_without_dates_is_dated_by_the_calendar(two_symbols: Warehouse):
    snapshot = table(two_symbols, "research_snapshot", THREE_WEEKS[0])
    assert {str(day) for day in snapshot["as_of_date"]} == {"2026-01-05"}
    assert set(snapshot["as_of_source"]) == {"calendar"}


def test_real_weeks_give_the_known_figures(
    sqlite_warehouse: Warehouse, real_data: Path, tmp_path: Path
):
    both = weeks([Tier.OTC], "2025-11-14", "2025-11-21")
    run(sqlite_warehouse, real_data / "files", tmp_path, both)
    expected = [
        (5_328, 3_111, 9, 1_335_995_901, 472_776, 9_882.03, 82.19),
        (5_192, 2_985, 9, 943_802_893, 497_191, 9_999.64, 80.91),
    ]
    for week, (lines, symbols, venues, shares, trades, hhi, otcn) in zip(
        both, expected, strict=True
    ):
        volume = table(sqlite_warehouse, "venue_volume", week)
        assert len(volume) == lines
        assert volume["share_volume"].sum() == shares * 10**6
        assert volume["trade_count"].sum() == trades
        assert len(table(sqlite_warehouse, "symbol_summary", week)) == symbols
        share = table(sqlite_warehouse, "venue_share", week).set_index("mpid")["market_share_pct"]
        assert len(share) == venues
        assert round(share["OTCN"], 2) == otcn
        rated = table(sqlite_warehouse, "concentration", week)
        assert rated.loc[rated["symbol"] == "AABB", "hhi"].tolist() == [hhi, hhi]


def test_both_databases_hold_equal_rows_with_the_known_fingerprints(
    postgres_url: str, tmp_path: Path
):
    """Over six weeks of all tiers; how to write the known ones anew, their module says."""
    stores = [Warehouse(f"sqlite:///{tmp_path / 'otc.db'}"), Warehouse(postgres_url)]
    for number, store in enumerate(stores):
        run(store, FIXTURES, tmp_path / f"archive{number}", SLICES)
        assert fingerprints_of(store, SLICES) == golden()
    assert content(stores[0]) == content(stores[1])
    stores[1].engine.dispose()


def test_a_second_run_changes_nothing(warehouse: Warehouse, tmp_path: Path):
    slices = weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-23", "2025-05-23")
    run(warehouse, FIXTURES, tmp_path, slices)
    before = content(warehouse)
    again = run(warehouse, FIXTURES, tmp_path, slices)
    assert content(warehouse) == before
    assert {result.action.value for outcome in again for result in outcome.results} == {"skipped"}


def test_weeks_in_any_order_give_the_same_rows(sqlite_warehouse: Warehouse, tmp_path: Path):
    """Rolling windows and comparisons of later weeks follow when an earlier week comes late."""
    slices = weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-16", "2025-06-06")
    for week in reversed(slices):
        run(sqlite_warehouse, FIXTURES, tmp_path, [week])
    known = golden()  # of weeks that were taken in one after the other
    assert fingerprints_of(sqlite_warehouse, slices) == {str(w): known[str(w)] for w in slices}


def test_raw_is_rebuilt_from_the_archive_alone(sqlite_warehouse: Warehouse, tmp_path: Path):
    slices = weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-23", "2025-05-23")
    run(sqlite_warehouse, FIXTURES, tmp_path / "archive", slices)
    rebuilt = Warehouse(f"sqlite:///{tmp_path / 'rebuilt.db'}")
    run(rebuilt, tmp_path / "archive", tmp_path / "archive2", slices)
    rows = [table(store, "raw", week) for week in slices for store in (sqlite_warehouse, rebuilt)]
    lineage = ["execution_id", "batch_id", "correlation_id", "ingested_at"]
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        pd.testing.assert_frame_equal(
            before.drop(columns=lineage), after.drop(columns=lineage), check_dtype=False
        )
    with sqlite_warehouse.read() as one, rebuilt.read() as other:
        dates = [
            [r["revision_date"] for r in x.records("revisions", w)]
            for w in slices
            for x in (one, other)
        ]
    assert dates[::2] == dates[1::2]


def test_only_good_weeks_pass_a_bad_one(sqlite_warehouse: Warehouse, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(FIXTURES, source)
    broken = source / "finra_otc_weekly_otc_20250616.csv"
    broken.write_bytes(broken.read_bytes()[:-30])
    slices = weeks([Tier.OTC], "2025-05-09", "2025-05-23")
    outcomes = run(sqlite_warehouse, source, tmp_path / "archive", slices)
    refused = {o.week for o in outcomes if o.status is SliceStatus.REFUSED}
    assert refused == {slices[1]}
    reason = next(o.reason for o in outcomes if o.week == slices[1])
    assert reason is not None
    assert "finra_otc_weekly_otc_20250616.csv, line 269: the file is truncated" in reason
    snapshots = [table(sqlite_warehouse, "research_snapshot", week) for week in slices]
    assert list(map(len, snapshots)) == [157, 0, 164]
    with sqlite_warehouse.read() as reader:
        manifest = reader.manifest(slices[1])
    assert manifest is not None
    assert (manifest["status"], manifest["reason"]) == ("refused", reason)


def test_a_bad_file_costs_nothing_of_what_is_there(warehouse: Warehouse, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(FIXTURES, source)
    week = weeks([Tier.OTC], "2025-05-16", "2025-05-16")
    run(warehouse, source, tmp_path / "archive", week)
    before = content(warehouse)
    (source / "finra_otc_weekly_otc_20250616_b.csv").write_bytes(b"\xff\xfe no text")
    outcomes = run(warehouse, source, tmp_path / "archive", week)
    assert content(warehouse) == before
    assert outcomes[0].status is SliceStatus.REFUSED
    assert [o.reason for o in outcomes if not o.written] == []


def test_the_bytes_of_a_refused_file_are_kept(sqlite_warehouse: Warehouse, tmp_path: Path):
    source, archive = tmp_path / "source", tmp_path / "archive"
    source.mkdir()
    data = b"not|a|finra|file\n1|2|3|4\n"
    (source / "finra_otc_weekly_otc_20250616.csv").write_bytes(data)
    run(sqlite_warehouse, source, archive, weeks([Tier.OTC], "2025-05-16", "2025-05-16"))
    kept = [path for path in archive.rglob("*.csv") if "/refused/" in path.as_posix()]
    assert [path.read_bytes() for path in kept] == [data]


def test_a_week_without_a_file_is_told_from_one_that_is_not_due(
    sqlite_warehouse: Warehouse, tmp_path: Path
):
    (tmp_path / "source").mkdir()
    slices = weeks([Tier.OTC], "2025-12-05", "2025-12-12")
    outcomes = run(sqlite_warehouse, tmp_path / "source", tmp_path / "archive", slices)
    by_week = {o.week: o for o in outcomes if o.table == "raw"}
    assert by_week[slices[0]].status is SliceStatus.MISSING
    assert "2026-01-05" in str(by_week[slices[0]].reason)
    assert by_week[slices[1]].status is SliceStatus.MISSING
    future = weeks([Tier.OTC], "2025-12-19", "2025-12-19")
    early = run(sqlite_warehouse, tmp_path / "source", tmp_path, future)
    assert early[0].status is SliceStatus.NOT_DUE


def test_a_blocked_table_stops_what_reads_it(warehouse: Warehouse, tmp_path: Path):
    """Rows that were tampered with in raw do not poison what follows, and what was there stays."""
    week = weeks([Tier.OTC], "2025-05-09", "2025-05-09")
    run(warehouse, FIXTURES, tmp_path, week)
    before = table(warehouse, "symbol_summary", week[0])
    with write_transaction(warehouse.engine, "a tamperer") as connection:
        connection.exec_driver_sql("UPDATE raw_rows SET share_volume = -5 WHERE line_number = 2")
    outcomes = run(Warehouse(warehouse.url), FIXTURES, tmp_path, week)  # as another process does
    left = {o.table: o.reason for o in outcomes if not o.written}
    assert "no_negative_volumes does not hold" in str(left["venue_volume"])
    assert set(left) == {each.name for each in output_tables()}
    pd.testing.assert_frame_equal(table(warehouse, "symbol_summary", week[0]), before)


def test_deriving_before_ingesting_says_what_to_do(sqlite_warehouse: Warehouse):
    from otc_assets.operations.derive import derive
    from otc_assets_tests.pipeline import RUN

    outcome = derive(sqlite_warehouse, "venue_volume", THREE_WEEKS[0], RUN)
    assert not outcome.written
    assert "materialize raw first" in str(outcome.reason)
