"""The snapshot rebuilt from the archive beside the live one: only what is explained is replaced."""

import shutil
import signal
import threading
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.assets.platform import Platform
from otc_assets.calculations import output_tables
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.domain.events import EventType
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.domain.tiers import Tier
from otc_assets.operations import rebuild as module
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.operations.rebuild import RebuildError, rebuild, rebuild_all
from otc_assets.operations.revise import Treatment
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.schema import EVENT_LOG
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.forked import exit_codes
from otc_assets_tests.operations.test_as_known import FIRST, SECOND, write
from otc_assets_tests.pipeline import RUN, TODAY, content, kill_at, run, weeks

OTC = weeks([Tier.OTC], "2025-05-16", "2025-05-23")
WEEK = OTC[0]
NUMBER = WEEK.number


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store and the archive of two weeks."""
    folder = tmp_path_factory.mktemp("original")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, FIXTURES, folder / "archive", OTC)
    store.engine.dispose()
    return folder


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Warehouse:
    """A copy of that store, with its archive beside it."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return Warehouse(f"sqlite:///{tmp_path / 'otc.db'}")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


def tamper(warehouse: Warehouse, statement: str) -> None:
    with write_transaction(warehouse.engine, "a tamperer") as connection:
        assert connection.exec_driver_sql(statement).rowcount


def some_symbol(warehouse: Warehouse) -> tuple[str, float]:
    """Return a symbol of the week, and its volume, from the rows themselves."""
    query = f"SELECT symbol, total_volume FROM research_snapshot_rows WHERE slice = {NUMBER}"
    with warehouse.engine.connect() as connection:
        symbol, volume = connection.exec_driver_sql(f"{query} ORDER BY symbol").first()
    return symbol, float(volume)


def events(warehouse: Warehouse, event_type: str) -> list[dict]:
    query = sa.select(EVENT_LOG.c.payload).where(EVENT_LOG.c.event_type == event_type)
    with warehouse.engine.connect() as connection:
        return list(connection.execute(query.order_by(EVENT_LOG.c.sequence)).scalars())


def lineage(warehouse: Warehouse) -> list[tuple]:
    with warehouse.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM lineage")]


def test_what_is_equal_is_left_alone(warehouse: Warehouse, tmp_path: Path):
    """Over a corrected week, twins, fractions and rejects, on both databases."""
    slices = weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-05-30") + OTC[:1]
    run(warehouse, FIXTURES, tmp_path, slices)
    before, written = content(warehouse), lineage(warehouse)
    done = list(rebuild_all(warehouse, Archive(str(tmp_path)), RUN, "whatever"))
    assert [(each.week, each.differences) for each in done] == [
        (week, ()) for week in sorted(slices, key=lambda w: (w.week_ending, w.tier))
    ]
    assert done[0].rows.keys() == {table.name for table in output_tables()}
    assert (content(warehouse), lineage(warehouse)) == (before, written)
    assert events(warehouse, "PROJECTION_REBUILT") == []


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_tampered_row_is_named_and_replaced_only_when_explained(
    warehouse: Warehouse, tmp_path: Path
):
    """On PostgreSQL; the tests after it do so on SQLite."""
    kept = Archive(str(tmp_path))
    run(warehouse, FIXTURES, tmp_path, [WEEK])
    good = content(warehouse)
    symbol, volume = some_symbol(warehouse)
    tamper(
        warehouse,
        f"UPDATE research_snapshot_rows SET total_volume = {volume + 5} "
        f"WHERE slice = {NUMBER} AND symbol = '{symbol}'",
    )
    bad = content(warehouse)
    with pytest.raises(RebuildError) as refused:
        rebuild(warehouse, kept, WEEK, RUN)
    message = str(refused.value)
    for part in (str(WEEK), f"symbol {symbol}", "total_volume differs in 1", "accept_difference"):
        assert part in message
    assert f"total_volume live {volume + 5}, rebuilt {volume}" in message
    assert content(warehouse) == bad
    with pytest.raises(RebuildError):
        rebuild(warehouse, kept, WEEK, RUN, "   ")  # says nothing

    done = rebuild(warehouse, kept, WEEK, RUN, "the row was tampered with")
    assert [each.table for each in done.differences] == ["research_snapshot"]
    assert content(warehouse) == good
    assert events(warehouse, "PROJECTION_REBUILT") == [
        {
            "reason": "the row was tampered with",
            "differences": {
                "research_snapshot": {
                    "only_live": 0,
                    "only_rebuilt": 0,
                    "changed": {"total_volume": 1},
                }
            },
        }
    ]
    assert rebuild(warehouse, kept, WEEK, RUN).differences == ()


