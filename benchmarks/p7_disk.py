"""P7: the bytes of raw and venue_volume in SQLite, with indexes and names, against the text."""

import sqlite3
import tempfile
from pathlib import Path

from benchmarks.entry import run
from benchmarks.measure import Figures
from benchmarks.pipeline import Line
from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier

WEEKS = 3
BAR = 1.5


def main(figures: Figures) -> None:
    """Load some Tier 1 weeks, and print the ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weeks = [week_number(Tier.NMS_TIER_1, number) for number in range(WEEKS)]
        text = sum(write_week(folder, week).stat().st_size for week in weeks)
        line = Line(f"sqlite:///{folder / 'otc.db'}", folder)
        for week in weeks:
            line.take_through(week, ["venue_volume"])
        connection = sqlite3.connect(folder / "otc.db")
        stored = connection.execute(
            "SELECT sum(pgsize) FROM dbstat "
            "WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name IN "
            "('raw_rows', 'venue_volume_rows', 'lineage', 'names'))"
        )
        (size,) = stored.fetchone()
    ratio = size / text
    said = f"text {text:,} bytes, raw and venue_volume {size:,}, ratio {ratio:.2f}"
    figures.show("P7 disk", said, ratio, BAR)


if __name__ == "__main__":
    run(main)
