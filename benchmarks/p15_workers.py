"""P15: a backfill on two Celery workers against one process, the same weeks on PostgreSQL.

Both do every ATS table, check and feature file of ``--weeks`` (26) weeks of three tiers, by default
as many rows as real ones have. The backfill is asked for by the call of the UI's dialog, and cut
into blocks of `WEEKS_PER_RUN`. ``--kill`` kills a worker in the middle, and starts no other. Both
stores have to hold the same.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import pandas as pd
from dagster._core.execution.backfill import BulkActionStatus

from benchmarks.command import materialize, partition_range
from benchmarks.entry import ROOT, run
from benchmarks.measure import Figures
from benchmarks.server import Server, postgres
from benchmarks.weeks import week_number, write_week
from otc_assets.assets.features import FEATURES_KEY
from otc_assets.assets.partitions import table_keys
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.scale.cluster import Broker, Worker, instance_folder, loops
from otc_assets_tests.ui import launch_backfill

BAR = 1.6
WEEKS_PER_RUN = 13
"""So that each worker gets a block of each of the two large tiers."""
HOUR = 3600.0


def main(figures: Figures) -> None:
    """Load the weeks by both, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        folder = Path(temporary)
        for number in range(arguments.weeks):
            for tier in Tier:
                write_week(folder / "source", week_number(tier, number), arguments.scale)
        alone, content = _alone(server, folder, arguments.weeks)
        shared, other = _shared(server, folder, arguments.weeks, kill=arguments.kill)
    is_same = content == other
    figures.show(
        "P15 two workers, times as fast as one process",
        f"{arguments.weeks} weeks of three tiers, PostgreSQL: one process {alone:.0f} s, "
        f"two workers{', one killed,' * arguments.kill} {shared:.0f} s, "
        f"{alone / shared:.2f} times as fast; "
        f"rows and files are {'the same' if is_same else 'NOT the same'}",
        alone / shared,
        0 if arguments.kill else BAR,
        at_least=True,
        also=is_same,
    )


def _alone(server: Server, folder: Path, weeks: int) -> tuple[float, object]:
    """Let one command do the weeks; return its seconds, and what it has given."""
    home, store = _home(server, folder, "one")
    os.environ["DAGSTER_HOME"] = str(ROOT / "deploy")
    corners = week_number(Tier.NMS_TIER_1, 0), week_number(Tier.OTC, weeks - 1)
    keys = ",".join(key.to_user_string() for key in (*table_keys(ATS), FEATURES_KEY))
    done = materialize(home, partition_range(*corners), select=keys, database_url=store)
    return done.seconds, _content(store, home)


def _shared(server: Server, folder: Path, weeks: int, *, kill: bool) -> tuple[float, object]:
    """Let two workers do them, from the click until the last run has ended."""
    home, store = _home(server, folder, "two")
    broker = Broker(folder / "broker")
    longest = {"max_runtime_seconds": 300} if kill else {}
    os.environ |= {
        "OTC_HOME": str(home),
        "OTC_DATABASE_URL": store,
        "OTC_WEEKS_PER_RUN": str(WEEKS_PER_RUN),
        "DAGSTER_HOME": str(instance_folder(folder / "instance", longest)),
        "DAGSTER_CELERY_BROKER_URL": broker.url,
    }
    workers = [Worker(name, folder / f"{name}.log") for name in ("one", "other")]
    try:
        with loops() as daemon:
            started = time.perf_counter()
            launch_backfill(daemon.context, [week_number(t, n) for t in Tier for n in range(weeks)])
            if kill:
                daemon.until_at_work(2)
                workers[0].kill()
            assert daemon.until_done(HOUR) is BulkActionStatus.COMPLETED_SUCCESS
            seconds = time.perf_counter() - started
    finally:
        for worker in workers:
            worker.kill()
        broker.kill()
    return seconds, _content(store, home)


def _home(server: Server, folder: Path, name: str) -> tuple[Path, str]:
    """Make a home over the same files, with databases of its own; return it and its store."""
    home = folder / name
    home.mkdir()
    (home / "source").symlink_to(folder / "source")
    os.environ["DAGSTER_POSTGRES_URL"] = server.database(f"{name}_runs", "psycopg2")
    return home, server.database(name)


def _content(store: str, home: Path) -> object:
    """Return the fingerprint of every table of every slice, and of each feature file."""
    warehouse = Warehouse(store)
    with warehouse.read() as reader:
        tables = {week: row["fingerprints"] for week, row in reader.manifests().items()}
    warehouse.engine.dispose()
    files = pipeline.feature_files(home)
    hashes = {path: int(pd.util.hash_pandas_object(rows).sum()) for path, rows in files.items()}
    return tables, hashes


if __name__ == "__main__":
    run(main)
