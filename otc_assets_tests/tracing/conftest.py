"""Two traced runs, done once for the tests that only look at what was sent."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from otc_assets.operations import derive
from otc_assets.tracing import ENDPOINTS
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.platform.station import Station
from otc_assets_tests.tracing.receiver import Receiver, receiving

ENDPOINT = ENDPOINTS[1]
FILE = "finra_otc_weekly_otc_20250616.csv"
WEEK, PARTITION = "2025-05-16", "OTC|2025-05-16"
REFUSED = "OTC|2025-05-23"


@dataclass
class Traced:
    """A run, and what it has sent."""

    station: Station
    result: dg.ExecuteInProcessResult
    sent: Receiver

    @property
    def run(self) -> dg.DagsterRun:
        run = self.station.instance.get_run_by_id(self.result.run_id)
        assert run
        return run


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """One slice through raw and two tables, with their checks."""
    with receiving() as (url, receiver), pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, url)
        station = Station(tmp_path_factory.mktemp("traced"))
        result = station.run(["raw", "venue_volume"], partition_key=PARTITION)
        yield Traced(station, result, receiver)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A good slice and one whose file is cut, and a blocking rule that does not hold."""
    folder = tmp_path_factory.mktemp("failing")
    source = folder / "source"
    source.mkdir()
    shutil.copy(FIXTURES / FILE, source)
    cut = (FIXTURES / "finra_otc_weekly_otc_20250623.csv").read_bytes()[:-30]
    (source / "finra_otc_weekly_otc_20250623.csv").write_bytes(cut)
    with receiving() as (url, receiver), pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, url)
        patch.setattr(derive, "broken_of", _first_rule_is_broken)
        station = Station(folder, source)
        tags = {
            "dagster/asset_partition_range_start": PARTITION,
            "dagster/asset_partition_range_end": REFUSED,
            "dagster/backfill": "a-backfill",
        }
        result = station.run(["raw", "venue_volume"], tags=tags)
        yield Traced(station, result, receiver)


def _first_rule_is_broken(rules: object, verdicts: list[object]) -> list[object]:
    return verdicts[:1]
