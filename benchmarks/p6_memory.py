"""P6: peak memory of ``dagster asset materialize`` over ranges of growing length.

``--year`` does 52 weeks of three tiers on PostgreSQL instead.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.command import Done, materialize, partition_range
from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.server import postgres
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

TIER = Tier.NMS_TIER_2
"""The tier with the most rows."""
LENGTHS = (1, 4, 12)
YEAR = 52
BAR_MB = 595
"""700 with 15 % to spare."""


def main(figures: Figures) -> None:
    """Materialize each range in a store of its own, and print its peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", action="store_true")
    if parser.parse_args().year:
        with postgres() as server:
            done = _materialize(list(Tier), YEAR, server.database("otc"))
        _show(figures, f"{YEAR} weeks of three tiers, PostgreSQL", done)
        return
    for weeks in LENGTHS:
        _show(figures, f"{weeks} weeks of {TIER}", _materialize([TIER], weeks))


def _materialize(tiers: list[Tier], weeks: int, database_url: str = "") -> Done:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(weeks):
            for tier in tiers:
                write_week(folder / "source", week_number(tier, number))
        corners = week_number(tiers[0], 0), week_number(tiers[-1], weeks - 1)
        return materialize(folder, partition_range(*corners), database_url=database_url)


def _show(figures: Figures, what: str, done: Done) -> None:
    said = f"all assets and checks: peak {done.peak_mb:.0f} MB, {done.seconds:.0f} s"
    figures.show(f"P6 peak memory in MB, {what}", said, done.peak_mb, BAR_MB)


if __name__ == "__main__":
    run(main)