@pytest.mark.parametrize(
    ("statement", "table", "only_live", "only_rebuilt", "changed"),
    [
        ("DELETE FROM research_snapshot_rows WHERE {row}", "research_snapshot", 0, 1, {}),
        (
            "UPDATE research_snapshot_rows SET symbol = 'GHOST' WHERE {row}",
            "research_snapshot",
            1,
            1,
            {},
        ),
        (
            "UPDATE research_snapshot_rows SET quality_grade = 'F', trend = NULL WHERE {row}",
            "research_snapshot",
            0,
            0,
            {"trend": 1, "quality_grade": 1},
        ),
        ("UPDATE rolling_6w_rows SET trend = 'up!' WHERE {row}", "rolling_6w", 0, 0, {"trend": 1}),
        (
            "UPDATE lineage SET as_of_date = '2020-01-01' "
            "WHERE slice = {slice} AND table_name = 'symbol_summary'",
            "symbol_summary",
            0,
            0,
            {"as_of_date": 141},
        ),
    ],
)
def test_whatever_differs_is_found_and_put_right(
    store: Warehouse, archive: Archive, statement, table, only_live, only_rebuilt, changed
):
    good = content(store)
    row = f"slice = {NUMBER} AND symbol = '{some_symbol(store)[0]}'"
    tamper(store, statement.format(row=row, slice=NUMBER))
    with pytest.raises(RebuildError) as refused:
        rebuild(store, archive, WEEK, RUN)
    (difference,) = refused.value.differences
    assert difference.table == table
    assert (difference.only_live, difference.only_rebuilt) == (only_live, only_rebuilt)
    assert difference.changed == changed
    assert difference.examples
    rebuild(store, archive, WEEK, RUN, "it was tampered with")
    assert content(store) == good


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE raw_rows SET share_volume = share_volume + 1 WHERE {row}", "share_volume"),
        ("UPDATE raw_rows SET content_hash = x'00' WHERE {row}", "content_hash"),
        ("UPDATE raw_rows SET symbol = 'GHOST' WHERE {row}", "symbol"),
        ("DELETE FROM raw_rows WHERE {row}", "only rebuilt"),
        ("UPDATE rejects_rows SET raw_line = 'x' WHERE slice = {slice}", "raw_line"),
        (
            "UPDATE revisions SET content_sha256 = 'x' "
            "WHERE week_ending = '{day}' AND tier = 'OTC'",
            "content_sha256",
        ),
    ],
)
def test_tampered_raw_is_named_and_never_explained_away(
    store: Warehouse, archive: Archive, statement: str, column: str
):
    row = f"slice = {NUMBER} AND line_number = 2"
    tamper(store, statement.format(row=row, slice=NUMBER, day=WEEK.week_ending))
    bad = content(store)
    with pytest.raises(RebuildError, match="materialize raw of this partition") as refused:
        rebuild(store, archive, WEEK, RUN, "it is right")
    assert str(WEEK) in str(refused.value)
    assert "revision 1" in str(refused.value)
    assert column in str(refused.value)
    assert content(store) == bad


def test_raw_is_repaired_by_what_the_error_says(store: Warehouse, archive: Archive, tmp_path: Path):
    good = content(store)
    tamper(store, f"UPDATE raw_rows SET share_volume = 7 WHERE slice = {NUMBER}")
    again = Warehouse(store.url)
    run(again, archive.root.as_posix(), tmp_path / "archive", OTC, treatment=Treatment(force=True))
    assert rebuild(again, archive, WEEK, RUN).differences == ()
    assert content(again) == good


