"""P1 and P2: a Tier 1 week on SQLite in a warm process, against the plain script; CPU time."""

import tempfile
from pathlib import Path

from benchmarks.entry import run
from benchmarks.measure import TURNS, Figures, compare
from benchmarks.pipeline import Line
from benchmarks.plain_script import load
from benchmarks.weeks import week_number, write_week
from otc_assets.calculations import output_tables
from otc_assets.domain.tiers import Tier

TO_VENUE_SHARE = ["venue_volume", "symbol_summary", "venue_share"]
WEEKS = [week_number(Tier.NMS_TIER_1, number) for number in range(TURNS + 1)]


def main(figures: Figures) -> None:
    """Do both."""
    measure(figures, "P1 a week to venue_share", 1.0, TO_VENUE_SHARE, checks=False)
    every = [table.name for table in output_tables()]
    measure(figures, "P2 a week, all tables and their checks", 2.0, every, checks=True)


def measure(figures: Figures, name: str, bar: float, tables: list[str], *, checks: bool) -> None:
    """Compare some tables of a week with the plain script's four."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [str(write_week(folder, week)) for week in WEEKS]
        line = Line(f"sqlite:///{folder / 'otc.db'}", folder)

        def baseline(turn: int) -> None:
            week = WEEKS[turn]
            load(str(folder / "plain.db"), files[turn], str(week.week_ending), str(week.tier))

        def ours(turn: int) -> None:
            line.take_through(WEEKS[turn], tables, checks=checks)

        compare(figures, name, bar, baseline, ours)


if __name__ == "__main__":
    run(main)
