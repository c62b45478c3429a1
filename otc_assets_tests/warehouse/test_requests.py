"""Requests to FINRA are counted in the store, by all processes together, and cost a run nothing."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from otc_assets.domain.months import after, this_month
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse import impatient, requests
from otc_assets.warehouse.requests import RequestLog
from otc_assets.warehouse.schema import REQUEST_COUNTS
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.pipeline import RUN, weeks

(WEEK,) = weeks([Tier.OTC], "2025-05-30", "2025-05-30")


def stored(warehouse: Warehouse) -> dict[tuple[str, str], tuple[int, float]]:
    c = REQUEST_COUNTS.c
    with warehouse.engine.connect() as connection:
        rows = connection.execute(sa.select(c.outcome, c.le, c.requests, c.seconds)).all()
    return {(outcome, le): (count, round(seconds, 6)) for outcome, le, count, seconds in rows}


def test_each_request_is_counted_in_the_range_of_its_seconds(warehouse: Warehouse):
    log = RequestLog(warehouse)
    for outcome, seconds in (("ok", 0.1), ("ok", 0.09), ("ok", 0.11), ("503", 61), ("network", 60)):
        log.add(outcome, seconds)
    log.flush()
    assert stored(warehouse) == {
        ("ok", "0.1"): (2, 0.19),
        ("ok", "0.5"): (1, 0.11),
        ("503", "+Inf"): (1, 61),
        ("network", "60.0"): (1, 60),
    }


def test_the_counts_of_several_processes_add_up(warehouse: Warehouse):
    def count(_: int) -> None:
        log = RequestLog(warehouse)
        for _ in range(5):
            log.add("ok", 0.25)
            log.flush()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert stored(warehouse) == {("ok", "0.5"): (20, 5.0)}


def test_a_flush_does_not_wait_for_a_writer_and_loses_nothing(
    sqlite_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(impatient.IMPATIENT, "sqlite", "PRAGMA busy_timeout = 10")
    log = RequestLog(sqlite_warehouse)
    log.add("ok", 0.2)
    with sqlite_warehouse.write(WEEK, RUN):
        log.flush()
        log.add("429", 0.2)
    assert stored(sqlite_warehouse) == {}
    log.flush()
    log.flush()
    assert stored(sqlite_warehouse) == {("ok", "0.5"): (1, 0.2), ("429", "0.5"): (1, 0.2)}


def test_who_has_the_connection_next_is_as_patient_as_ever(sqlite_warehouse: Warehouse):
    log = RequestLog(sqlite_warehouse)
    log.add("ok", 0.2)
    log.flush()
    with sqlite_warehouse.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 300_000


def test_a_long_run_stores_what_it_has_counted_now_and_then(
    sqlite_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    log = RequestLog(sqlite_warehouse)
    log.add("ok", 0.2)
    assert stored(sqlite_warehouse) == {}
    monkeypatch.setattr(requests, "FLUSH_SECONDS", 0)
    log.add("ok", 0.2)
    assert Counter({key: count for key, (count, _) in stored(sqlite_warehouse).items()}) == {
        ("ok", "0.5"): 2
    }


def test_the_bytes_of_a_month_are_those_that_all_processes_have_received(warehouse: Warehouse):
    log, another = RequestLog(warehouse), RequestLog(warehouse)
    log.add("ok", 0.2, 3_000)
    another.add("ok", 0.2, 500)
    assert (log.received_this_month(), another.received_this_month()) == (3_000, 500)
    another.flush()
    log.flush()
    assert log.received_this_month() == another.received_this_month() == 3_500
    log.add("504", 2, 40)
    assert (log.received_this_month(), another.received_this_month()) == (3_540, 3_500)


def test_the_bytes_of_an_earlier_month_do_not_count(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    log = RequestLog(warehouse)
    log.add("ok", 0.2, 3_000)
    log.flush()
    monkeypatch.setattr(requests, "this_month", lambda: after(this_month()))
    assert log.received_this_month() == 0
