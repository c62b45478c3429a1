"""What this process has written need not be read again, and never hides what the store holds."""

import io
import os
import tempfile
from collections.abc import Iterator
from datetime import date
from errno import ENOENT
from typing import Any

import pandas as pd
import pytest

from otc_assets.calculations import output_tables
from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import RAW, ColumnType
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse import cache
from otc_assets.warehouse import reader as slice_reader
from otc_assets.warehouse.reader import table_named
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import TODAY, content, run, weeks

WEEK = WeekKey(Tier.OTC, date(2025, 5, 9))
TWO_WEEKS = weeks([Tier.OTC], "2025-05-16", "2025-05-23")
HASHES = ("content_hash", "record_hash")
LINEAGE = {
    "calc_name": "venue_volume",
    "calc_version": "v1",
    "as_of_date": TODAY,
    "source_revision": 1,
}


def rows(shares: float, trades: int = 7) -> pd.DataFrame:
    millionths = round(shares * MILLIONTHS)
    return pd.DataFrame(
        {
            "symbol": pd.Series(["ABCD"], dtype="str"),
            "mpid": pd.Series(["PLUM"], dtype="str"),
            "share_volume": [millionths],
            "trade_count": [trades],
            "notional": pd.Series([pd.NA], dtype="Int64"),
            "avg_trade_size": [shares / trades],
            "record_hash": [b"0123456789abcdef"],
        }
    )


def write(warehouse: Warehouse, frame: pd.DataFrame) -> None:
    with warehouse.write(WEEK, RunIds("a-run", "a-run")) as writer:
        writer.replace("venue_volume", frame, LINEAGE)


