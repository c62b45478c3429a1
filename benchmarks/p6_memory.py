"""P6: peak memory of ``dagster asset materialize`` over ranges of growing length, on SQLite.

`p5_a_year` has that of a year on PostgreSQL.
"""

import tempfile
from pathlib import Path

from benchmarks.command import Done, materialize, partition_range
from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

TIER = Tier.NMS_TIER_2
"""The tier with the most rows."""
LENGTHS = (1, 4, 12)
BAR_MB = 595
"""700 with 15 % to spare."""


def main(figures: Figures) -> None:
    """Materialize each range in a store of its own, and print its peak."""
    for weeks in LENGTHS:
        done = _materialize(weeks)
        said = f"all assets and checks: peak {done.peak_mb:.0f} MB, {done.seconds:.0f} s"
        figures.show(f"P6 peak memory in MB, {weeks} weeks of {TIER}", said, done.peak_mb, BAR_MB)


def _materialize(weeks: int) -> Done:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(weeks):
            write_week(folder / "source", week_number(TIER, number))
        corners = week_number(TIER, 0), week_number(TIER, weeks - 1)
        return materialize(folder, partition_range(*corners))


if __name__ == "__main__":
    run(main)
