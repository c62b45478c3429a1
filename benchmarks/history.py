"""What was measured at which commit: a CSV, and its picture in the documentation.

One row per figure of a run of all benchmarks: date, commit (with ``+`` if files were changed),
machine, the figure's name, its value, and its bar. Only runs of one machine compare.
"""

import csv
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap

from matplotlib.figure import Figure

from benchmarks.entry import ROOT

HISTORY = ROOT / "benchmarks" / "history.csv"
PICTURE = ROOT / "docs" / "benchmarks.png"
COLUMNS = ("date", "commit", "machine", "figure", "value", "bar")
PANELS_A_ROW = 4


def stamp() -> list[str]:
    """Return what is measured from now on: date, commit and machine."""
    return [f"{datetime.now(UTC):%Y-%m-%d %H:%M}", _commit(), _machine()]


def append(shared: list[str], figures: Iterable[list[str]], history: Path = HISTORY) -> None:
    """Add the figures (name, value, bar) of one run, whose ``shared`` is its `stamp`."""
    is_new = not history.exists()
    with history.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerows([*shared, *figure] for figure in figures)


def draw(history: Path = HISTORY, picture: Path = PICTURE) -> None:
    """Draw each figure over the runs that have it, beside its bar."""
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["figure"] for row in rows}, key=_in_order)
    lines = -(-len(names) // PANELS_A_ROW)
    figure = Figure(figsize=(3.4 * PANELS_A_ROW, 1.9 * lines), layout="constrained")
    panels = figure.subplots(lines, PANELS_A_ROW, squeeze=False).flat
    for name, axes in zip(names, panels, strict=False):  # in this order: it takes no panel too many
        mine = [row for row in rows if row["figure"] == name]
        runs = [f"{row['date'][:10]}\n{row['commit']}" for row in mine]
        at = list(range(len(runs)))
        axes.plot(at, [float(row["value"]) for row in mine], marker="o")
        bar = mine[-1]["bar"]
        axes.axhline(float(bar[2:]), linestyle="--", color="grey")
        axes.set_title("\n".join([*wrap(name, 44), f"bar {bar}"]), fontsize=7)
        axes.margins(y=0.15)
        axes.set_ylim(bottom=0)
        axes.set_xticks(at[:: max(1, len(at) // 3)], runs[:: max(1, len(at) // 3)], fontsize=6)
        axes.tick_params(axis="y", labelsize=6)
    for axes in list(panels):
        axes.set_axis_off()
    figure.savefig(picture, dpi=100)


def _in_order(name: str) -> tuple[int, str]:
    """Order P2 before P10."""
    number = name.split(maxsplit=1)[0].lstrip("P")
    return int(number), name


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short=10", "HEAD") + "+" * bool(changed)


def _machine() -> str:
    models = [
        line.split(":", 1)[1].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


if __name__ == "__main__":
    draw()