@pytest.mark.parametrize("harm", ["missing", "other bytes"])
def test_an_archive_that_has_not_the_bytes_is_named(
    store: Warehouse, archive: Archive, tmp_path: Path, harm: str
):
    good = content(store)
    with store.read() as reader:
        record = reader.records("revisions", WEEK)[0]
    path = tmp_path / "archive" / record["archive_key"]
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"other bytes")
    done = list(rebuild_all(store, archive, RUN, "it is right"))
    assert [type(each) for each in done] == [RebuildError, RebuildError]  # it is in both windows
    for part in (str(WEEK), record["archive_key"], record["source_file"], "back into the source"):
        assert part in str(done[0])
    assert content(store) == good
    if harm == "missing":
        run(store, FIXTURES, tmp_path / "archive", [WEEK])
        assert rebuild(store, archive, WEEK, RUN).differences == ()


def test_an_event_that_tells_of_other_rows_is_named_until_it_is_told_anew(
    store: Warehouse, archive: Archive
):
    with store.write(WEEK, RUN) as writer:
        told = writer.events.newest(EventType.CALCULATION_COMPLETED, table="rolling_6w")
        false = {**told.payload, "rows": 1}
        writer.events.append(EventType.CALCULATION_COMPLETED, false, told.causation_id)
    with pytest.raises(RebuildError, match=r"tells of rolling_6w_v1: rows 1, rebuilt \d+"):
        rebuild(store, archive, WEEK, RUN)
    derive(store, "rolling_6w", WEEK, RUN)
    assert rebuild(store, archive, WEEK, RUN).differences == ()


def test_a_slice_that_was_not_computed_has_nothing_to_rebuild(store: Warehouse, archive: Archive):
    absent = weeks([Tier.OTC], "2025-06-27", "2025-06-27")[0]
    with pytest.raises(RebuildError, match=r"never computed.*\n.*Materialize research_snapshot"):
        rebuild(store, archive, absent, RUN)


@pytest.mark.parametrize("policy", [RevisionPolicy.OVERWRITE, RevisionPolicy.MERGE])
def test_every_policy_leaves_what_the_archive_gives(
    sqlite_warehouse: Warehouse, tmp_path: Path, policy: RevisionPolicy
):
    """A merged revision is of several files; a captured day stays the day of its reading."""
    source, kept = tmp_path / "source", tmp_path / "archive"
    contents = [
        ("a", [("AAA", 100, "2025-05-19"), ("BBB", 50, "2025-05-19")]),
        ("b", [("AAA", 110, "2025-06-03"), ("CCC", 9, "2025-06-03")]),
        ("c", [("AAA", 110, "2025-06-03"), ("DDD", 4, "2025-06-03")]),
    ]
    for name, rows in contents:
        write(source, f"week_2025-05-02_{name}.csv", *rows)
        index, archive = FileSource(str(source)).index(TODAY, ATS), Archive(str(kept))
        ingest(sqlite_warehouse, archive, index, FIRST, RUN, TODAY, Treatment(policy))
    write(source, "week_2025-05-09_a.csv", ("AAA", 7, "2025-05-27"))
    run(sqlite_warehouse, source, kept, [FIRST, SECOND], treatment=Treatment(policy))
    with sqlite_warehouse.read() as reader:
        assert len(reader.records("revisions", FIRST)) == {"overwrite": 1, "merge": 3}[policy]
    done = list(rebuild_all(sqlite_warehouse, Archive(str(kept)), RUN))
    assert [(each.week, getattr(each, "differences", each)) for each in done] == [
        (FIRST, ()),
        (SECOND, ()),
    ]


