"""A store in which all kinds of things have happened, and what a scrape of it says."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.monitoring import standing
from otc_assets.monitoring.exporter import registry
from otc_assets.settings import DEFAULTS
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES, empty_store

TODAY = date(2025, 7, 20)
"""Two weeks of Tier 1 are overdue then, or more."""
SLICES = [
    *pipeline.weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-30"),  # one of them is corrected
    *pipeline.weeks([Tier.NMS_TIER_2], "2025-05-30", "2025-05-30"),  # with repeated lines
    *pipeline.weeks([Tier.OTC], "2025-06-06", "2025-06-06"),  # with refused lines
]
BAD = "finra_otc_weekly_tier1_20250616.csv"
"""The file of a week of these, which is cut off here."""


@dataclass(frozen=True)
class Home:
    """A store, its archive, and the files that it was filled from."""

    url: str
    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive"


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def busy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """A home of both datasets, with a correction, repeats, refused lines and a refused file."""
    folder = tmp_path_factory.mktemp("busy")
    with empty_store(request, request.param, folder) as url:
        fill(Home(url, folder))
        yield Home(url, folder)


def fill(home: Home) -> None:
    """Take the slices in, and compute every table, which is judged by it."""
    source = home.folder / "source"
    shutil.copytree(FIXTURES, source)
    (source / BAD).write_bytes((source / BAD).read_bytes()[:-7])
    for dataset in DATASETS:
        warehouse = Warehouse(home.url, dataset)
        pipeline.run(warehouse, source, home.archive, SLICES)
        warehouse.close()


@contextmanager
def only(**settings: str) -> Iterator[pytest.MonkeyPatch]:
    """Give the process these settings of ours alone, beside the suite's home, and a day."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*DEFAULTS, "DAGSTER_HOME", "DAGSTER_POSTGRES_URL"):
            if name != "OTC_HOME":
                patch.delenv(name, raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(standing, "today", lambda: TODAY)
        yield patch


@pytest.fixture
def settings() -> Iterator[pytest.MonkeyPatch]:
    """The environment, without any setting of ours, and the day of the tests."""
    with only() as patch:
        yield patch


@pytest.fixture(scope="package")
def scraped(busy: Home) -> str:
    """What a scrape of the busy home says."""
    with only(OTC_DATABASE_URL=busy.url, OTC_ARCHIVE_URL=str(busy.archive)):
        return text_of(registry())


def text_of(exporter: CollectorRegistry) -> str:
    """Return what Prometheus would read."""
    return generate_latest(exporter).decode()
