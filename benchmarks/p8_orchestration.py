"""P8: Dagster's own cost of a range over all assets and checks, work stubbed, on PostgreSQL.

By default all history, 1,812 slices; ``--weeks`` takes fewer. ``--home`` keeps the instance's
``dagster.yaml`` and leaves the server running until Enter, so that the UI can be looked at.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from benchmarks.entry import ROOT, run
from benchmarks.measure import Figures
from benchmarks.server import postgres
from otc_assets.assets.partitions import partition_key_of, table_keys
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
BAR_MS = 5.0
ROWS = pd.DataFrame({"symbol": "ABCD", "calc_version": ["v1", "v2"], "hhi": 2500.0})


def main(figures: Figures) -> None:
    """Run the range, count its events, and print the time of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        home = arguments.home or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        url = server.database("dagster", "psycopg2")
        os.environ["DAGSTER_POSTGRES_URL"] = url
        (home / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.yaml").read_text())
        Path(setting("OTC_SOURCE_URL")).mkdir()  # empty: what is read from it is stubbed
        with dg.DagsterInstance.from_config(str(home)) as instance:
            run_id, seconds = _run(instance, arguments.weeks)
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            query = sa.text("SELECT count(*) FROM event_logs WHERE run_id = :run")
            events = connection.execute(query, {"run": run_id}).scalar_one()
        engine.dispose()
        ms = 1000 * seconds / events
        figures.show(
            f"P8 {3 * arguments.weeks:,} slices x 8 assets and their checks: {events:,} events, "
            f"{seconds:.0f} s, {ms:.2f} ms an event, bar {BAR_MS} ms",
            holds=ms <= BAR_MS,
        )
        if arguments.home:
            names = ("OTC_HOME", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL")
            settings = {name: os.environ[name] for name in names} | {"DAGSTER_HOME": home}
            print(*(f"{name}={value}" for name, value in settings.items()), file=figures.screen)
            print("Enter ends it", file=figures.screen, flush=True)
            input()


def _run(instance: dg.DagsterInstance, weeks: int) -> tuple[str, float]:
    defs = build_defs([ATS])
    job = defs.resolve_implicit_global_asset_job_def()
    first = WeekKey(Tier.NMS_TIER_1, FIRST_WEEK_ENDING)
    last = WeekKey(Tier.OTC, first.shifted(weeks - 1).week_ending)
    tags = {
        "dagster/asset_partition_range_start": partition_key_of(first),
        "dagster/asset_partition_range_end": partition_key_of(last),
    }
    assets = "otc_assets.assets.factory"
    checks = "otc_assets.checks.factory"
    with (
        mock.patch(f"{assets}.ingest", _ingest),
        mock.patch(f"{assets}.derive", _derive),
        mock.patch(f"{assets}.later_weeks", return_value=[]),
        mock.patch(f"{checks}.judge", _judge),
        mock.patch(f"{checks}.refreshed", return_value=[]),
    ):
        started = time.perf_counter()
        result = job.execute_in_process(
            instance=instance, tags=tags, asset_selection=table_keys(ATS)
        )
        return result.run_id, time.perf_counter() - started


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
