"""A slice is written whole or not at all, and reads back as it was."""

import threading
from datetime import date

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, week_ending_of
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

WEEK = WeekKey(Tier.OTC, date(2025, 12, 26))
RUN = RunIds("run", "backfill")
FRACTIONS_END = 2**33 * MILLIONTHS
"""From here on SQLite's doubles lie more than a millionth of a share apart."""
LINEAGE = {
    "calc_name": "venue_volume",
    "calc_version": "v1",
    "as_of_date": date(2026, 1, 26),
    "source_revision": 1,
}


def rows(*volumes: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": [f"S{n}" for n in range(len(volumes))],
            "mpid": "VENU",
            "share_volume": list(volumes),
            "trade_count": 1,
            "notional": [None if n % 2 else v for n, v in enumerate(volumes)],
            "avg_trade_size": [None if n % 2 else v / MILLIONTHS for n, v in enumerate(volumes)],
            "record_hash": [bytes([n % 256] * 16) for n in range(len(volumes))],
        }
    ).astype({"avg_trade_size": "float64", "share_volume": "int64", "notional": "Int64"})


def write(warehouse: Warehouse, frame: pd.DataFrame, week: WeekKey = WEEK) -> None:
    with warehouse.write(week, RUN) as writer:
        writer.replace("venue_volume", frame, LINEAGE)


def read(warehouse: Warehouse, week: WeekKey = WEEK) -> pd.DataFrame:
    with warehouse.read() as reader:
        return reader.frame("venue_volume", week, list(rows(1).columns))


def test_rows_read_back_as_they_were_written(warehouse: Warehouse):
    frame = rows(0, 5 * MILLIONTHS, 17_000_001, 1, 9_000_000_000 * MILLIONTHS)
    write(warehouse, frame)
    pd.testing.assert_frame_equal(read(warehouse), frame, check_dtype=False)


