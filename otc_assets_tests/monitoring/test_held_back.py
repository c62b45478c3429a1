"""A week that FINRA holds back: people learn of it once by each way, and once that it is over.

A stand-in for FINRA, the daemon, the exporter, Prometheus, Alertmanager, and two sinks: one that
Alertmanager tells, and one that apprise does. Only the clock is moved.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import start_http_server

from deploy.prometheus.monitor import INSTALL
from deploy.prometheus.server import (
    Prometheus,
    alertmanager_server,
    free_port,
    prometheus_server,
    wait_for,
)
from otc_assets.domain.weeks import WeekKey
from otc_assets.monitoring import exporter, standing
from otc_assets_tests.automation.conftest import Place, place_in, publish
from otc_assets_tests.automation.daemon import Daemon, daemon
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import World
from otc_assets_tests.monitoring.configuration import alertmanager_config, prometheus_config
from otc_assets_tests.sinks import HttpSink, http_sink

pytestmark = pytest.mark.skipif(
    not os.environ.get("OTC_TEST_MONITORING"),
    reason=f"make test-monitoring, which needs: {INSTALL}",
)

BEFORE, HELD_BACK, NEXT = (
    WeekKey.from_string(f"NMS Tier 1:{day}") for day in ("2025-05-23", "2025-05-30", "2025-06-06")
)
OTHER_TIERS = [WeekKey.from_string(f"{tier}:2025-05-23") for tier in ("NMS Tier 2", "OTC")]
DUE, FOUR_DAYS_LATE, EIGHT_DAYS_LATE = date(2025, 6, 16), date(2025, 6, 20), date(2025, 6, 24)
"""FINRA publishes Tier 1 on the Monday 21 days after the week's: the first of these."""
MINE = {"alertname": "OtcWeekMissing", "dataset": "ats", "tier": "NMS Tier 1"}


@dataclass
class Scene:
    """All that takes part."""

    place: Place
    finra: FinraServer
    dagster: Daemon
    prometheus: Prometheus
    webhook: HttpSink
    """Told by Alertmanager."""
    people: HttpSink
    """Told by apprise."""

    def watch_on(self, day: date) -> None:
        """Let it be a day, on which the daily watch runs, and the sensors look twice."""
        self.place.today(day)
        self.place._patch.setattr(standing, "today", lambda: day)
        self.dagster.do("ats_watch")
        self.look()

    def look(self) -> None:
        for _ in range(2):
            self.dagster.tick()

    def alerts(self) -> dict[str, str]:
        """Return the state of each severity of the alert, as Prometheus has it."""
        labels = ",".join(f'{name}="{value}"' for name, value in MINE.items())
        found = self.prometheus.ask(f"ALERTS{{{labels}}}")
        return {each["metric"]["severity"]: each["metric"]["alertstate"] for each in found}

    def told(self, **group: str) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return what Alertmanager told of it: state, and severity and state of each alert."""
        return [
            (
                message["status"],
                sorted((a["labels"]["severity"], a["status"]) for a in message["alerts"]),
            )
            for message in self.webhook.taken
            if message["groupLabels"] == MINE | group
        ]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    port = free_port()
    with (
        place_in(tmp_path) as place,
        FinraServer(World(symbols=0)) as finra,
        http_sink() as webhook,
        http_sink() as people,
        daemon() as dagster,
    ):
        place.ask(finra)
        place.set("OTC_NOTIFY_URL", people.url)
        place.today(DUE)
        publish(finra, BEFORE)
        place.take_in(str(BEFORE))
        server, thread = start_http_server(0, "127.0.0.1", exporter.registry())
        with (
            alertmanager_server(alertmanager_config(tmp_path, webhook.port), port),
            prometheus_server(prometheus_config(tmp_path, server.server_port, port)) as prometheus,
        ):
            yield Scene(place, finra, dagster, prometheus, webhook, people)
        server.shutdown()
        thread.join()


def test_a_week_held_back_is_a_warning_then_critical_and_over_once_it_was_filled(scene: Scene):
    warning, critical = ("warning", "firing"), ("critical", "firing")
    scene.watch_on(DUE)
    wait_for("a scrape", lambda: scene.prometheus.ask("otc_oldest_gap_days"))
    assert (scene.people.titles, scene.alerts()) == ([], {})

    for _ in range(2):
        scene.watch_on(FOUR_DAYS_LATE)
    wait_for("the warning", scene.told)
    assert scene.alerts() == {"warning": "firing"}
    assert scene.people.titles == ["ATS: 1 new problem, none critical"]

    for _ in range(2):
        scene.watch_on(EIGHT_DAYS_LATE)
    wait_for("the critical alert", lambda: len(scene.told()) == 2)
    assert scene.alerts() == {"warning": "firing", "critical": "firing"}
    assert scene.people.titles[1:] == ["ATS: 1 problem now critical"]
    assert "FINRA was to publish it on 2025-06-16" in scene.people.newest

    publish(scene.finra, HELD_BACK, NEXT, *OTHER_TIERS)
    assert scene.dagster.do("ats_fill_gaps").success
    scene.dagster.backfill()
    scene.look()
    wait_for("the end", lambda: len(scene.told()) == 3)
    assert scene.alerts() == {}
    assert scene.people.titles[2:] == ["ATS: 1 problem over"]

    scene.watch_on(EIGHT_DAYS_LATE)
    assert scene.told() == [
        ("firing", [warning]),
        ("firing", [critical]),
        ("resolved", [("critical", "resolved"), ("warning", "resolved")]),
    ]
    assert len(scene.people.taken) == 3
    assert scene.told(alertname="OtcIngestionLagging") == []  # it is the same week
