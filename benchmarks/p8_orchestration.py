"""P8: Dagster's own cost of a range over all assets and checks, work stubbed, on both storages.

Beside it the same in plain Dagster (`plain_dagster`), with Dagster's own storage classes. By
default all history, 1,812 slices, once; ``--weeks`` of up to 20 are done in seven pairs.
``--home`` does ours alone on PostgreSQL, keeps the instance's ``dagster.yaml`` and leaves the
server running until Enter, so that the UI can be looked at.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pandas as pd

from benchmarks.entry import ROOT, run
from benchmarks.measure import TURNS, Figures, pairs_of
from benchmarks.plain_dagster import build
from benchmarks.server import Server, postgres
from otc_assets.assets.partitions import partition_key_of, table_keys
from otc_assets.calculations import tables_of
from otc_assets.checks.factory import build_checks
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS
from otc_assets.domain.quality import QualityCheckResult, Severity, SliceStatus
from otc_assets.domain.tables import Table
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey
from otc_assets.operations.judge import Judgement
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.settings import setting

WEEKS = 604
BAR = 0.7
FEW = 20
"""Up to so many weeks, pairs are measured; of more, one is long enough."""
ROWS = pd.DataFrame({"symbol": "ABCD", "calc_version": ["v1", "v2"], "hhi": 2500.0})
PLAIN_POSTGRES = "storage:\n  postgres:\n    postgres_url: {url}\n"
QUIET = "telemetry:\n  enabled: false\n"


def main(figures: Figures) -> None:
    """Run both on both storages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    Path(setting("OTC_SOURCE_URL")).mkdir()  # empty: what is read from it is stubbed
    with postgres() as server:
        if arguments.home:
            _leave_running(figures, server, arguments.home, arguments.weeks)
            return
        for name, its in (("SQLite", None), ("PostgreSQL", server)):
            _compare(figures, name, its, arguments.weeks)


def _compare(figures: Figures, name: str, server: Server | None, weeks: int) -> None:
    """Print how much of plain Dagster's time ours takes, and the events of a slice."""
    times, events = [], 0
    for turn in range(TURNS if weeks <= FEW else 1):
        with _instance(server, f"plain_{turn}", is_ours=False) as plain:
            base, _ = _run(plain, _plain(), weeks)
        with _instance(server, f"ours_{turn}", is_ours=True) as ours, _stubbed():
            seconds, run_id = _run(ours, build_defs([ATS]), weeks)
            events = len(ours.all_logs(run_id))
        times.append((base, seconds))
    found, slices = pairs_of(times), 3 * weeks
    figures.show(
        f"P8 orchestration, {name}, {slices:,} slices",
        f"{found}; {events:,} events, {events / slices:.1f} a slice",
        found.ratio,
        BAR,
    )


def _plain() -> dg.Definitions:
    checks = {
        spec.asset_key.path[-1]: [s.name for s in each.check_specs]
        for each in build_checks(ATS)
        for spec in each.check_specs
    }
    return build([table.name for table in tables_of(ATS)], checks)


@contextmanager
def _instance(server: Server | None, name: str, *, is_ours: bool) -> Iterator[dg.DagsterInstance]:
    """Make an instance with nothing in it: as the project sets one up, or with Dagster's defaults.

    In ours a range's materializations are stored together, as the Makefile sets it.
    """
    url = server.database(name, "psycopg2") if server else ""
    batch = os.environ["DAGSTER_EVENT_BATCH_SIZE"] if is_ours else "0"
    more = {"DAGSTER_POSTGRES_URL": url, "DAGSTER_EVENT_BATCH_SIZE": batch}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        with mock.patch.dict(os.environ, more | {"OTC_DAGSTER_DIR": str(home)}):
            if is_ours:
                settings = ROOT / ("deploy/dagster.yaml" if server else "dagster.yaml")
                shutil.copy(settings, home / "dagster.yaml")
            else:
                storage = PLAIN_POSTGRES.format(url=url) if server else ""
                (home / "dagster.yaml").write_text(storage + QUIET)
            with dg.DagsterInstance.from_config(str(home)) as instance:
                yield instance


def _run(instance: dg.DagsterInstance, defs: dg.Definitions, weeks: int) -> tuple[float, str]:
    """Materialize the tables and their checks over a range; return the seconds and the run."""
    job = defs.resolve_implicit_global_asset_job_def()
    first = WeekKey(Tier.NMS_TIER_1, FIRST_WEEK_ENDING)
    last = WeekKey(Tier.OTC, first.shifted(weeks - 1).week_ending)
    tags = {
        "dagster/asset_partition_range_start": partition_key_of(first),
        "dagster/asset_partition_range_end": partition_key_of(last),
    }
    started = time.perf_counter()
    result = job.execute_in_process(instance=instance, tags=tags, asset_selection=table_keys(ATS))
    return time.perf_counter() - started, result.run_id


@contextmanager
def _stubbed() -> Iterator[None]:
    """Let our assets and checks find nothing to do."""
    assets, checks = "otc_assets.assets.factory", "otc_assets.checks.factory"
    with (
        mock.patch(f"{assets}.ingest", _ingest),
        mock.patch(f"{assets}.derive", _derive),
        mock.patch(f"{assets}.later_weeks", return_value=[]),
        mock.patch(f"{checks}.judge", _judge),
        mock.patch(f"{checks}.refreshed", return_value=[]),
    ):
        yield


def _leave_running(figures: Figures, server: Server, home: Path, weeks: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_POSTGRES_URL"] = server.database("dagster", "psycopg2")
    shutil.copy(ROOT / "deploy" / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance, _stubbed():
        _run(instance, build_defs([ATS]), weeks)
    names = ("OTC_HOME", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL")
    settings = {name: os.environ[name] for name in names} | {"DAGSTER_HOME": home}
    print(*(f"{name}={value}" for name, value in settings.items()), file=figures.screen)
    print("Enter ends it", file=figures.screen, flush=True)
    input()


def _ingest(_warehouse: Any, _archive: Any, _index: Any, week: WeekKey, *_: Any) -> SliceOutcome:
    return SliceOutcome(week, "raw", SliceStatus.LOADED, ROWS)


def _derive(_warehouse: Any, name: str, week: WeekKey, *_: Any) -> SliceOutcome:
    return SliceOutcome(week, name, SliceStatus.LOADED, ROWS)


def _judge(_warehouse: Any, table: Table, rules: Any, *_: Any) -> Judgement:
    verdicts = [
        QualityCheckResult(rule.name, True, Severity.INFO, False, {"rows": 70_730})
        for rule in rules
    ]
    return Judgement(verdicts, 70_730, 1.0)


if __name__ == "__main__":
    run(main)