@example([FRACTIONS_END - 1, FRACTIONS_END - 999_999, FRACTIONS_END, 10**18])
@given(
    st.lists(
        st.integers(0, FRACTIONS_END - 1) | st.integers(0, 10**12).map(lambda n: n * 10**6),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_quantity_survives_to_the_last_decimal(warehouse: Warehouse, volumes: list[int]):
    write(warehouse, rows(*volumes))
    assert sorted(read(warehouse)["share_volume"]) == sorted(volumes)


@given(st.lists(st.none() | st.integers(0, FRACTIONS_END - 1), min_size=1, max_size=20))
@example([None])
@example([None, FRACTIONS_END - 1, FRACTIONS_END - 999_999, 10**18, 0])
@example([FRACTIONS_END - 1, 10**18])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_amount_survives_to_the_last_decimal_and_none_stays_none(
    warehouse: Warehouse, amounts: list[int | None]
):
    frame = rows(*range(len(amounts))).assign(notional=pd.array(amounts, dtype="Int64"))
    write(warehouse, frame)
    found = read(warehouse).set_index("symbol")["notional"]
    kept = [None if pd.isna(found[symbol]) else int(found[symbol]) for symbol in frame["symbol"]]
    assert kept == amounts


def test_whole_quantities_are_whole_numbers_in_sql(warehouse: Warehouse):
    write(warehouse, rows(1_335_995_901 * MILLIONTHS))
    with warehouse.engine.connect() as connection:
        total = connection.exec_driver_sql(
            "SELECT sum(share_volume) FROM venue_volume"
        ).scalar_one()
    assert str(total) == "1335995901"


@pytest.mark.parametrize(
    "symbol", ["BRK.B", "ABR$D", "ACMp", "O'X", 'Q"T', "a,b", "\\.", "é", "NULL"]
)
def test_no_symbol_is_changed(warehouse: Warehouse, symbol: str):
    write(warehouse, rows(1).assign(symbol=symbol))
    assert read(warehouse)["symbol"].tolist() == [symbol]


def test_the_columns_of_no_rows_have_the_types_of_others(warehouse: Warehouse):
    names = ["symbol", "share_volume", "trade_count", "avg_trade_size", "record_hash"]
    types = read(warehouse)[names].dtypes
    write(warehouse, rows(1, 17_000_001))
    pd.testing.assert_series_equal(types, read(warehouse)[names].dtypes)


def test_a_row_without_its_hash_is_refused(warehouse: Warehouse):
    with pytest.raises(Exception, match=r"(?i)not.null.*record_hash|record_hash.*not.null"):
        write(warehouse, rows(1, 2).assign(record_hash=[bytes(16), None]))
    assert read(warehouse).empty


def test_a_second_write_replaces_the_first(warehouse: Warehouse):
    write(warehouse, rows(1, 2, 3))
    write(warehouse, rows(4))
    assert read(warehouse)["share_volume"].tolist() == [4]


def test_an_error_leaves_the_slice_as_it_was(warehouse: Warehouse):
    write(warehouse, rows(1, 2))

    def fail_half_way() -> None:
        with warehouse.write(WEEK, RUN) as writer:
            writer.replace("venue_volume", rows(9), LINEAGE)
            raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError, match="the power fails"):
        fail_half_way()
    assert read(warehouse)["share_volume"].tolist() == [1, 2]


def test_a_duplicate_key_is_refused_whole(warehouse: Warehouse):
    write(warehouse, rows(1, 2))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        write(warehouse, pd.concat([rows(7), rows(8)]))
    assert read(warehouse)["share_volume"].tolist() == [1, 2]


def test_a_full_disk_is_an_error_and_loses_nothing(sqlite_warehouse: Warehouse):
    write(sqlite_warehouse, rows(1, 2))

    def limit_size(connection: sa.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

    sa.event.listen(sqlite_warehouse.engine, "begin", limit_size)
    with pytest.raises(Exception, match="disk is full"):
        write(sqlite_warehouse, rows(*range(50_000)))
    sa.event.remove(sqlite_warehouse.engine, "begin", limit_size)
    assert read(sqlite_warehouse)["share_volume"].tolist() == [1, 2]


def test_a_lost_connection_is_an_error_that_names_the_store_and_no_password(postgres_url: str):
    url = sa.make_url(postgres_url).set(password="s3sam3").render_as_string(hide_password=False)
    store = Warehouse(url)
    write(store, rows(1, 2))

    def lose_it_half_way() -> None:
        with store.write(WEEK, RUN) as writer:
            writer.replace("venue_volume", rows(9), LINEAGE)
            own = writer.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with sa.create_engine(url).connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
            writer.replace("venue_volume", rows(10), LINEAGE)

    with pytest.raises(StoreError, match=r"postgres:\*\*\*@.*run the same again") as error:
        lose_it_half_way()
    assert "s3sam3" not in str(error.value)
    assert read(store)["share_volume"].tolist() == [1, 2]
    store.engine.dispose()


def test_other_slices_are_not_touched(warehouse: Warehouse):
    neighbours = [WEEK.shifted(-1), WEEK.shifted(1), WeekKey(Tier.NMS_TIER_1, WEEK.week_ending)]
    for week in neighbours:
        write(warehouse, rows(7), week)
    write(warehouse, rows(1))
    assert all(read(warehouse, week)["share_volume"].tolist() == [7] for week in neighbours)


def test_writers_of_one_slice_queue(warehouse: Warehouse):
    """Twenty read-and-write turns at once lose none of their additions."""
    write(warehouse, rows(0))

    def add_one() -> None:
        with warehouse.write(WEEK, RUN) as writer:
            before = writer.frame("venue_volume", WEEK, ["share_volume"])["share_volume"]
            writer.replace("venue_volume", rows(int(before.iloc[0]) + 1), LINEAGE)

    threads = [threading.Thread(target=add_one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(warehouse)["share_volume"].tolist() == [20]


def test_a_column_without_a_value_is_named(warehouse: Warehouse):
    with pytest.raises(ValueError, match="venue_volume: no value for trade_count"):
        write(warehouse, rows(1).drop(columns="trade_count"))


def test_every_row_says_who_wrote_it(warehouse: Warehouse):
    write(warehouse, rows(1))
    write(warehouse, rows(1), WEEK.shifted(1))
    with warehouse.read() as reader:
        first = reader.records("venue_volume", WEEK)[0]
        second = reader.records("venue_volume", WEEK.shifted(1))[0]
    assert (first["execution_id"], first["correlation_id"]) == ("run", "backfill")
    assert first["batch_id"] != second["batch_id"]
    assert first["computed_at"].year >= 2025


def test_a_year_gets_its_partition_when_it_comes(postgres_url: str):
    store = Warehouse(postgres_url)
    for year in (2014, 2025, 2031):
        write(store, rows(year), WeekKey(Tier.OTC, week_ending_of(date(year, 6, 15))))
    with store.engine.connect() as connection:
        names = set(sa.inspect(connection).get_table_names())
    assert {f"venue_volume_rows_y{year}" for year in (2014, 2025, 2031)} <= names
    store.engine.dispose()


def test_an_empty_frame_empties_the_slice(warehouse: Warehouse):
    write(warehouse, rows(1))
    write(warehouse, rows())
    assert read(warehouse).empty
