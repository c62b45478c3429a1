"""Prometheus and Alertmanager themselves accept what `deploy/` has, and an alert reaches people.

They run where both programs are installed. `make test-monitoring` fails where they are not.
"""

import json
import math
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from prometheus_client import start_http_server

from deploy.grafana.boards import BOARDS, Shown, shown
from deploy.prometheus.monitor import ALERTMANAGER, INSTALL
from deploy.prometheus.rules import FOLDER
from deploy.prometheus.server import (
    Prometheus,
    alertmanager_server,
    free_port,
    prometheus_server,
    wait_for,
)
from otc_assets.domain.tiers import Tier
from otc_assets.monitoring import exporter, standing
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.monitoring import scene
from otc_assets_tests.monitoring.configuration import alertmanager_config, prometheus_config

PROGRAMS = ("prometheus", "promtool", ALERTMANAGER, "amtool")
MISSING = [name for name in PROGRAMS if not shutil.which(name)]
pytestmark = pytest.mark.skipif(
    bool(MISSING) and not os.environ.get("OTC_TEST_MONITORING"), reason=INSTALL
)

DUE, FOUR_DAYS_LATE, EIGHT_DAYS_LATE = date(2025, 6, 16), date(2025, 6, 20), date(2025, 6, 24)
"""The week ending 2025-05-30 of Tier 1 was due on the first: 21 days after its Monday."""
HELD_BACK = "2025-05-30"
SLICES = {"dataset": "ats", "tier": "NMS Tier 1"}


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


class Sink:
    """A webhook that remembers what Alertmanager told it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        told = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told_of(self, **labels: str) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the messages of a group: its state, and each alert's severity and state."""
        return [
            (
                message["status"],
                sorted((a["labels"]["severity"], a["status"]) for a in message["alerts"]),
            )
            for message in list(self.messages)
            if labels.items() <= message["groupLabels"].items()
        ]


class Watch:
    """A Prometheus and an Alertmanager that watch a home, whose exporter lives on a day of ours."""

    def __init__(self, home: Path, prometheus: Prometheus, sink: Sink) -> None:
        self.home, self.prometheus, self.sink = home, prometheus, sink
        self.day = DUE


@pytest.fixture(scope="module")
def home(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has everything that is watched; the tests of this file alone may change it."""
    folder = tmp_path_factory.mktemp("watched") / "home"
    shutil.copytree(filled_home, folder)
    # Of these, one has lines that are refused.
    scene.take_in(folder, pipeline.weeks([Tier.OTC], HELD_BACK, "2025-06-06"))
    scene.fail_to_take_in(folder)
    scene.back_up(folder)
    scene.ask_finra(folder)
    return folder


@pytest.fixture(scope="module")
def watch(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    folder, sink, port = tmp_path_factory.mktemp("prometheus"), Sink(), free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(REPOSITORY))
        with dg.DagsterInstance.get() as instance:
            scene.run_dagster(instance)
        server, thread = start_http_server(0, "127.0.0.1", exporter.registry())
        config = prometheus_config(folder, server.server_port, port)
        with (
            alertmanager_server(alertmanager_config(folder, sink.server.server_port), port),
            prometheus_server(config) as prometheus,
        ):
            watch = Watch(home, prometheus, sink)
            patch.setattr(standing, "today", lambda: watch.day)
            yield watch
        server.shutdown()
        thread.join()
        sink.server.shutdown()


@pytest.fixture(scope="module")
def scraped(watch: Watch) -> Prometheus:
    """The Prometheus, once it has seen FINRA's requests grow between two scrapes."""
    ask = watch.prometheus.ask
    wait_for("a first scrape", lambda: ask("otc_finra_request_duration_seconds_count"))
    scene.ask_finra(watch.home)
    grown = "sum(increase(otc_finra_request_duration_seconds_count[10m])) > 0"
    wait_for("a second scrape", lambda: ask(grown))
    wait_for("the rules", lambda: ask("ALERTS"))
    return watch.prometheus


QUERIES = [(board, query) for board in BOARDS for query in shown(board)]


@pytest.mark.parametrize(
    ("board", "query"), QUERIES, ids=[f"{board}: {query.panel}" for board, query in QUERIES]
)
def test_a_panel_finds_values(board: str, query: Shown, scraped: Prometheus):
    found = scraped.ask(query.expression)
    assert any(math.isfinite(float(series["value"][1])) for series in found), query.expression


def test_a_dagster_job_keeps_its_name_as_label(scraped: Prometheus):
    (series,) = scraped.ask('otc_job_last_success_timestamp_seconds{job="ats_corrections"}')
    assert series["metric"]["job"] == "ats_corrections"


def test_a_late_week_is_told_once_more_when_it_is_critical_and_once_when_it_came(watch: Watch):
    warning, critical = ("warning", "firing"), ("critical", "firing")
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def is_told_next(state: str, *alerts: tuple[str, str]) -> None:
        told.append((state, list(alerts)))
        wait_for(
            f"message {len(told)}",
            lambda: len(watch.sink.told_of(alertname="OtcWeekMissing", **SLICES)) >= len(told),
        )
        assert watch.sink.told_of(alertname="OtcWeekMissing", **SLICES) == told

    watch.day = FOUR_DAYS_LATE
    is_told_next("firing", warning)
    watch.day = EIGHT_DAYS_LATE
    is_told_next("firing", critical)
    scene.take_in(watch.home, pipeline.weeks([Tier.NMS_TIER_1], HELD_BACK, "2025-06-06"))
    is_told_next("resolved", ("critical", "resolved"), ("warning", "resolved"))
    time.sleep(2)  # two of Alertmanager's intervals, in which it would repeat itself
    assert watch.sink.told_of(alertname="OtcWeekMissing", **SLICES) == told
    assert watch.sink.told_of(alertname="OtcIngestionLagging", **SLICES) == []
