"""P14: `otc serve` under load, with a year in the store; the raw query beside it, on both stores.

Two processes of the server, and what sends the requests, on the same machine. The rate is doubled
until the 95th percentile misses its bar: from there on the server is saturated.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import psutil
import sqlalchemy as sa

from benchmarks.entry import ROOT, run
from benchmarks.load import sent
from benchmarks.measure import Figures
from benchmarks.p9_as_of import YEAR, fill, snapshot_rows
from benchmarks.pipeline import RUN
from benchmarks.server import postgres
from benchmarks.weeks import week_number
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.schema import sql_table
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.serving.started import address_of

WORKERS = 2
SECONDS = 8
TURNS = 50
STREAM_MB = 150
"""What a whole table may add to the memory of a process: a slice, and not a year."""
FASTEST = 1_600


def main(figures: Figures) -> None:
    """Fill each store with a year, serve it, and ask."""
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        folder = Path(temporary)
        rows = snapshot_rows(folder)
        symbols = rows["symbol"].str[:4].tolist()
        for url in (f"sqlite:///{folder / 'filled.db'}", server.database("otc")):
            warehouse = Warehouse(url)
            for number in range(YEAR):
                fill(warehouse, rows, number)
            _add_revisions(warehouse)
            warehouse.engine.dispose()
            with _served(url) as (address, process):
                _measure(figures, url, address, symbols)
                _measure_stream(figures, url, address, process)


def _add_revisions(warehouse: Warehouse) -> None:
    """Say of each week when it became public; and do what autovacuum does within minutes."""
    table = sql_table("revisions", warehouse.dataset)
    weeks = [week_number(tier, number) for tier in Tier for number in range(YEAR)]
    text = {c.name: "" for c in table.c if isinstance(c.type, sa.Text)}
    count = {c.name: 1 for c in table.c if isinstance(c.type, sa.BigInteger)}
    with warehouse.engine.begin() as connection:
        for week in weeks:
            day = expected_publication_date(week)
            of_week = {"tier": week.tier.value, "week_ending": week.week_ending}
            days = {"publication_date": day, "revision_date": day, "ingested_at": sa.func.now()}
            query = sa.insert(table).values({**text, **count, **of_week, **days, **vars(RUN)})
            connection.execute(query)
    if warehouse.engine.dialect.name == "postgresql":
        with warehouse.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


@contextmanager
def _served(url: str) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a store by some processes, on any free port."""
    command = [sys.executable, "-m", "otc_assets.cli.main", "serve"]
    command += ["--port", "0", "--workers", str(WORKERS)]
    more = {"OTC_DATABASE_URL": url, "OTC_API_REQUESTS_PER_SECOND": "100000"}
    environment = os.environ | more | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield address_of(process, WORKERS), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def _measure(figures: Figures, url: str, address: str, symbols: list[str]) -> None:
    name, rng = sa.make_url(url).get_backend_name(), Random(url)

    def of_symbol() -> str:
        return f"/v1/history?symbol={rng.choice(symbols)}"

    def of_week() -> str:
        friday = week_number(Tier.NMS_TIER_1, rng.randrange(YEAR)).week_ending
        return f"/v1/latest?tier=NMS+Tier+1&week={friday}&limit=10000"

    queries = {
        "a symbol over all history": (of_symbol, "symbol = :symbol", 50, 50),
        "a week of a tier": (of_week, "tier = 'NMS Tier 1' AND week_ending = :week", 5, 250),
    }
    for what, (question, where, rate, bar) in queries.items():
        sent(address, question, rate, 2)  # each process opens its connections
        load = sent(address, question, rate, SECONDS)
        raw = _raw_ms(url, where, rng, symbols)
        limit = _saturated(address, question, rate, bar)
        figures.show(
            f"P14 p95 in ms, {name}, {what}, {rate} a second",
            f"{load.p95_ms:.0f} ms for {load.bytes / 1000:,.0f} kB, {load.refused} refused, the "
            f"raw query {raw:.1f} ms; holds up to {limit} a second",
            load.p95_ms,
            bar,
            also=not load.refused,
        )


def _saturated(address: str, question: Callable[[], str], rate: float, bar: float) -> int:
    """Return the highest rate, of those that double, at which the bar holds."""
    held = 0
    while rate <= FASTEST:
        load = sent(address, question, rate, SECONDS / 2)
        if load.p95_ms > bar or load.refused:
            break
        held, rate = round(rate), rate * 2
    return held


def _raw_ms(url: str, where: str, rng: Random, symbols: list[str]) -> float:
    """Return the 95th percentile of the same rows, as the driver gives them to one who waits."""
    engine, times = create_engine(url, read_only=True), []
    query = sa.text(f"SELECT * FROM research_snapshot WHERE {where}")
    with engine.connect() as connection:
        for _ in range(TURNS):
            friday = week_number(Tier.NMS_TIER_1, rng.randrange(YEAR)).week_ending
            values = {"symbol": rng.choice(symbols), "week": str(friday)}
            asked = {name: value for name, value in values.items() if f":{name}" in where}
            started = time.perf_counter()
            connection.execute(query, asked).fetchall()
            times.append(1000 * (time.perf_counter() - started))
    engine.dispose()
    return statistics.quantiles(times, n=20)[-1]


def _measure_stream(figures: Figures, url: str, address: str, process: psutil.Process) -> None:
    """Stream a year of the snapshot, and watch the memory of the processes."""
    name, before, peak, size = sa.make_url(url).get_backend_name(), _memory(process), 0.0, 0
    started = time.perf_counter()
    path = "/v1/tables/research_snapshot?stream=true&format=csv"
    with httpx.stream("GET", address + path, timeout=120) as answer:
        for part in answer.iter_raw():
            size += len(part)
            peak = max(peak, _memory(process))
    grown, seconds = peak - before, time.perf_counter() - started
    figures.show(
        f"P14 growth in MB, {name}, a year of research_snapshot as a stream",
        f"{size / 1e6:,.0f} MB of CSV in {seconds:.0f} s, memory grows by {grown:.0f} MB",
        grown,
        STREAM_MB,
    )


def _memory(process: psutil.Process) -> float:
    """Return the megabytes of the largest of the processes."""
    return max(child.memory_info().rss for child in process.children(recursive=True)) / 2**20


if __name__ == "__main__":
    run(main)
