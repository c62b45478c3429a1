"""Weeks taken in while everything goes wrong at random: the store is the truth all the same."""

from datetime import date, timedelta

import pytest

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, NON_ATS
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra import world as finra
from otc_assets_tests.finra.conftest import (
    TIERS,
    TODAY,
    index_of,
    most_in_a_second,
    named,
    quick,
    told,
)
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.truth import Truth, assert_equal
from otc_assets_tests.finra.world import Part, World
from otc_assets_tests.pipeline import RUN

FRIDAYS = [date(2025, 10, 10) + timedelta(weeks=n) for n in range(6)]
SLICES = [(ATS, WeekKey(tier, friday)) for friday in FRIDAYS for tier in Tier]
SLICES += [(NON_ATS, WeekKey(Tier.OTC, friday)) for friday in FRIDAYS[:3]]
KINDS = {ATS: finra.ATS, NON_ATS: finra.NON_ATS}
REFUSALS = (Fault.FORBIDDEN, Fault.BAD_REQUEST, Fault.EXPIRED)


def part_of(week: WeekKey) -> Part:
    return Part(week.monday, TIERS[week.tier])


@pytest.fixture
def server():
    """Six weeks of three tiers, in pages of 50 rows."""
    world = World(seed=11, symbols=35)
    for tier in TIERS.values():
        for friday in FRIDAYS:
            world.publish(friday - timedelta(days=4), tier)
    with FinraServer(world, max_limit=50) as running:
        running.retry_after_seconds = 0.1
        yield running


class Run:
    """A store, and what is taken into it from a server."""

    def __init__(self, server, folder, **settings):
        client = quick(server, attempts=10, timeout_seconds=1.5, **settings)
        self.truth = {dataset: Truth(server.world, kind) for dataset, kind in KINDS.items()}
        self.stores = {d: Warehouse(f"sqlite:///{folder / 'otc.db'}", d) for d in KINDS}
        self.archives = {d: Archive(str(folder / "archive"), d) for d in KINDS}
        self.indexes = {d: index_of(client, d) for d in KINDS}

    def take_in(self, slices):
        """Ingest each slice; return what became of it."""
        return {
            (d, week): ingest(self.stores[d], self.archives[d], self.indexes[d], week, RUN, TODAY)
            for d, week in slices
        }

    def raw(self, dataset, week):
        """What the store has of a slice, in the form of the truth."""
        columns = ["symbol", "mpid", "share_volume", "trade_count", "notional"]
        with self.stores[dataset].read() as reader:
            return sorted(reader.frame("raw", week, columns).itertuples(index=False, name=None))

    def dead_letters(self, dataset, week):
        with self.stores[dataset].read() as reader:
            return reader.records("dead_letters", week)

    def assert_whole_or_nothing(self, outcomes):
        """Each slice is the truth, or refused and not there at all."""
        for (dataset, week), outcome in outcomes.items():
            letters = self.dead_letters(dataset, week)
            if outcome.status is SliceStatus.LOADED:
                assert self.raw(dataset, week) == self.truth[dataset].raw(part_of(week))
                assert letters == []
            else:
                assert self.raw(dataset, week) == []
                assert bool(letters) == (outcome.status is SliceStatus.REFUSED)

    def assert_derived(self):
        """Every table of a tier, computed now, is the truth; raw is it of every slice."""
        mine = [(dataset, week) for dataset, week in SLICES if week.tier is Tier.OTC]
        for table in output_tables():
            for dataset, week in mine:
                assert derive(self.stores[dataset], table.name, week, RUN).written
        for dataset, week in mine:
            for name, truth in self.truth[dataset].tables(part_of(week)).items():
                with self.stores[dataset].read() as reader:
                    rows = reader.frame(name, week)
                if name == "concentration":
                    rows = rows[rows["calc_version"] == "v1"]
                key = {"venue_volume": ("symbol", "mpid"), "venue_share": "mpid"}
                assert_equal(rows, key.get(name, "symbol"), truth)


def healed(run, server, outcomes):
    """Take in, without faults, what was not loaded; return how many slices that were."""
    server.faults.stop()
    lost = [each for each, outcome in outcomes.items() if outcome.status is not SliceStatus.LOADED]
    again = run.take_in(lost)
    assert all(outcome.status is SliceStatus.LOADED for outcome in again.values())
    run.assert_whole_or_nothing(again)
    return len(lost)


def refusals(outcomes):
    return [o.reason for o in outcomes.values() if o.status is SliceStatus.REFUSED]


@pytest.mark.parametrize("seed", [2])
def test_whatever_goes_wrong_the_store_is_the_truth(server, unlimited, tmp_path, caplog, seed):
    run = Run(server, tmp_path)
    server.faults.at_random(0.13, seed)
    outcomes = run.take_in(SLICES)
    assert len(server.faults.served) > 10
    assert named(told(caplog, *refusals(outcomes))) == server.faults.counted()
    run.assert_whole_or_nothing(outcomes)
    healed(run, server, outcomes)
    run.assert_derived()


def test_slices_that_are_refused_are_kept_as_dead_letters_until_a_second_pass(
    server, unlimited, tmp_path, caplog
):
    run = Run(server, tmp_path)
    server.faults.at_random(0.4, seed=1, faults=REFUSALS)
    outcomes = run.take_in(SLICES)
    assert named(told(caplog, *refusals(outcomes))) == server.faults.counted()
    run.assert_whole_or_nothing(outcomes)
    assert healed(run, server, outcomes) == len(refusals(outcomes)) > 2


def test_no_request_is_over_the_rate_whatever_goes_wrong(server, own_bucket, tmp_path, caplog):
    run = Run(server, tmp_path, requests_per_second=20)
    server.faults.at_random(0.15, seed=5)
    outcomes = run.take_in(SLICES[:9])
    assert named(told(caplog, *refusals(outcomes))) == server.faults.counted()
    assert most_in_a_second(server) <= 20
    run.assert_whole_or_nothing(outcomes)
