"""P5: weeks of three tiers, file to research_snapshot, on PostgreSQL, against a bare COPY.

The baseline writes the same rows of every table, ready as text, into empty tables of the same
schema, indexes included. ``--weeks`` (default 52) sets how many; ``--plot`` writes a picture of how
cost grows.
"""

import argparse
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from matplotlib.figure import Figure

from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.pipeline import Line
from benchmarks.server import postgres
from benchmarks.weeks import week_number, write_week
from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tables import LINEAGE
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.migrate import ensure_partitions
from otc_assets.warehouse.schema import bulk_tables, rows_table, sql_table
from otc_assets.warehouse.store import Warehouse

BAR = 4.0
SAME_RATE_WITHIN = 0.1
ENDS = 4
"""Weeks at each end whose rates are compared: one alone says more about the machine."""


def main(figures: Figures) -> None:
    """Load the weeks, copy them bare, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        line = Line(server.database("ours"), Path(temporary))
        seconds, rows = _load(line, Path(temporary), arguments.weeks)
        bare = _copy(line.warehouse, Warehouse(server.database("bare")), arguments.weeks)
        line.warehouse.engine.dispose()
    ratio = sum(seconds) / bare
    figures.show(
        f"P5 {arguments.weeks} weeks, {sum(rows):,} rows of raw: bare COPY {bare:.0f} s, "
        f"ours {sum(seconds):.0f} s, ratio {ratio:.2f}, bar {BAR}",
        holds=ratio <= BAR,
    )
    rates = [n / s for n, s in zip(rows, seconds, strict=True)]
    # The first weeks have no five weeks behind them to look at.
    if like_others := rates[5 : 5 + ENDS]:
        first, last = (sum(part) / len(part) for part in (like_others, rates[-ENDS:]))
        change = last / first - 1
        figures.show(
            f"P5 rate: week 1 {rates[0]:,.0f} rows/s, weeks 6 to {5 + ENDS} {first:,.0f}, "
            f"the last {ENDS} {last:,.0f}: {change:+.1%}, bar -10%",
            holds=change >= -SAME_RATE_WITHIN,
        )
    if arguments.plot:
        _plot(arguments.plot, seconds)


def _load(line: Line, folder: Path, weeks: int) -> tuple[list[float], list[int]]:
    """Take week after week through all tables; return the seconds and rows of raw of each."""
    tables = [table.name for table in output_tables()]
    seconds, rows = [], []
    for number in range(weeks):
        slices = [week_number(tier, number) for tier in Tier]
        files = [write_week(folder, week) for week in slices]
        line.look_again()
        started = time.perf_counter()
        for week in slices:
            line.take_through(week, tables, checks=True)
        seconds.append(time.perf_counter() - started)
        with line.warehouse.read() as reader:
            rows.append(sum(reader.count("raw", week) for week in slices))
        for file in files:
            file.unlink()
    return seconds, rows


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
