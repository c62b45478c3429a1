"""Prometheus and Alertmanager themselves accept what `deploy/` has, and every panel finds values.

`make test-monitoring` runs this, and fails where the programs are not installed.
"""

import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from prometheus_client import start_http_server

from deploy.grafana.boards import BOARDS, Shown, shown
from deploy.prometheus.monitor import ALERTMANAGER, INSTALL
from deploy.prometheus.rules import FOLDER
from deploy.prometheus.server import (
    Prometheus,
    free_port,
    prometheus_server,
    wait_for,
)
from otc_assets.domain.tiers import Tier
from otc_assets.monitoring import exporter
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.monitoring import scene
from otc_assets_tests.monitoring.configuration import prometheus_config

PROGRAMS = ("prometheus", "promtool", ALERTMANAGER, "amtool")
MISSING = [name for name in PROGRAMS if not shutil.which(name)]
pytestmark = pytest.mark.skipif(
    not os.environ.get("OTC_TEST_MONITORING"),
    reason=f"make test-monitoring, which needs: {INSTALL}",
)


@pytest.fixture(scope="module", autouse=True)
def _programs_are_installed() -> None:
    assert not MISSING, INSTALL


@pytest.mark.parametrize(
    "command",
    [
        "promtool check config prometheus.yml",
        "promtool check rules rules.yml",
        "promtool test rules rules_test.yml rules_weekend_test.yml",
        "amtool check-config alertmanager.yml",
    ],
)
def test_the_programs_themselves_accept_what_is_deployed(command: str):
    done = subprocess.run(command.split(), cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has everything that is watched; the tests of this file alone may change it."""
    folder = tmp_path_factory.mktemp("watched") / "home"
    shutil.copytree(filled_home, folder)
    # Of these, one has lines that are refused.
    scene.take_in(folder, pipeline.weeks([Tier.OTC], "2025-05-30", "2025-06-06"))
    scene.fail_to_take_in(folder)
    scene.back_up(folder)
    scene.ask_finra(folder)
    return folder


@pytest.fixture(scope="module")
def scraped(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen FINRA's requests grow between two scrapes of the home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(REPOSITORY))
        with dg.DagsterInstance.get() as instance:
            scene.run_dagster(instance)
        server, thread = start_http_server(0, "127.0.0.1", exporter.registry())
        folder = tmp_path_factory.mktemp("prometheus")
        config = prometheus_config(folder, server.server_port, free_port())
        with prometheus_server(config) as prometheus:
            _wait_for_growth(prometheus, home)
            yield prometheus
        server.shutdown()
        thread.join()


def _wait_for_growth(prometheus: Prometheus, home: Path) -> None:
    ask = prometheus.ask
    wait_for("a first scrape", lambda: ask("otc_finra_request_duration_seconds_count"))
    scene.ask_finra(home)
    grown = "sum(increase(otc_finra_request_duration_seconds_count[10m])) > 0"
    wait_for("a second scrape", lambda: ask(grown))
    wait_for("the rules", lambda: ask("ALERTS"))


def test_every_panel_finds_values(scraped: Prometheus):
    def is_empty(query: Shown) -> bool:
        found = scraped.ask(query.expression)
        return not any(math.isfinite(float(series["value"][1])) for series in found)

    queries = [query for board in BOARDS for query in shown(board)]
    assert [query for query in queries if is_empty(query)] == []
