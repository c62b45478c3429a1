"""Slices verified against the archive: each kind of difference is named, with its cause."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations import findings
from otc_assets.operations import verify as module
from otc_assets.operations.derive import derive
from otc_assets.operations.findings import Finding
from otc_assets.operations.intake import ingest
from otc_assets.operations.ownership import OwnershipError
from otc_assets.operations.recall import Contents
from otc_assets.operations.revise import Treatment
from otc_assets.operations.verify import SliceVerification, chosen, verify
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.fingerprint import fingerprints
from otc_assets.warehouse.reader import SliceReader, table_named
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests.conftest import empty_store
from otc_assets_tests.fingerprints import fingerprints_of
from otc_assets_tests.operations.test_as_known import FIRST, SECOND, write
from otc_assets_tests.pipeline import RUN, TODAY, run

Tamper = Callable[[sa.Connection], object]


class Filled:
    """A store of two weeks, the first corrected and with a refused line, and its archive."""

    def __init__(self, url: str, folder: Path) -> None:
        """Fill the store at ``url`` from files in ``folder``."""
        source = folder / "source"
        early, late, next_week = "2025-05-19", "2025-06-03", "2025-05-27"
        write(source, "week_2025-05-02_a.csv", ("AAA", 100.25, early), ("BBB", 5, early))
        write(source, "week_2025-05-02_b.csv", ("AAA", 110, late), ("BBB", -5, early))
        write(source, "week_2025-05-09_a.csv", ("AAA", 7, next_week), ("BBB", 8, next_week))
        self.url, self.folder = url, folder
        self.store, self.archive = Warehouse(url), Archive(str(folder / "archive"))
        self.contents = Contents(self.archive)
        run(self.store, source, folder / "archive", [FIRST, SECOND])

    def verified(self, *tampers: str | Tamper, weeks: Sequence[WeekKey] = (FIRST,)) -> list:
        """Verify weeks after something was done to the store, which is then undone."""
        damaged: set[str] = set()
        with self.store.engine.connect() as connection, connection.begin() as transaction:
            for tamper in tampers:
                if callable(tamper):
                    tamper(connection)
                else:
                    assert connection.exec_driver_sql(tamper).rowcount
            reader = SliceReader(connection, ATS, FrameCache())
            found = [
                SliceVerification(reader, self.contents, self.archive, week, damaged).run()
                for week in weeks
            ]
            transaction.rollback()
        return found

    def found(self, *tampers: str | Tamper, weeks: Sequence[WeekKey] = (FIRST,)) -> list:
        """Return the same as rows: week, table, key, column, both values, cause."""
        verified = self.verified(*tampers, weeks=weeks)
        return [short(each) for one in verified for each in one.findings]


def short(found: Finding) -> tuple[str, ...]:
    return (
        found.week_ending,
        found.table,
        found.key,
        found.column,
        found.stored,
        found.recomputed,
        found.cause,
    )


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("filled")
    with empty_store(request, request.param, folder) as url:
        there = Filled(url, folder)
        yield there
        there.store.engine.dispose()


def test_what_nobody_touched_is_equal_and_counted(filled: Filled):
    verified = filled.verified(weeks=(FIRST, SECOND))
    assert [each.findings for each in verified] == [[], []]
    assert [each.unprinted for each in verified] == [[], []]
    tables = {"raw", "rejects", *(table.name for table in output_tables())}
    assert [each.rows.keys() for each in verified] == [tables, tables]
    assert verified[0].rows["raw"] == 3
    assert verified[0].rows["rejects"] == 1
    assert "2 slices, 18 tables" in findings.told(verified)


WEEK = "2025-05-02"
OF_FIRST = f"slice = {FIRST.number}"
AAA = f"{OF_FIRST} AND symbol = 'AAA'"
CHANGED = findings.CHANGED_ROWS


@pytest.mark.parametrize(
    ("table", "column", "value", "key", "stored", "recomputed"),
    [
        ("raw", "share_volume", "12", "symbol AAA, line_number 2", "12", "100.25"),
        ("raw", "issue_name", "venue_name", "symbol AAA, line_number 2", "Venue", "Name"),
        ("raw", "issue_name", "NULL", "symbol AAA, line_number 2", "null", "Name"),
        ("venue_volume", "trade_count", "3", "symbol AAA, mpid VENU", "3", "1"),
        ("symbol_summary", "total_volume", "111", "symbol AAA", "111", "110"),
        ("liquidity_score", "liquidity_score", "0.5", "symbol AAA", "0.5", None),
        ("rolling_6w", "trend", "'up!'", "symbol AAA", "up!", None),
        (
            "research_snapshot",
            "quality_grade",
            "'F'",
            "symbol AAA, as_of_date 2025-06-03",
            "F",
            None,
        ),
    ],
)
def test_one_changed_row_is_named_and_nothing_else(
    filled: Filled, table: str, column: str, value: str, key: str, stored: str, recomputed: str
):
    also = " AND lineage_number = 1" if table == "raw" else ""
    where = f"{AAA}{also}"
    if table == "research_snapshot":
        where += (
            " AND lineage_number IN (SELECT lineage_number FROM lineage "
            f"WHERE {OF_FIRST} AND as_of_date = '2025-06-03')"
        )
    (found,) = filled.found(f"UPDATE {table}_rows SET {column} = {value} WHERE {where}")
    assert found[:5] == (WEEK, table, key, column, stored)
    assert found[5] == recomputed or recomputed is None
    assert found[6] == CHANGED


def test_a_changed_name_is_named_in_each_row_that_has_it(filled: Filled):
    found = filled.found("UPDATE names SET name = 'X' WHERE name = 'Name'")
    assert [each[3:] for each in found] == [("issue_name", "X", "Name", CHANGED)] * 3


def test_a_row_that_is_lacking_or_too_many_is_named(filled: Filled):
    summary = (WEEK, "symbol_summary")
    assert filled.found(f"DELETE FROM symbol_summary_rows WHERE {AAA}") == [
        (*summary, "symbol AAA", "", "no row", "row", CHANGED)
    ]
    renamed = filled.found(f"UPDATE symbol_summary_rows SET symbol = 'ZZZ' WHERE {AAA}")
    assert sorted(renamed) == [
        (*summary, "symbol AAA", "", "no row", "row", CHANGED),
        (*summary, "symbol ZZZ", "", "row", "no row", CHANGED),
    ]


def test_a_changed_refused_line_is_named(filled: Filled):
    ((_, table, key, column, stored, _, cause),) = filled.found(
        "UPDATE rejects_rows SET raw_line = 'x'"
    )
    assert (table, key, column, stored, cause) == (
        "rejects",
        "line_number 3",
        "raw_line",
        "x",
        CHANGED,
    )


def test_a_change_that_only_the_fingerprint_shows_is_named_by_it(filled: Filled):
    """Nothing recomputes which source a row of raw is from."""
    (found,) = filled.found(
        f"UPDATE lineage SET source = 'finra' WHERE {OF_FIRST} AND table_name = 'raw' "
        "AND source_revision = 1"
    )
    assert found[:4] == (WEEK, "raw", "source_revision 1", "fingerprint")
    assert found[6] == CHANGED


def test_rows_of_a_revision_that_raw_lacks_are_named(filled: Filled):
    of_second = f"{OF_FIRST} AND table_name = 'raw' AND source_revision = 2"
    number = f"(SELECT lineage_number FROM lineage WHERE {of_second})"
    assert filled.found(
        f"DELETE FROM raw_rows WHERE {OF_FIRST} AND lineage_number = {number}",
        f"DELETE FROM lineage WHERE {of_second}",
    ) == [(WEEK, "raw", "source_revision 2", "", "no rows", "1 rows", findings.LACKING_ROWS)]


def test_a_revision_that_is_gone_is_named(filled: Filled):
    found = filled.found(
        f"DELETE FROM revisions WHERE week_ending = '{WEEK}' AND source_revision = 2"
    )
    assert found == [
        (WEEK, "revisions", "source_revision 2", "", "no row", "row", findings.LACKING_REVISION)
    ]


def test_a_changed_row_of_revisions_is_named(filled: Filled):
    statement = f"UPDATE revisions SET line_count = 9 WHERE week_ending = '{WEEK}'"
    assert filled.found(f"{statement} AND source_revision = 2")[0] == (
        WEEK,
        "revisions",
        "source_revision 2",
        "line_count",
        "9",
        "2",
        findings.CHANGED_REVISION,
    )


def test_a_changed_manifest_is_named(filled: Filled):
    changed = f"UPDATE manifest SET source_file = 'x' WHERE week_ending = '{WEEK}'"
    assert filled.found(changed) == [
        (
            WEEK,
            "manifest",
            "",
            "source_file",
            "x",
            "week_2025-05-02_b.csv",
            findings.CHANGED_MANIFEST,
        )
    ]


def set_manifest(filled: Filled, change: Callable[[dict], dict]) -> Tamper:
    """Return what changes columns of the first week's manifest."""
    manifest = filled.store.sql_table("manifest")
    mine = manifest.c.week_ending == FIRST.week_ending
    with filled.store.read() as reader:
        row = reader.manifest(FIRST)
    return lambda connection: connection.execute(
        sa.update(manifest).where(mine).values(**change(row))
    )


