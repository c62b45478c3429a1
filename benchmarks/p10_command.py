"""P10: ``dagster asset materialize`` of one week, all assets, against one trivial asset."""

import tempfile
from pathlib import Path

from benchmarks.command import materialize, partition
from benchmarks.entry import run
from benchmarks.measure import TURNS, Figures, pairs_of
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

BAR = 2.0
WEEK = week_number(Tier.NMS_TIER_1, 0)


def main(figures: Figures) -> None:
    """Run both commands in turns, each on an instance of its own, and print the medians."""
    times = []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_week(folder / "source", WEEK)
            trivial = materialize(folder, [], module="benchmarks.trivial", select="*")
            times.append((trivial.seconds, materialize(folder, partition(WEEK)).seconds))
    found = pairs_of(times)
    name = "P10 the command, a Tier 1 week, all assets against a trivial one"
    figures.show(name, str(found), found.ratio, BAR)


if __name__ == "__main__":
    run(main)
