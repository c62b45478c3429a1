"""P10: ``dagster asset materialize`` of one week, all assets, against one trivial asset."""

import tempfile
from pathlib import Path

from benchmarks.command import materialize, partition
from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

TURNS = 3
BAR = 1.5
WEEK = week_number(Tier.NMS_TIER_1, 0)


def main(figures: Figures) -> None:
    """Run both commands in turns, each on an instance of its own, and print the best of each."""
    times = []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_week(folder / "source", WEEK)
            trivial = materialize(folder, [], module="benchmarks.trivial", select="*")
            times.append((trivial.seconds, materialize(folder, partition(WEEK)).seconds))
    base, ours = (min(column) for column in zip(*times, strict=True))
    figures.show(
        f"P10 the command, a Tier 1 week: trivial asset {base:.1f} s, all assets {ours:.1f} s, "
        f"ratio {ours / base:.2f}, bar {BAR}",
        holds=ours <= BAR * base,
    )


if __name__ == "__main__":
    run(main)
