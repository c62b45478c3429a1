"""Runs baseline and project in turns, and prints both with their ratio and the bar."""

import time
from collections.abc import Callable

TURNS = 8


def verdict(*, holds: bool) -> str:
    """Return what is printed of a bar."""
    return "holds" if holds else "MISSED"


def cpu_seconds(work: Callable[[int], object], turn: int) -> float:
    """Return the CPU time of this process that a turn of ``work`` takes."""
    started = time.process_time()
    work(turn)
    return time.process_time() - started


def compare(
    name: str, bar: float, baseline: Callable[[int], object], ours: Callable[[int], object]
) -> None:
    """Print how many times the baseline's CPU time ours takes, the best of some turns each.

    Each turn, given its number, does a week that was not done before; the first is left out, since
    imports and the store's schema are nobody's work.
    """
    times = [(cpu_seconds(baseline, n), cpu_seconds(ours, n)) for n in range(TURNS)][1:]
    base, mine = (min(column) for column in zip(*times, strict=True))
    print(
        f"{name}: baseline {base:.3f} s, ours {mine:.3f} s, ratio {mine / base:.2f}, "
        f"bar {bar} ({verdict(holds=mine <= bar * base)})"
    )
