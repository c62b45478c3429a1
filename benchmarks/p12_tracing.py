"""P12: the week of P2 with its spans sent to a receiver, against the same without; CPU time.

Each turn is a run of its own: the exporter's start, and the wait until all is sent, count.
"""

import os
import tempfile
import uuid
from pathlib import Path
from unittest import mock

from benchmarks.entry import run
from benchmarks.measure import TURNS, Figures, compare
from benchmarks.pipeline import Line
from benchmarks.receiver import receiver
from benchmarks.weeks import week_number, write_week
from otc_assets.calculations import output_tables
from otc_assets.domain.tiers import Tier
from otc_assets.tracing import ENDPOINTS, open_run

TABLES = [table.name for table in output_tables()]
WEEKS = [week_number(Tier.NMS_TIER_1, number) for number in range(TURNS)]


def main(figures: Figures) -> None:
    """Compare both."""
    with tempfile.TemporaryDirectory() as temporary, receiver() as address:
        folder = Path(temporary)
        off, on = (_line(folder / name) for name in ("off", "on"))
        endpoint = mock.patch.dict(os.environ, dict.fromkeys(ENDPOINTS[1:], address))

        def traced(turn: int) -> None:
            with endpoint:
                run = open_run(str(uuid.uuid4()), {"correlation_id": "a"}, print, is_whole=True)
            on.take_through(WEEKS[turn], TABLES, checks=True)
            if (lost := run.close()) or not run.trace_id:
                raise RuntimeError(lost or "nothing was traced")

        def untraced(turn: int) -> None:
            off.take_through(WEEKS[turn], TABLES, checks=True)

        compare(figures, "P12 a week of P2, traced", 1.03, untraced, traced)


def _line(folder: Path) -> Line:
    """Return a store with the weeks beside it."""
    folder.mkdir()
    for week in WEEKS:
        write_week(folder, week)
    return Line(f"sqlite:///{folder / 'otc.db'}", folder)


if __name__ == "__main__":
    run(main)
