"""A store, a folder of files, a server like FINRA's and a daemon, of its own for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from tenacity import wait_none

from otc_assets.assets import factory, platform
from otc_assets.automation import history, incidents, jobs, sensors
from otc_assets.calculations import output_tables
from otc_assets.checks import watch
from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets.domain.events import slice_of_id
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.settings import DEFAULTS
from otc_assets.sources import finra_client
from otc_assets.warehouse.events import select_events
from otc_assets.warehouse.schema import EVENT_LOG
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.automation.daemon import Daemon, daemon
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import TIERS, Part, World
from otc_assets_tests.pipeline import RUN

TODAY = date(2025, 8, 4)
"""What tests begin with: FINRA has published all fixture weeks."""


class Place:
    """Where the platform of a test has its rows and its files, and what day it is there."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Settle in ``folder``; ``patch`` undoes it."""
        self.source = folder / "source"
        self.database_url = f"sqlite:///{folder / 'otc.db'}"
        self._patch = patch
        self.source.mkdir()
        for name in DEFAULTS:
            self.set(name, "")
        self.set("OTC_HOME", folder)
        self.today(TODAY)

    def set(self, name: str, value: object) -> None:
        """Set one of the platform's settings."""
        self._patch.setenv(name, str(value))

    def today(self, day: date) -> None:
        """Let it be ``day``."""
        for module in (platform, factory, sensors, jobs, watch, incidents, history):
            self._patch.setattr(module, "today", lambda: day)

    def ask(self, server: FinraServer) -> None:
        """Take ``server`` for FINRA, and wait for nothing."""
        no_limit = SimpleNamespace(wait=lambda: None)
        self._patch.setattr(finra_client, "RateLimit", lambda requests_per_second: no_limit)
        self._patch.setattr(finra_client, "wait_exponential_jitter", lambda *_, **__: wait_none())
        self.set("OTC_SOURCE", "finra")
        self.set("OTC_SOURCE_URL", server.url)

    def store(self, dataset: Dataset = ATS) -> Warehouse:
        """Return the tables of a dataset."""
        return platform.Platform().warehouse(dataset)

    def take_in(self, *slices: str, dataset: Dataset = ATS) -> None:
        """Take slices of the source into raw, without Dagster."""
        there = platform.Platform()
        index, archive = there.source_index(dataset), there.archive(dataset)
        for each in slices:
            week = WeekKey.from_string(each)
            ingest(self.store(dataset), archive, index, week, RUN, platform.today())

    def load(self, *slices: str) -> None:
        """Take slices into raw, and compute all tables of them."""
        self.take_in(*slices)
        for table in output_tables():
            for each in slices:
                derive(self.store(), table.name, WeekKey.from_string(each), RUN)

    def revisions(self, dataset: Dataset = ATS) -> dict[str, int | None]:
        """Return the newest revision of each slice that the store knows of."""
        with self.store(dataset).read() as reader:
            return {str(week): each.source_revision for week, each in reader.slices().items()}

    def events(self, event_type: str) -> list[str]:
        """Return the slices to which something happened, in that order."""
        with self.store().engine.connect() as connection:
            events = select_events(connection, EVENT_LOG.c.event_type == event_type)
        return [str(slice_of_id(event.aggregate_id)[1]) for event in events]

    def dead(self) -> list[str]:
        """Return the slices in dead_letters."""
        with self.store().read() as reader:
            return [str(WeekKey(r["tier"], r["week_ending"])) for r in reader.dead_letters()]


@contextmanager
def place_in(folder: Path) -> Iterator[Place]:
    """Settle in a folder for a while."""
    with pytest.MonkeyPatch.context() as patch:
        yield Place(folder, patch)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty store, and an empty folder as its source."""
    with place_in(tmp_path) as settled:
        yield settled


@pytest.fixture
def dagster(place: Place) -> Iterator[Daemon]:
    """Dagster's daemon, which follows the ATS data."""
    with daemon() as started:
        yield started


@pytest.fixture
def follower(place: Place) -> Iterator[Daemon]:
    """Dagster's daemon, which follows all datasets."""
    with daemon(DATASETS) as started:
        yield started


@pytest.fixture
def finra(place: Place) -> Iterator[FinraServer]:
    """A server that has published nothing, as the source."""
    with FinraServer(World(symbols=0)) as server:
        place.ask(server)
        yield server


def part_of(week: WeekKey) -> Part:
    """What FINRA calls a slice."""
    identifiers = {name: identifier for identifier, name in TIERS.items()}
    return Part(week.monday, identifiers[week.tier])


def publish(server: FinraServer, *weeks: WeekKey) -> None:
    """Publish slices, each on its day."""
    for week in weeks:
        part = part_of(week)
        server.world.publish(part.monday, part.tier)