def without(row: dict, name: str) -> dict:
    return {"row_counts": {k: v for k, v in row["row_counts"].items() if k != name}}


def test_a_table_that_was_not_computed_is_named_with_the_reason(filled: Filled):
    tamper = set_manifest(filled, lambda row: without(row, "rolling_6w") | {"reason": "broken"})
    assert filled.found(tamper) == [
        (
            WEEK,
            "rolling_6w",
            "",
            "",
            "not computed",
            "1 rows",
            "the table was not computed: broken",
        )
    ]


def no_fingerprints(filled: Filled) -> Tamper:
    return set_manifest(filled, lambda row: {"fingerprints": sa.null()})


def test_rows_of_an_older_store_have_no_fingerprint_and_are_compared_all_the_same(filled: Filled):
    verified = filled.verified(no_fingerprints(filled))
    assert not any(each.findings for each in verified)
    assert len(verified[0].unprinted) == 9
    assert "9 tables have no fingerprint yet" in findings.told(verified)
    (found,) = filled.found(
        no_fingerprints(filled), f"UPDATE symbol_summary_rows SET venue_count = 7 WHERE {AAA}"
    )
    assert found[1:] == (
        "symbol_summary",
        "symbol AAA",
        "venue_count",
        "7",
        "1",
        findings.NO_FINGERPRINT,
    )


