"""P5 and P6: a year of three tiers by one command through Dagster, on PostgreSQL.

``dagster asset materialize`` of the whole range, features, checks, page and events included. The
baseline is a bare COPY of its rows of every table, ready as text, into empty tables of the same
schema, indexes included. ``--weeks`` (default 52) sets how many; ``--plot`` writes a picture of how
cost grows.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa
from matplotlib.figure import Figure

from benchmarks.command import materialize, partition_range
from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.p6_memory import BAR_MB
from benchmarks.server import postgres
from benchmarks.weeks import ROWS, week_number, write_week
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tables import LINEAGE
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.migrate import ensure_partitions
from otc_assets.warehouse.schema import bulk_tables, rows_table, sql_table
from otc_assets.warehouse.store import Warehouse

BAR = 3.0
SAME_RATE_WITHIN = 0.1
FIRST_LIKE_OTHERS = 5
"""The number of the first week that has five weeks behind it to look at."""
ENDS = 4
"""Weeks at each end whose rates are compared: one alone says more about the machine."""


def main(figures: Figures) -> None:
    """Load the weeks, copy them bare, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    weeks = arguments.weeks
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        folder, url = Path(temporary), server.database("ours")
        for number in range(weeks):
            for tier in Tier:
                write_week(folder / "source", week_number(tier, number))
        corners = week_number(Tier.NMS_TIER_1, 0), week_number(Tier.OTC, weeks - 1)
        done = materialize(folder, partition_range(*corners), database_url=url)
        ours = Warehouse(url)
        seconds = _seconds(ours, weeks)
        bare = _copy(ours, Warehouse(server.database("bare")), weeks)
        ours.engine.dispose()
    rows = sum(ROWS.values())
    ratio = done.seconds / bare
    said = f"{weeks * rows:,} rows of raw: bare COPY {bare:.0f} s, ours {done.seconds:.0f} s"
    figures.show(f"P5 {weeks} weeks by one command", f"{said}, ratio {ratio:.2f}", ratio, BAR)
    name = f"P6 peak memory in MB, {weeks} weeks of three tiers, PostgreSQL"
    figures.show(name, f"{done.peak_mb:.0f} MB", done.peak_mb, BAR_MB)
    if weeks >= FIRST_LIKE_OTHERS + 2 * ENDS:
        first = sum(seconds[FIRST_LIKE_OTHERS:][:ENDS]) / ENDS
        last = sum(seconds[-ENDS:]) / ENDS
        name = f"P5 seconds of the last weeks by those from week 6 on, {weeks} weeks"
        said = f"{rows / first:,.0f} and {rows / last:,.0f} rows/s"
        figures.show(name, said, last / first, 1 + SAME_RATE_WITHIN)
    if arguments.plot:
        _plot(arguments.plot, seconds)


def _seconds(ours: Warehouse, weeks: int) -> list[float]:
    """Return what each week took: of its tables, from the end of the slice before to its own.

    A range does a table's slices one after the other, tier by tier; of the first of a tier the time
    is not known, and is taken to be that of the second.
    """
    lineage = sql_table(LINEAGE.name, ATS)
    columns = (lineage.c.table_name, lineage.c.tier, lineage.c.week_ending, lineage.c.written_at)
    ends: dict[tuple[str, str], dict[WeekKey, float]] = defaultdict(dict)
    with ours.engine.connect() as connection:
        for table, tier, friday, at in connection.execute(sa.select(*columns)):
            ends[table, tier][WeekKey(Tier(tier), friday)] = at.timestamp()
    seconds = [0.0] * weeks
    for of_slices in ends.values():
        taken = [
            then - before for before, then in pairwise(of_slices[w] for w in sorted(of_slices))
        ]
        for number, each in enumerate([*taken[:1], *taken]):
            seconds[number] += each
    return seconds


def _copy(ours: Warehouse, bare: Warehouse, weeks: int) -> float:
    """Return the seconds of a bare COPY of every row that we wrote, a transaction for a slice."""
    names = [rows_table(table.name, ATS).name for table in bulk_tables()]
    names.append(sql_table(LINEAGE.name, ATS).name)
    seconds = 0.0
    for number in range(weeks):
        for week in (week_number(tier, number) for tier in Tier):
            ensure_partitions(bare.engine, ATS, week.week_ending.year)
            ready = {name: _ready(ours.engine, name, week) for name in names}
            with bare.engine.begin() as connection:
                driver = connection.connection.driver_connection
                started = time.perf_counter()
                for name, text in ready.items():
                    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
                        copy.write(text)
                driver.commit()
                seconds += time.perf_counter() - started
    bare.engine.dispose()
    return seconds


def _ready(engine: sa.Engine, name: str, week: WeekKey) -> bytes:
    query = f"COPY (SELECT * FROM {name} WHERE slice = {week.number}) TO STDOUT"
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(query) as copy:
            return b"".join(bytes(part) for part in copy)


def _plot(path: Path, seconds: list[float]) -> None:
    """Draw how cost grows with the weeks."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    numbers = range(1, len(seconds) + 1)
    axes.plot(numbers, [sum(seconds[:n]) for n in numbers])
    axes.set(
        xlabel="weeks of three tiers in the store",
        ylabel="seconds so far",
        title="All tables with their checks, PostgreSQL, week by week",
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    run(main)
