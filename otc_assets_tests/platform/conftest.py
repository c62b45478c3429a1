"""One range of slices, run once for all tests that only look at what it leaves."""

import pytest

from otc_assets_tests.platform.station import FIRST, LAST, Station


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """A range of four slices, done in one run."""
    station = Station(tmp_path_factory.mktemp("station"))
    assert station.run_range(FIRST, LAST).success
    return station
