"""P9: as-of queries over 12 years of research_snapshot, on both stores; 95th percentiles.

The rows of one real week's shape are written for every week and tier, and again for the symbols
that a correction has changed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pandas as pd
import sqlalchemy as sa

from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.pipeline import RUN, Line
from benchmarks.server import postgres
from benchmarks.weeks import week_number, write_week
from otc_assets.calculations import output_tables
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.research import as_of
from otc_assets.warehouse.store import Warehouse

YEAR, TWELVE_YEARS = 52, 626
CORRECTED = 0.05
TURNS = 100
SUFFIX = {Tier.NMS_TIER_1: "", Tier.NMS_TIER_2: "X", Tier.OTC: "F"}
BAR_SYMBOL_MS, BAR_WEEK_MS = 10, 50


def main(figures: Figures) -> None:
    """Fill each store with one year, then with twelve, and ask it at both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, nargs="*", default=[YEAR, TWELVE_YEARS])
    weeks = parser.parse_args().weeks
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        folder = Path(temporary)
        rows = snapshot_rows(folder)
        for url in (f"sqlite:///{folder / 'filled.db'}", server.database("otc")):
            _measure(figures, url, rows, weeks)


def snapshot_rows(folder: Path) -> pd.DataFrame:
    """Return the snapshot of a Tier 1 week, as the project computes it."""
    week = week_number(Tier.NMS_TIER_1, 0)
    write_week(folder, week)
    line = Line(f"sqlite:///{folder / 'one.db'}", folder)
    line.take_through(week, [table.name for table in output_tables()])
    lineage = {"as_of_date", "source_revision", "computed_at"} | set(RUN.__dict__) | {"batch_id"}
    with line.warehouse.read() as reader:
        return reader.frame("research_snapshot", week).drop(columns=list(lineage))


def _measure(figures: Figures, url: str, rows: pd.DataFrame, sizes: list[int]) -> None:
    warehouse, filled, name = Warehouse(url), 0, sa.make_url(url).get_backend_name()
    for weeks in sizes:
        for number in range(filled, weeks):
            fill(warehouse, rows, number)
        filled = weeks
        if name == "postgresql":  # what autovacuum does by itself within minutes
            with warehouse.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    "ANALYZE"
                )

        for what, query, bar in _questions(url, rows["symbol"].tolist(), weeks):
            ms, returned = _p95(query)
            figures.show(
                f"P9 p95 in ms, {name}, {weeks} weeks of three tiers, {what}",
                f"{ms:.1f} ms for {returned:,.0f} rows, {ms / returned:.3f} ms a row",
                ms,
                bar,
            )
    warehouse.engine.dispose()


def _questions(
    url: str, symbols: list[str], weeks: int
) -> list[tuple[str, Callable[[], int], int]]:
    """Return what is asked, how (the answer's rows are returned), and the bar."""
    rng = Random(url)

    def of_symbol() -> int:
        return len(as_of(_day(rng, weeks), symbols=rng.choice(symbols), database_url=url))

    def of_week() -> int:
        friday = week_number(Tier.NMS_TIER_1, rng.randrange(weeks)).week_ending
        return len(as_of("2040-01-01", tiers=Tier.NMS_TIER_1, weeks=friday, database_url=url))

    return [
        ("a symbol as of a day", of_symbol, BAR_SYMBOL_MS),
        ("a week of one tier", of_week, BAR_WEEK_MS),
    ]


def fill(warehouse: Warehouse, rows: pd.DataFrame, number: int) -> None:
    """Write the snapshot of a week, by its number from the first, in all tiers."""
    for tier in Tier:
        week = week_number(tier, number)
        day = expected_publication_date(week)
        rows = rows.assign(symbol=rows["symbol"].str[:4] + SUFFIX[tier])  # each in one tier
        changed = rows.sample(frac=CORRECTED, random_state=number)
        history = [rows.assign(as_of_date=day)]
        history += [changed.assign(as_of_date=day + timedelta(weeks=n)) for n in (1, 2, 8)]
        with warehouse.write(week, RUN) as writer:
            every = pd.concat(history, ignore_index=True)
            writer.replace("research_snapshot", every, {"source_revision": 1})
            writer.save_manifest(
                status=SliceStatus.LOADED,
                stage="research_snapshot",
                row_counts={},
                source_revision=1,
                expected_publication_date=day,
            )


def _day(rng: Random, weeks: int) -> date:
    return week_number(Tier.OTC, 0).week_ending + timedelta(weeks=rng.randrange(8, weeks + 12))


def _p95(query: Callable[[], int]) -> tuple[float, float]:
    """Return the 95th percentile in milliseconds, and the mean number of rows returned."""
    query()
    times, rows = [], []
    for _ in range(TURNS):
        started = time.perf_counter()
        rows.append(query())
        times.append(1000 * (time.perf_counter() - started))
    return statistics.quantiles(times, n=20)[-1], statistics.mean(rows)


if __name__ == "__main__":
    run(main)