def shares(warehouse: Warehouse, *, fresh: bool = False) -> list[int]:
    with warehouse.read() as reader:
        frame = reader.frame("venue_volume", WEEK, ["symbol", "share_volume"], fresh=fresh)
    return list(frame["share_volume"] // MILLIONTHS)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the tables of which rows are read from the database."""
    seen: list[str] = []
    select = slice_reader.select_frame

    def watched(connection, table, *rest, **options):
        seen.append(table.name)
        return select(connection, table, *rest, **options)

    monkeypatch.setattr(slice_reader, "select_frame", watched)
    return seen


def test_what_was_just_written_is_not_read_again(warehouse: Warehouse, monkeypatch):
    seen = reads(monkeypatch)
    write(warehouse, rows(100))
    assert (shares(warehouse), seen) == ([100], [])
    assert (shares(warehouse, fresh=True), seen) == ([100], ["venue_volume_rows"])


def test_the_write_of_another_process_is_seen(warehouse: Warehouse):
    write(warehouse, rows(100))
    write(Warehouse(warehouse.url), rows(200))
    assert shares(warehouse) == [200]


def test_a_write_that_is_undone_is_not_seen(warehouse: Warehouse):
    write(warehouse, rows(100))

    def interrupted() -> None:
        with warehouse.write(WEEK, RunIds("a-run", "a-run")) as writer:
            writer.replace("venue_volume", rows(300), LINEAGE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert shares(warehouse) == [100]


def test_a_quantity_that_sqlite_rounds_is_read_back(sqlite_warehouse: Warehouse, monkeypatch):
    """Another process would compute with what the store holds, and so must this one."""
    seen = reads(monkeypatch)
    write(sqlite_warehouse, rows(2**34 + 0.1))
    shares(sqlite_warehouse)
    assert seen == ["venue_volume_rows"]


def test_what_was_read_once_is_not_read_again(warehouse: Warehouse, monkeypatch):
    write(warehouse, rows(100))
    seen, other = reads(monkeypatch), Warehouse(warehouse.url)
    assert [shares(other), shares(other)] == [[100], [100]]
    assert seen == ["venue_volume_rows"]
    write(warehouse, rows(200))
    assert shares(other) == [200]


def test_what_falls_out_of_memory_comes_back_from_the_file(warehouse: Warehouse, monkeypatch):
    seen = reads(monkeypatch)
    monkeypatch.setattr(cache, "MAX_BYTES", 1)
    for written in (100, 200):
        write(warehouse, rows(written))
        assert [shares(warehouse), shares(warehouse)] == [[written], [written]]
    assert not seen
    write(Warehouse(warehouse.url), rows(300))
    assert (shares(warehouse), seen) == ([300], ["venue_volume_rows"])


def test_a_file_that_has_no_room_costs_only_time(warehouse: Warehouse, monkeypatch):
    seen = reads(monkeypatch)
    monkeypatch.setattr(cache, "MAX_BYTES", 1)
    monkeypatch.setattr(cache, "MAX_FILE_BYTES", 10)
    write(warehouse, rows(100))
    assert (shares(warehouse), seen) == ([100], ["venue_volume_rows"])


@pytest.mark.parametrize("fault", ["full", "nearly full", "no folder"])
def test_a_disk_without_room_costs_only_time(fault: str, warehouse: Warehouse, monkeypatch):
    """A file that takes nothing, or a part: neither is read as if it were a frame."""

    def faulty(**options: Any) -> Any:
        if fault == "no folder":
            raise FileNotFoundError(ENOENT, "No usable temporary directory found")
        return File(fault)

    class File(io.FileIO):
        def __init__(self, fault: str) -> None:
            super().__init__("/dev/full" if fault == "full" else os.memfd_create("small"), "w+")

        def write(self, data: Any) -> int:
            return super().write(data if fault == "full" else bytes(data)[:-1])

    seen = reads(monkeypatch)
    monkeypatch.setattr(cache, "MAX_BYTES", 1)
    monkeypatch.setattr(tempfile, "TemporaryFile", faulty)
    for written in (100, 200):
        write(warehouse, rows(written))
        assert shares(warehouse) == [written]
    assert seen == ["venue_volume_rows"] * 2


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Two weeks of the fixtures, in every table."""
    folder = tmp_path_factory.mktemp("computed")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, FIXTURES, folder / "archive", TWO_WEEKS)
    yield store
    store.engine.dispose()


def test_a_range_whose_frames_come_from_the_file_gives_the_same_rows(
    computed: Warehouse, sqlite_warehouse: Warehouse, tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, "MAX_BYTES", 0)
    seen = reads(monkeypatch)
    run(sqlite_warehouse, FIXTURES, tmp_path, TWO_WEEKS)
    assert not [name for name in seen if name.startswith(("raw", "venue_volume"))]
    assert content(sqlite_warehouse) == content(computed)


@pytest.mark.parametrize("name", [table.name for table in (RAW, *output_tables())])
def test_what_comes_back_from_the_file_is_what_was_kept(
    name: str, computed: Warehouse, monkeypatch
):
    """In all tables, with the types of all columns; days, which would change, are left out."""
    monkeypatch.setattr(cache, "MAX_BYTES", 0)
    frames, table, week = cache.FrameCache(), table_named(name), TWO_WEEKS[-1]
    with computed.read() as reader:
        whole = reader.frame(name, week, fresh=True)
    days = [c.name for c in table.columns if c.type in (ColumnType.DATE, ColumnType.TIMESTAMP)]
    kept = whole.drop(columns=[c for c in (*days, *HASHES) if c in whole])
    for column in (None, *(day for day in days if day in whole)):
        frame = kept if column is None else kept.assign(**{column: whole[column]})
        frames.keep((name, week, frozenset()), (str(column), len(frame)), frame)
        back = frames.get((name, week, frozenset()), (str(column), len(frame)))
        if column is None:
            assert back is not None
            pd.testing.assert_frame_equal(back, kept)
        else:
            assert back is None


def test_two_revisions_of_one_write_are_told_apart(warehouse: Warehouse):
    """A folder may hold a week and its correction, and both are taken in at once."""
    with warehouse.write(WEEK, RunIds("a-run", "a-run")) as writer:
        for revision in (1, 2):
            nothing = ("issue_name", "venue_name", "product_type", "firm_crd", "last_reported_date")
            own = {**dict.fromkeys(nothing), "line_number": 2, "content_hash": [b"x" * 16]}
            revised = rows(100 * revision).assign(**own)
            lineage = {"source_revision": revision, "source": "files"}
            lineage |= {"source_file": "a.csv", "source_sha256": "0" * 64}
            lineage |= {"publication_date": TODAY, "revision_date": TODAY}
            writer.replace("raw", revised, lineage, source_revision=revision)
    with warehouse.read() as reader:
        for revision in (1, 2):
            frame = reader.frame("raw", WEEK, ["share_volume"], source_revision=revision)
            assert list(frame["share_volume"]) == [100 * revision * MILLIONTHS]
