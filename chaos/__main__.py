"""``python -m chaos [NAME ...]``: does the rounds of every experiment, or of those that are named.

Prints the seed, and of each experiment its rounds, its counts and its differences. Exit status 1 if
there is a difference.
"""

import argparse
import secrets
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from benchmarks.entry import own_home
from chaos.experiment import Counts, Experiment, Round, random_of
from chaos.experiments import EXPERIMENTS


class Tally:
    """One experiment under way: how many rounds it has done, and what it found."""

    def __init__(self, experiment: Experiment, rounds: int, first: int) -> None:
        """Do ``rounds`` rounds from number ``first`` on."""
        self.experiment = experiment
        self.rounds = rounds
        self.number = first
        self.done = 0
        self.seconds = 0.0
        self.counts: Counts = Counter()
        self.differences: list[str] = []

    @property
    def share(self) -> float:
        """The part of the rounds that is done: 1 for all."""
        return self.done / self.rounds

    def step(self, play: Round, seed: int) -> None:
        """Do the next round; a difference is told at once, and ends no other round."""
        name, began = self.experiment.name, monotonic()
        try:
            play(random_of(seed, name, self.number), self.counts)
        except Exception:
            again = f"python -m chaos {name} --seed {seed} --first {self.number} --rounds 1"
            self.differences.append(again)
            print(f"DIFFERENCE in {name}, again by: {again}", self.experiment.claim, sep="\n")
            print(traceback.format_exc(), flush=True)
        self.seconds += monotonic() - began
        self.number += 1
        self.done += 1

    def __str__(self) -> str:
        """Return one line of the table."""
        counts = ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))
        return (
            f"{self.experiment.name:<12} {self.done:>6,} rounds {self.seconds:>7.0f} s "
            f"{len(self.differences):>3} differences   {counts}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says, and return the exit status."""
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one")
    parser.add_argument("--short", action="store_true", help="the rounds that CI runs")
    parser.add_argument("--minutes", type=float, help="as many rounds as fit, in proportion")
    parser.add_argument("--rounds", type=int, help="of each experiment (default: its own)")
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(names):
        parser.error(f"no experiment {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    tallies = [
        Tally(each, given.rounds or (each.short if given.short else each.long), given.first)
        for each in EXPERIMENTS
        if each.name in (given.names or names)
    ]
    with own_home():
        run(tallies, seed, given.minutes)
    print(*tallies, sep="\n")
    return int(any(tally.differences for tally in tallies))


def run(tallies: list[Tally], seed: int, minutes: float | None) -> None:
    """Do the rounds, each of the experiment that is furthest behind, until all or time is done."""
    end = None if minutes is None else monotonic() + 60 * minutes
    with ExitStack() as stack:
        rounds: dict[str, Round] = {}
        while end is None or monotonic() < end:
            next_one = min(tallies, key=lambda tally: tally.share)
            if end is None and next_one.share >= 1:
                return
            experiment = next_one.experiment
            if experiment.name not in rounds:
                folder = Path(tempfile.mkdtemp(prefix=f"{experiment.name}-"))
                rounds[experiment.name] = stack.enter_context(experiment.prepare(folder))
            next_one.step(rounds[experiment.name], seed)


if __name__ == "__main__":
    sys.exit(main())