def test_another_version_of_a_calculation_is_told_from_a_changed_row(filled: Filled):
    ((_, _, _, column, stored, computed, cause),) = filled.found(
        no_fingerprints(filled),
        f"UPDATE lineage SET calc_version = 'v9' WHERE {OF_FIRST} "
        "AND table_name = 'symbol_summary'",
    )
    assert (column, stored, computed) == ("calc_version", "v9", "v1")
    assert cause.startswith("calc_version differs: the rows are of v9, this code computes v1")


def test_code_that_computes_something_else_is_told_from_a_changed_row(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
):
    compute = module.derived_tables

    def other(known: object) -> dict[str, pd.DataFrame]:
        tables = compute(known)
        volume = tables["symbol_summary"]
        return tables | {"symbol_summary": volume.assign(venue_count=volume["venue_count"] + 1)}

    monkeypatch.setattr(module, "derived_tables", other)
    first = filled.found()[0]
    assert first[1:] == (
        "symbol_summary",
        "symbol AAA",
        "venue_count",
        "1",
        "2",
        findings.OTHER_VALUES,
    )


def of_many(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    compute = module.derived_tables

    def other(known: object) -> dict[str, pd.DataFrame]:
        tables = compute(known)
        many = pd.concat([tables["symbol_summary"]] * 30, ignore_index=True)
        return tables | {"symbol_summary": many.assign(symbol=[f"S{n}" for n in range(len(many))])}

    monkeypatch.setattr(module, "derived_tables", other)
    return [each for each in filled.found() if each[1] == "symbol_summary" and each[0] == WEEK]


def test_of_many_rows_that_differ_twenty_are_listed_and_the_others_counted(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
):
    found = of_many(filled, monkeypatch)
    assert len(found) == 21
    assert found[-1][2] == "11 more rows"  # 1 is only live, 30 are only rebuilt


@pytest.fixture
def damaged(filled: Filled, tmp_path: Path) -> Iterator[tuple[Filled, Path, str]]:
    """The same store with an archive of its own, and a file of it."""
    kept = filled.archive
    shutil.copytree(filled.folder / "archive", tmp_path / "archive")
    filled.archive = Archive(str(tmp_path / "archive"))
    filled.contents = Contents(filled.archive)
    with filled.store.read() as reader:
        key = reader.revision(FIRST, 1)["archive_key"]
    yield filled, tmp_path / "archive" / key, key
    filled.archive, filled.contents = kept, Contents(kept)


def test_a_byte_that_changed_in_the_archive_and_a_row_in_a_table_are_named_exactly(
    damaged: tuple[Filled, Path, str],
):
    filled, path, key = damaged
    data = path.read_bytes().replace(b"|100.25|", b"|900.25|")
    path.write_bytes(data)
    then, now = key.split("/")[-2], hashlib.sha256(data).hexdigest()
    found = filled.found(
        "UPDATE rolling_6w_rows SET trend = 'up!' "
        f"WHERE slice = {SECOND.number} AND symbol = 'AAA'",
        weeks=(FIRST, SECOND),
    )
    archive = (WEEK, "archive", key, "sha256", then, now, findings.CHANGED_BYTES)
    volume = (WEEK, "raw", "symbol AAA, line_number 2", "share_volume", "100.25", "900.25")
    assert found[0] == archive
    assert (*volume, findings.CHANGED_BYTES) in found
    rest = [each for each in found if each[-1] != findings.CHANGED_BYTES]
    assert [each[:5] for each in rest] == [
        ("2025-05-09", "rolling_6w", "symbol AAA", "trend", "up!")
    ]


def test_a_file_that_the_archive_lacks_is_named(damaged: tuple[Filled, Path, str]):
    filled, path, key = damaged
    path.unlink()
    assert filled.found(weeks=(FIRST, SECOND)) == [
        (WEEK, "archive", key, "", "no file", key.split("/")[-2], findings.NO_BYTES)
    ]


def test_another_stores_archive_is_refused(filled: Filled, tmp_path: Path):
    (tmp_path / ".otc-store").write_text("another")
    with pytest.raises(OwnershipError, match="of the store another"):
        list(verify(Store(filled.url), Archive(str(tmp_path)), [FIRST]))


def test_a_store_that_may_only_be_read_is_verified(filled: Filled):
    store = Store(filled.url)
    slices, of = chosen(store, 1, seed=3)
    assert (len(slices), of) == (1, 2)
    assert chosen(store, 1, seed=3) == (slices, of)
    assert chosen(store, None, 3, weeks=["2025-05-09"]) == ([SECOND], 1)
    assert chosen(store, None, 3, tiers=["OTC"]) == ([], 0)
    assert [each.findings for each in verify(store, filled.archive, slices)] == [[]]
    store.engine.dispose()


def test_a_later_week_that_was_not_refreshed_is_told_from_a_changed_row(
    sqlite_warehouse: Warehouse, tmp_path: Path
):
    source, archive = tmp_path / "source", Archive(str(tmp_path / "archive"))
    write(source, "week_2025-05-02_a.csv", ("AAA", 100, "2025-05-19"))
    write(source, "week_2025-05-09_a.csv", ("AAA", 7, "2025-05-27"))
    run(sqlite_warehouse, source, tmp_path / "archive", [FIRST, SECOND])
    write(source, "week_2025-05-02_b.csv", ("AAA", 110, "2025-06-03"))
    index = FileSource(str(source)).index(TODAY, ATS)
    ingest(sqlite_warehouse, archive, index, FIRST, RUN, TODAY)
    for table in output_tables():
        derive(sqlite_warehouse, table.name, FIRST, RUN)
    first, second = verify(sqlite_warehouse, archive, [FIRST, SECOND])
    assert first.findings == []
    assert {each.table for each in second.findings} == {"rolling_6w", "research_snapshot"}
    assert {each.cause for each in second.findings} == {findings.OTHER_INPUT}


def test_a_second_run_leaves_every_fingerprint(filled: Filled):
    before = fingerprints_of(filled.store, [FIRST, SECOND])
    run(filled.store, filled.folder / "source", filled.folder / "archive", [FIRST, SECOND])
    assert fingerprints_of(filled.store, [FIRST, SECOND]) == before
    assert before[str(FIRST)].keys() == {"raw", "rejects", *(t.name for t in output_tables())}
    assert before[str(FIRST)]["raw"].keys() == {"1", "2"}


def derived(prints: dict[str, dict]) -> dict[str, dict]:
    return {name: parts for name, parts in prints.items() if name not in ("raw", "rejects")}


ROWS = [(f"S{n}", n * 10 + 0.5, "2025-05-19") for n in range(1, 7)]


@given(st.permutations(ROWS), st.integers(1, 5))
@settings(
    max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_neither_the_order_of_lines_nor_how_they_are_split_shows_in_derived_tables(
    tmp_path_factory: pytest.TempPathFactory, lines: list, at: int
):
    """Split files are merged into a second revision, of which number and day are its own."""
    found = []
    for files in ([ROWS], [lines], [lines[:at], lines[at:]]):
        folder = tmp_path_factory.mktemp("split")
        for number, rows in enumerate(files):
            write(folder / "source", f"week_2025-05-02_{number}.csv", *rows)
        store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
        merge = Treatment(RevisionPolicy.MERGE)
        run(store, folder / "source", folder / "archive", [FIRST], treatment=merge)
        found.append(derived_rows(store))
        if len(files) == 1:
            found[-1] |= {"manifest": derived(fingerprints_of(store, [FIRST])[str(FIRST)])}
        store.engine.dispose()
    assert found[1] == found[0]
    assert found[2] == {name: prints for name, prints in found[0].items() if name != "manifest"}


def derived_rows(store: Warehouse) -> dict[str, dict]:
    """Return the fingerprints of derived rows as if all were of one revision and one day."""
    names = [table.name for table in output_tables() if table.name != "research_snapshot"]
    with store.read() as reader:
        frames = {name: reader.frame(name, FIRST) for name in names}
    alike = {"source_revision": 1, "as_of_date": TODAY}
    return {
        name: fingerprints(table_named(name), frame.assign(**alike))
        for name, frame in frames.items()
    }
