"""Runs baseline and project in turns, and prints both with their ratio and the bar."""

import csv
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TURNS = 7
"""Pairs of baseline and project, of which the medians are compared: noise should not decide."""
MISSED = "(MISSED)"
"""How the line of a figure ends whose bar is missed."""
RECORD = "BENCHMARK_RECORD"
"""The environment variable that names a file to which figures are appended."""


class Figures:
    """Prints figures, and knows whether a bar was missed."""

    def __init__(self, screen: IO[str]) -> None:
        """Print to ``screen``."""
        self.screen = screen
        self.missed = False

    def show(
        self,
        name: str,
        said: str,
        value: float,
        bar: float,
        *,
        at_least: bool = False,
        also: bool = True,
    ) -> None:
        """Print a figure with its bar, and whether the bar holds; record it where that is asked.

        Args:
            name: which one; the same each time, since figures are compared by it.
            said: what was measured, for people.
            value: the figure.
            bar: what it must not be above.
            at_least: the bar is what it must not be below.
            also: whether all else holds that the benchmark asks for.

        """
        holds = also and (value >= bar if at_least else value <= bar)
        verdict = "(holds)" if holds else MISSED
        print(f"{name}: {said}, bar {bar:g} {verdict}", file=self.screen, flush=True)
        self.missed |= not holds
        if file := os.environ.get(RECORD):
            limit = f"{'>=' if at_least else '<='}{bar:g}"
            with Path(file).open("a", newline="") as record:
                csv.writer(record, lineterminator="\n").writerow([name, f"{value:.4g}", limit])


def cpu_seconds(work: Callable[[int], object], turn: int) -> float:
    """Return the CPU time of this process that a turn of ``work`` takes."""
    started = time.process_time()
    work(turn)
    return time.process_time() - started


@dataclass(frozen=True)
class Pairs:
    """What baseline and project took, in turns, so that both saw the same machine."""

    base: float
    """The median, in seconds."""
    ours: float
    """The same of the project."""
    ratios: list[float]
    """Of each pair, the project's time by the baseline's, the smallest first."""

    @property
    def ratio(self) -> float:
        """How many times the baseline's median the project's is."""
        return self.ours / self.base

    def __str__(self) -> str:
        """Say the medians, their ratio, and how far the pairs are spread."""
        return (
            f"baseline {self.base:.3f} s, ours {self.ours:.3f} s, ratio {self.ratio:.2f} (medians; "
            f"the {len(self.ratios)} pairs {self.ratios[0]:.2f} to {self.ratios[-1]:.2f})"
        )


def pairs_of(times: Sequence[tuple[float, float]]) -> Pairs:
    """Return what pairs of (baseline, ours) seconds give."""
    base, ours = (statistics.median(column) for column in zip(*times, strict=True))
    return Pairs(base, ours, sorted(mine / theirs for theirs, mine in times))


def compare(
    figures: Figures,
    name: str,
    bar: float,
    baseline: Callable[[int], object],
    ours: Callable[[int], object],
) -> None:
    """Print how many times the baseline's CPU time ours takes.

    Each turn, given its number, does a week that was not done before; the first is left out, since
    imports and the store's schema are nobody's work.
    """
    times = [(cpu_seconds(baseline, n), cpu_seconds(ours, n)) for n in range(TURNS + 1)][1:]
    found = pairs_of(times)
    figures.show(name, str(found), found.ratio, bar)