def test_who_writes_during_a_rebuild_waits_and_loses_nothing(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A correction of the very slice comes while its rebuilt rows are about to be swapped in."""
    source, kept = tmp_path / "source", tmp_path / "archive"
    write(source, "week_2025-05-02_a.csv", ("AAA", 100, "2025-05-19"), ("BBB", 5, "2025-05-19"))
    run(warehouse, source, kept, [FIRST, SECOND])
    tamper(warehouse, "UPDATE research_snapshot_rows SET total_volume = 1")
    write(source, "week_2025-05-02_b.csv", ("AAA", 110, "2025-06-03"), ("BBB", 5, "2025-05-19"))
    replace, about_to = module._replace, threading.Event()
    order = []

    def correct() -> None:
        about_to.wait()
        run(Warehouse(warehouse.url), source, kept, [FIRST])
        order.append("corrected")

    writer = threading.Thread(target=correct)
    writer.start()

    def slowly(*args: object) -> None:
        about_to.set()
        writer.join(timeout=0.7)
        assert writer.is_alive()  # it waits for the lock
        replace(*args)
        order.append("swapped")

    monkeypatch.setattr(module, "_replace", slowly)
    rebuild(warehouse, Archive(str(kept)), FIRST, RUN, "it was tampered with")
    writer.join()
    assert order == ["swapped", "corrected"]
    quiet = Warehouse(f"sqlite:///{tmp_path / 'quiet.db'}")
    run(quiet, source, tmp_path / "archive2", [FIRST, SECOND])
    assert content(Warehouse(warehouse.url)) == content(quiet)


def rebuild_and_die(url: str, archive: Path, statement: int) -> None:
    warehouse = Warehouse(url)
    kill_at(warehouse.engine, statement)
    rebuild(warehouse, Archive(str(archive)), WEEK, RUN, "it was tampered with")


@pytest.mark.parametrize("from_the_end", [1, 10])
def test_killed_while_it_swaps_all_stays_and_a_second_run_does_it(
    store: Warehouse, archive: Archive, tmp_path: Path, from_the_end: int
):
    good = content(store)
    tamper(store, f"UPDATE research_snapshot_rows SET total_volume = 1 WHERE slice = {NUMBER}")
    bad = content(store)
    shutil.copyfile(tmp_path / "otc.db", tmp_path / "copy.db")
    counted = Warehouse(f"sqlite:///{tmp_path / 'copy.db'}")
    statements = []
    sa.event.listen(counted.engine, "after_cursor_execute", lambda *args: statements.append(args))
    rebuild(counted, archive, WEEK, RUN, "it was tampered with")
    at = len(statements) - from_the_end
    killed = exit_codes(rebuild_and_die, (store.url, tmp_path / "archive", at))
    assert killed == [-signal.SIGKILL]
    assert content(store) == bad
    assert events(store, "PROJECTION_REBUILT") == []
    rebuild(store, archive, WEEK, RUN, "it was tampered with")
    assert content(store) == good


def test_the_job_fails_naming_what_differs_until_it_is_explained(
    store: Warehouse, archive: Archive
):
    good = content(store)
    tamper(store, f"UPDATE research_snapshot_rows SET total_trades = 1 WHERE slice = {NUMBER}")
    platform = Platform(database_url=store.url, archive_url=archive.root.as_posix())
    job = build_defs([ATS], platform=platform).resolve_job_def("ats_rebuild_snapshot")

    def execute(explanation: str) -> dg.ExecuteInProcessResult:
        ops = {"ats_rebuild_slices": {"config": {"accept_difference": explanation}}}
        return job.execute_in_process(run_config={"ops": ops}, raise_on_error=False)

    result = execute("")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.error.message
    assert f"1 slices were left as they are:\n{WEEK}: the rebuilt rows differ" in said
    assert "total_trades live 1, rebuilt" in said
    assert execute("somebody changed it by hand").success
    assert content(store) == good
    assert [each["reason"] for each in events(store, "PROJECTION_REBUILT")] == [
        "somebody changed it by hand"
    ]


def test_every_row_that_differs_counts(store: Warehouse, archive: Archive):
    """The counts are those of a comparison made with plain SQL before and after."""
    query = "SELECT symbol, total_volume FROM research_snapshot WHERE week_ending = :day"
    day = {"day": str(WEEK.week_ending)}
    with store.engine.connect() as connection:
        before = pd.read_sql(sa.text(query), connection, params=day).set_index("symbol")
    tamper(
        store,
        "UPDATE research_snapshot_rows SET total_volume = 12345 "
        f"WHERE slice = {NUMBER} AND symbol < 'M'",
    )
    with store.engine.connect() as connection:
        after = pd.read_sql(sa.text(query), connection, params=day).set_index("symbol")
    expected = int((before != after).sum().iloc[0])
    assert expected > 10
    done = rebuild(store, archive, WEEK, RUN, "counted")
    assert done.differences[0].changed == {"total_volume": expected}
