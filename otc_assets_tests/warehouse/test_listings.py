"""What FINRA listed is remembered by the store, for both datasets, and without a needless write."""

from datetime import date

import pytest
import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS
from otc_assets.domain.offers import UNKNOWN, Offers
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse import impatient
from otc_assets.warehouse.listings import offers_of, remember_listing
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.pipeline import RUN

WEEK = WeekKey(Tier.OTC, date(2025, 5, 30))
NEWEST = [WEEK, WeekKey(Tier.NMS_TIER_1, WEEK.week_ending), WEEK.shifted(1)]
OLDER = [WEEK.shifted(-3), WEEK]


def known(warehouse: Warehouse) -> list[Offers]:
    with warehouse.engine.connect() as connection:
        return [offers_of(connection, dataset) for dataset in DATASETS]


def test_a_listing_is_known_of_both_datasets_until_a_newer_one_comes(warehouse: Warehouse):
    assert known(warehouse) == [UNKNOWN] * 2
    remember_listing(warehouse.engine, ATS.set_name, NEWEST)
    assert known(warehouse) == [Offers(frozenset(NEWEST), None)] * 2
    remember_listing(warehouse.engine, NON_ATS.historic_set, OLDER)
    remember_listing(warehouse.engine, ATS.set_name, NEWEST[1:])
    assert known(warehouse) == [Offers(frozenset(NEWEST[1:]), frozenset(OLDER))] * 2


def test_the_same_listing_is_written_once_a_day(warehouse: Warehouse):
    written = []

    def told(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        written.extend([statement] * statement.startswith("INSERT"))

    sa.event.listen(warehouse.engine, "before_cursor_execute", told)
    for _ in range(3):
        remember_listing(warehouse.engine, ATS.set_name, reversed(NEWEST))
    assert len(written) == 1


def test_nobody_waits_for_another_writer(
    sqlite_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(impatient.IMPATIENT, "sqlite", "PRAGMA busy_timeout = 10")
    with sqlite_warehouse.write(WEEK, RUN):
        remember_listing(sqlite_warehouse.engine, ATS.set_name, NEWEST)
    assert known(sqlite_warehouse) == [UNKNOWN] * 2
