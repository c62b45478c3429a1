"""Plays a summer of the fixtures in two minutes, and draws the operator's dashboard of it.

`make monitoring-picture`. A day of the story takes two seconds. Weeks are taken in on the day on
which they were published, but one, whose file is cut off at first, and whole twelve days later.
The exporter, the store and Prometheus are real; Dagster's runs are only said to be there.
"""

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
from prometheus_client import start_http_server

from deploy.grafana.picture import Painter
from deploy.prometheus.server import Prometheus, free_port, prometheus_server, wait_for
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.monitoring import exporter, standing
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.monitoring import scene
from otc_assets_tests.monitoring.configuration import prometheus_config

PICTURE = REPOSITORY / "docs/operator_dashboard.png"
FIRST, LAST = date(2025, 6, 10), date(2025, 8, 5)
DAY_SECONDS = 2
LATE, DAYS_LATE = WeekKey(Tier.NMS_TIER_1, date(2025, 6, 13)), 12
CUT_OFF = "finra_otc_weekly_tier1_20250630.csv"
"""The first file of this week."""
ANSWERS = [("ok", 0.3)] * 6 + [("ok", 1.2), ("429", 0.1), ("503", 4.0)]


class Clock:
    """Says which day of the story it is, and which it was."""

    def __init__(self) -> None:
        self.day, self.began = FIRST, [time.time()]

    def next_day(self) -> None:
        """Let the day come, two seconds after the last one or when all that it had is done."""
        time.sleep(max(self.began[-1] + DAY_SECONDS - time.time(), 0))
        self.began.append(time.time())
        self.day += timedelta(days=1)

    def at(self, moment: float) -> datetime:
        """Return when in the story a moment of ours was."""
        days = float(np.interp(moment, self.began, range(len(self.began))))
        return datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=days)


def arrivals() -> dict[date, list[WeekKey]]:
    """Return the fixture weeks that come on each day."""
    found: dict[date, list[WeekKey]] = {}
    for week in pipeline.weeks(Tier, "2025-05-02", "2025-07-04"):
        late = timedelta(days=DAYS_LATE if week == LATE else 0)
        found.setdefault(expected_publication_date(week) + late, []).append(week)
    return found


@contextmanager
def watched(home: Path, clock: Clock) -> Iterator[Prometheus]:
    """Let a Prometheus watch a home whose exporter lives in the days of the story."""
    os.environ |= {"OTC_HOME": str(home), "DAGSTER_HOME": str(REPOSITORY)}
    standing.today = lambda: clock.day
    with dg.DagsterInstance.get() as instance:
        scene.run_dagster(instance)
    server, _ = start_http_server(0, "127.0.0.1", exporter.registry())
    with prometheus_server(prometheus_config(home, server.server_port, free_port())) as prometheus:
        wait_for("a first scrape", lambda: prometheus.ask("otc_weeks_missing"))
        yield prometheus
    server.shutdown()


def arrive(home: Path, weeks: list[WeekKey]) -> None:
    """Take in the weeks that come on one day; the run of each waits in the queue meanwhile."""
    with dg.DagsterInstance.get() as instance:
        queue = [scene.add_run(instance, dg.DagsterRunStatus.QUEUED) for _ in weeks]
        for week, run_id in zip(weeks, queue, strict=True):
            scene.take_in(home, [week])
            instance.delete_run(run_id)


def play(home: Path, clock: Clock, coming: dict[date, list[WeekKey]]) -> None:
    """Let each day of the story come, with what comes on it."""
    chance = random.Random(1)
    while clock.day < LAST:
        scene.ask_finra(home, chance.choices(ANSWERS, k=chance.randrange(3, 20)))
        if clock.day == expected_publication_date(LATE):
            scene.fail_to_take_in(home, LATE, CUT_OFF)
        arrive(home, coming.get(clock.day, []))
        clock.next_day()


def main() -> None:
    """Play the story, and draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        home, coming = Path(folder), arrivals()
        scene.take_in(
            home, [week for day, found in coming.items() if day < FIRST for week in found]
        )
        scene.back_up(home)
        scene.ask_finra(home)
        clock = Clock()
        with watched(home, clock) as prometheus:
            clock.began = [time.time()]
            play(home, clock, coming)
            painter = Painter(prometheus, (clock.began[0], clock.began[-1]), clock.at)
            painter.draw("operator", PICTURE, dataset="ats")


if __name__ == "__main__":
    main()
