"""All benchmarks, one after the other, also when one misses its bar: ``python -m benchmarks``.

``--full`` adds those of a year and of all history, ``--record`` keeps the figures for the
documentation. Ends non-zero naming the bars that were missed.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import entry, history, measure

QUICK = (
    "p1_p2_one_week",
    "p3_p4_bulk_write",
    "p7_disk",
    "p8_orchestration --weeks 4",
    "p10_command",
    "p12_metrics",
    "p13_tracing",
)
LONG = (
    "p5_a_year",
    "p6_memory",
    "p8_orchestration --weeks 20",
    "p8_orchestration",
    "p9_as_of",
    "p11_publication",
    "p14_serve",
    "p15_workers",
)


def main() -> str | None:
    """Run them; return what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    names = QUICK + (LONG if arguments.full else ())
    commands = [["-m", *f"benchmarks.{name}".split()] for name in names]
    return recorded(commands) if arguments.record else not_held(commands)


def recorded(benchmarks: list[list[str]]) -> str | None:
    """Do the same, and add the figures to the history and its picture."""
    with tempfile.NamedTemporaryFile() as file:
        os.environ[measure.RECORD], stamp = file.name, history.stamp()
        found = not_held(benchmarks)
        history.append(stamp, csv.reader(Path(file.name).read_text().splitlines()))
    history.draw()
    return found


def not_held(benchmarks: list[list[str]]) -> str | None:
    """Run each as a process of Python's; return the bars that were missed and what failed."""
    missed: dict[str, None] = {}  # of which some have several figures
    failed = []
    for arguments in benchmarks:
        lines, status = _run(arguments)
        missed |= {line.split()[0]: None for line in lines if line.endswith(measure.MISSED)}
        if status not in (0, entry.MISSED):
            failed.append(" ".join(arguments))
    said = [f"Missed: {', '.join(missed)}."] * bool(missed)
    said += [f"Failed: {', '.join(failed)}."] * bool(failed)
    return " ".join(said) or None


def _run(arguments: list[str]) -> tuple[list[str], int]:
    """Print the lines of a process as they come, and return them with its exit status."""
    lines = []
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=entry.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    return lines, process.returncode


if __name__ == "__main__":
    sys.exit(main())
