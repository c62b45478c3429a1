"""What an experiment is: one kind of fault, and what must hold after each of them.

A round breaks something at a place that its random numbers choose, lets the platform recover by the
means that a user has, and compares with an answer that was made by other means. Its random numbers
come from the seed, the experiment's name and the round's number alone, so that one round can be run
again by itself.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random

Counts = Counter[str]
"""What was done, by name: kills, statements, mutated files."""
Round = Callable[[Random, Counts], None]
"""Does one round, and counts what it does; an AssertionError is a difference."""


@dataclass(frozen=True)
class Experiment:
    """One kind of fault."""

    name: str
    claim: str
    """What must hold after each fault; one line."""
    short: int
    """Rounds in the short form, which CI runs."""
    long: int
    """Rounds in the long form, which is run by hand."""
    prepare: Callable[[Path], AbstractContextManager[Round]]
    """Make ready, once, in an empty folder; gives what does a round."""


def random_of(seed: int, name: str, number: int) -> Random:
    """Return the random numbers of one round."""
    return Random(f"{seed} {name} {number}")
