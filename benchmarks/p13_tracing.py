"""P13: the CPU time of a week's spans, opened, ended and sent, against that of the week (P2).

Two measurements of one week differ by several hundredths, and its spans cost less than one. So the
spans of a week are recorded, and then done again by themselves. Each turn of them is a run of its
own: the exporter's start, and the wait until all is sent, count.
"""

import os
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from benchmarks.entry import run
from benchmarks.measure import TURNS, Figures, cpu_seconds
from benchmarks.pipeline import Line
from benchmarks.receiver import receiver
from benchmarks.weeks import week_number, write_week
from otc_assets.calculations import output_tables
from otc_assets.domain.tiers import Tier
from otc_assets.tracing import CURRENT, ENDPOINTS, NOTHING, Span, open_run, span

BAR = 0.03
TABLES = [table.name for table in output_tables()]
WEEKS = [week_number(Tier.NMS_TIER_1, number) for number in range(TURNS)]


@dataclass(eq=False)
class Recorded(Span):
    """A span that remembers what it was told, to be done again."""

    name: str = ""
    attributes: dict[str, object] = field(default_factory=dict)
    parent: Span = NOTHING
    children: list["Recorded"] = field(default_factory=list)
    told: dict[str, object] = field(default_factory=dict)

    def __enter__(self) -> "Recorded":
        """Become the current span."""
        CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        CURRENT.set(self.parent)

    def child(self, name: str, attributes: dict[str, object]) -> Span:
        """Begin a span within this one."""
        self.children.append(Recorded(name, attributes, self))
        return self.children[-1]

    def set(self, **attributes: object) -> None:
        """Remember attributes."""
        self.told |= attributes

    def again(self) -> int:
        """Open and end the spans within this one once more; return how many they are."""
        count = len(self.children)
        for each in self.children:
            with span(each.name, **each.attributes) as now:
                count += each.again()
                now.set(**each.told)
        return count


def main(figures: Figures) -> None:
    """Measure both, the best of some turns each; the first is left out, as it imports."""
    with tempfile.TemporaryDirectory() as temporary, receiver() as address:
        line = _line(Path(temporary))
        week = Recorded()
        with week:
            line.take_through(WEEKS[0], TABLES, checks=True)

        def work(turn: int) -> None:
            line.take_through(WEEKS[turn], TABLES, checks=True)

        def spans(turn: int) -> None:
            with mock.patch.dict(os.environ, {ENDPOINTS[1]: address}):
                traced = open_run(str(uuid.uuid4()), {}, print, is_whole=True)
            sent = week.again()
            if (lost := traced.close()) or not traced.trace_id:
                raise RuntimeError(f"{sent} spans: {lost or 'not traced'}")

        turns = range(1, TURNS)
        base = min(cpu_seconds(work, turn) for turn in turns)
        mine = min([cpu_seconds(spans, turn) for turn in range(TURNS)][1:])
        figures.show(
            "P13 a week's spans by the week",
            f"{week.again()} spans {1000 * mine:.1f} ms, the week {base:.3f} s, {mine / base:.1%}",
            mine / base,
            BAR,
        )


def _line(folder: Path) -> Line:
    """Return a store with the weeks beside it."""
    for week in WEEKS:
        write_week(folder, week)
    return Line(f"sqlite:///{folder / 'otc.db'}", folder)


if __name__ == "__main__":
    run(main)
