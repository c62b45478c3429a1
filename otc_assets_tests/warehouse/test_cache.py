"""What this process has written need not be read again, and never hides what the store holds."""

import pandas as pd
import pytest

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse import store
from otc_assets.warehouse.store import RunIds, Warehouse
from otc_assets_tests.pipeline import TODAY

WEEK = WeekKey(Tier.OTC, pd.Timestamp("2025-05-09").date())
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
    select = store.select_frame

    def watched(connection, table, *rest, **options):
        seen.append(table.name)
        return select(connection, table, *rest, **options)

    monkeypatch.setattr(store, "select_frame", watched)
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


def test_the_oldest_frames_make_room(warehouse: Warehouse, monkeypatch):
    from otc_assets.warehouse import cache

    seen = reads(monkeypatch)
    monkeypatch.setattr(cache, "MAX_BYTES", 1)
    write(warehouse, rows(100))
    assert (shares(warehouse), seen) == ([100], ["venue_volume_rows"])


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
