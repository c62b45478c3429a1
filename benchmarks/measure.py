"""Runs baseline and project in turns, and prints both with their ratio and the bar."""

import time
from collections.abc import Callable
from typing import IO

TURNS = 8
MISSED = "(MISSED)"
"""How the line of a figure ends whose bar is missed."""


class Figures:
    """Prints figures, and knows whether a bar was missed."""

    def __init__(self, screen: IO[str]) -> None:
        """Print to ``screen``."""
        self.screen = screen
        self.missed = False

    def show(self, figure: str, *, holds: bool) -> None:
        """Print a figure with its bar, and whether the bar holds."""
        print(f"{figure} {'(holds)' if holds else MISSED}", file=self.screen, flush=True)
        self.missed |= not holds


def cpu_seconds(work: Callable[[int], object], turn: int) -> float:
    """Return the CPU time of this process that a turn of ``work`` takes."""
    started = time.process_time()
    work(turn)
    return time.process_time() - started


def compare(
    figures: Figures,
    name: str,
    bar: float,
    baseline: Callable[[int], object],
    ours: Callable[[int], object],
) -> None:
    """Print how many times the baseline's CPU time ours takes, the best of some turns each.

    Each turn, given its number, does a week that was not done before; the first is left out, since
    imports and the store's schema are nobody's work.
    """
    times = [(cpu_seconds(baseline, n), cpu_seconds(ours, n)) for n in range(TURNS)][1:]
    base, mine = (min(column) for column in zip(*times, strict=True))
    figures.show(
        f"{name}: baseline {base:.3f} s, ours {mine:.3f} s, ratio {mine / base:.2f}, bar {bar}",
        holds=mine <= bar * base,
    )
