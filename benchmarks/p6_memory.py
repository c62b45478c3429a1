"""P6: peak memory of ``dagster asset materialize`` over ranges of growing length."""

import tempfile
from pathlib import Path

from benchmarks.command import materialize, partition_range
from benchmarks.measure import verdict
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

TIER = Tier.NMS_TIER_2
"""The tier with the most rows."""
LENGTHS = (1, 4, 12)
BAR_MB = 700


def main() -> None:
    """Materialize each range in a store of its own, and print its peak."""
    for weeks in LENGTHS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            slices = [week_number(TIER, number) for number in range(weeks)]
            for week in slices:
                write_week(folder / "source", week)
            done = materialize(folder, partition_range(slices[0], slices[-1]))
        print(
            f"P6 {weeks} weeks of {TIER}, all assets and checks: peak {done.peak_mb:.0f} MB, "
            f"{done.seconds:.0f} s, bar {BAR_MB} MB ({verdict(holds=done.peak_mb <= BAR_MB)})"
        )


if __name__ == "__main__":
    main()
