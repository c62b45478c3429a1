"""P11: from a publication to the last feature file, daemon and sensors running, against a command.

FINRA's API is the tests' stand-in, which publishes a week of three tiers of real size at once, ATS
and dealers. The baseline is ``dagster asset materialize`` of the same slices from the same server.
The daemon is Dagster's own, which launches each run as a process; it is told nothing.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from upath import UPath

from benchmarks.command import materialize, partition_range
from benchmarks.entry import ROOT, run
from benchmarks.measure import Figures
from otc_assets.automation.sensors import INTERVAL_SECONDS
from otc_assets.domain.calendar import newest_due_week, today
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.export import file_of
from otc_assets_tests.finra.server import PARTITIONS, FinraServer
from otc_assets_tests.finra.world import TIERS, World

SYMBOLS = 15_000
"""In each tier, of which three quarters trade: some 220,000 rows of ATS, and 70,000 of dealers."""
BAR = 1.5
PATIENCE = 900
"""Seconds until the files must be there."""


def main(figures: Figures) -> None:
    """Do the work by a command, then let the daemon find it by itself."""
    with tempfile.TemporaryDirectory() as temporary, FinraServer(World(symbols=SYMBOLS)) as server:
        folder = Path(temporary)
        os.environ |= {"OTC_SOURCE": "finra", "OTC_SOURCE_URL": server.url}
        os.environ["OTC_REQUESTS_PER_SECOND"] = "20"  # as many as FINRA allows
        weeks = _weeks()
        _publish(server, weeks)
        (home := folder / "command").mkdir()
        command = materialize(home, partition_range(weeks[0], weeks[-1])).seconds
        server.world.firms.clear()
        with _daemon(folder / "daemon", server):
            _publish(server, weeks)
            started = time.perf_counter()
            _wait_for_files(UPath(folder / "daemon" / "features"), weeks)
            seconds = time.perf_counter() - started
    figures.show(
        "P11 from a publication to its features, without the tick's interval",
        f"{seconds:.0f} s, of which the interval may be {INTERVAL_SECONDS}; the command "
        f"{command:.0f} s",
        (seconds - INTERVAL_SECONDS) / command,
        BAR,
    )


def _weeks() -> list[WeekKey]:
    """Return the newest week that is due in every tier."""
    newest = min(newest_due_week(tier, today()).week_ending for tier in Tier)
    return [WeekKey(tier, newest) for tier in Tier]


def _publish(server: FinraServer, weeks: list[WeekKey]) -> None:
    for week, tier in zip(weeks, TIERS, strict=True):
        server.world.publish(week.week_ending - timedelta(days=4), tier)


@contextmanager
def _daemon(home: Path, server: FinraServer) -> Iterator[None]:
    """Start Dagster's daemon in a home, and wait until a sensor has asked for what there is."""
    home.mkdir()
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run"]
    command += ["-m", "otc_assets.definitions"]
    environment = os.environ | {"OTC_HOME": str(home), "PYTHONPATH": str(ROOT)}
    asked = len(server.asked(PARTITIONS))
    options: dict[str, Any] = {"cwd": home, "env": environment, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:
        try:
            end = time.monotonic() + PATIENCE
            while len(server.asked(PARTITIONS)) == asked:
                _still(process, end)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the code server and its runs too


def _still(process: "subprocess.Popen[bytes] | None", end: float) -> None:
    if time.monotonic() > end or (process and process.poll() is not None):
        raise RuntimeError("the daemon has ended, or did not do it in time")
    time.sleep(0.1)


def _wait_for_files(root: UPath, weeks: list[WeekKey]) -> None:
    """Wait until the file of each slice has both datasets' features."""
    end = time.monotonic() + PATIENCE
    for week in weeks:
        while not _is_whole(root, week):
            _still(None, end)


def _is_whole(root: UPath, week: WeekKey) -> bool:
    path = Path(str(file_of(root, week)))
    if not path.exists():
        return False
    return bool(pd.read_parquet(path, columns=["ats_share_pct"])["ats_share_pct"].notna().any())


if __name__ == "__main__":
    run(main)
