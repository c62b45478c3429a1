"""The page's pictures, as SVG that stands in an HTML page: no script, no font, nothing to load.

``name`` is what the ids in a picture begin with, ``label`` what a screen reader says of it.

Every cell has a letter besides its colour (Okabe and Ito's, which colour-blind readers tell apart),
so that a black-and-white print says the same. Belongs here: how facts look. Does not belong here:
what they are (`facts`).
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from html import escape
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from otc_assets.research.facts import State, SymbolFacts

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: to be searched, read aloud, and tested
    "svg.hashsalt": "otc_assets",  # the same picture is the same bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # what the layout is measured with; short, in each text
    "font.size": 9,
}
WEEKS_A_BAND = 13
"""A quarter: as much as a phone shows legibly."""
WIDTH = 5.0
LABELS, CELL, HEAD = 0.6, 0.335, 0.42
"""Inches: the column of tiers, a cell's side, and what stands above a band."""
NAMED_CORRECTIONS = 6
"""More dates than that would cover each other; the table below the chart has all."""
LINES = (("#0072B2", "-"), ("#D55E00", "--"), ("#000000", ":"))
SHORT = {"NMS Tier 1": "Tier 1", "NMS Tier 2": "Tier 2", "OTC": "OTC"}


@dataclass(frozen=True)
class Look:
    """How a cell looks: its letter and its colours."""

    letter: str
    face: str
    ink: str = "#000000"


STATES = {
    State.MISSING: Look("M", "#D55E00"),
    State.REFUSED: Look("X", "#000000", "#ffffff"),
    State.EMPTY: Look("E", "#ffffff"),
    State.PARTIAL: Look("P", "#F0E442"),
    State.COMPLETE: Look("C", "#d6e8f4"),
    State.CORRECTED: Look("2", "#0072B2", "#ffffff"),
    State.ARCHIVED: Look("A", "#c9b8d8"),
}
"""The letter of a corrected slice is the number of its revision."""
GRADES = {
    "A": Look("A", "#d6e8f4"),
    "B": Look("B", "#a9cfe6"),
    "C": Look("C", "#fdbe85"),
    "D": Look("D", "#d95f0e"),
    "F": Look("F", "#5a1a00", "#ffffff"),
}
UNGRADED = Look("-", "#ffffff")

Cells = Mapping[tuple[str, date], Look]


@mpl.rc_context(STYLE)
def coverage_map(coverage: pd.DataFrame, name: str, label: str) -> str:
    """Draw the state of each slice: a row for each tier, a column for each week."""
    cells = {}
    for row in coverage.to_dict("records"):
        look = STATES[State(row["state"])]
        if row["state"] == State.CORRECTED:
            look = replace(look, letter=str(row["revision"]))
        cells[row["tier"], row["week_ending"]] = look
    return _map(cells, name, label)


@mpl.rc_context(STYLE)
def quality_map(coverage: pd.DataFrame, name: str, label: str) -> str:
    """Draw the grade of each slice in the same places; a dash where it was never judged."""
    cells = {
        (row["tier"], row["week_ending"]): GRADES.get(row["grade"], UNGRADED)
        for row in coverage.to_dict("records")
    }
    return _map(cells, name, label)


def _map(cells: Cells, name: str, label: str) -> str:
    """Draw cells in bands of a quarter, the newest on top, the newest week at its right end."""
    tiers = [tier for tier in SHORT if any(mine == tier for mine, _ in cells)]
    weeks = sorted({week for _, week in cells}, reverse=True)
    count = 1 + (weeks[0] - weeks[-1]).days // 7
    bands = -(-count // WEEKS_A_BAND)
    height = bands * (HEAD + len(tiers) * CELL)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    for band in range(bands):
        top = band * (HEAD + len(tiers) * CELL) + HEAD
        newest = weeks[0] - timedelta(weeks=band * WEEKS_A_BAND)
        shown = [newest - timedelta(weeks=back) for back in range(WEEKS_A_BAND - 1, -1, -1)]
        first = weeks[-1]
        _band_head(axes, [week if week >= first else None for week in shown], top)
        for row, tier in enumerate(tiers):
            y = top + row * CELL
            axes.text(LABELS - 0.08, y + CELL / 2, SHORT[tier], ha="right", va="center", size=8)
            for column, week in enumerate(shown):
                if look := cells.get((tier, week)):
                    _cell(axes, LABELS + column * CELL, y, look)
    return _svg(figure, name, label)


def _band_head(axes: Any, weeks: list[date | None], top: float) -> None:
    """Write the day of each week, and the month where it changes."""
    before: date | None = None
    for column, week in enumerate(weeks):
        if week is None:
            continue
        x = LABELS + column * CELL
        axes.text(x + CELL / 2, top - 0.08, str(week.day), ha="center", size=7, color="#444444")
        if before is None or week.month != before.month:
            year = f" {week.year}" if before is None or week.year != before.year else ""
            axes.text(x + 0.04, top - 0.22, f"{week:%b}{year}", ha="left", size=8, weight="bold")
        before = week


def _cell(axes: Any, x: float, y: float, look: Look) -> None:
    gap = 0.02
    square = Rectangle(
        (x + gap, y + gap),
        CELL - 2 * gap,
        CELL - 2 * gap,
        facecolor=look.face,
        edgecolor="#555555",
        linewidth=0.5,
        clip_on=False,
    )
    axes.add_artist(
        square
    )  # add_patch also looks at the limits, which are set: a third of the time
    axes.text(
        x + CELL / 2, y + CELL / 2, look.letter, ha="center", va="center", size=9, color=look.ink
    )


@mpl.rc_context(STYLE)
def symbol_chart(facts: SymbolFacts, name: str, label: str) -> str:
    """Draw a symbol's volume by week as known now, and what was known first of corrected weeks."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for (tier, rows), (colour, dashes) in zip(facts.weeks.groupby("tier"), LINES, strict=False):
        for number, part in enumerate(_unbroken(rows)):
            legend = SHORT[str(tier)] if number == 0 else ""
            days, volumes = part["week_ending"].tolist(), part["total_volume"].tolist()
            axes.plot(days, volumes, dashes, color=colour, marker=".", label=legend, zorder=2)
    _mark_corrections(axes, facts.corrections)
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.12)
    shown, week = [*facts.weeks["week_ending"], *facts.corrections["week_ending"]], timedelta(7)
    axes.set_xlim(min(shown) - week, max(shown) + week)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda shares, _: short_shares(shares)))
    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylabel("shares a week")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    return _svg(figure, name, label)


def _unbroken(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Part a tier's weeks where one is lacking: a line across it would claim a value."""
    rows = rows.sort_values("week_ending")
    days = rows["week_ending"].tolist()
    starts = [n for n, (a, b) in enumerate(pairwise(days), start=1) if (b - a).days > 7]
    return [rows.iloc[a:b] for a, b in pairwise([0, *starts, len(rows)])]


def _mark_corrections(axes: Any, corrections: pd.DataFrame) -> None:
    ranked = corrections.sort_values("known").to_dict("records")
    for number, row in enumerate(ranked):
        day, first, now = row["week_ending"], row["first_volume"], row["volume"]
        legend = "first published (corrected since)" if number == 0 else ""
        axes.plot([day], [first], "D", mfc="none", mec="black", ms=7, label=legend, zorder=3)
        if pd.notna(now):
            axes.plot([day, day], [first, now], color="black", lw=0.8, zorder=1)
        if number >= len(ranked) - NAMED_CORRECTIONS:
            change = f"now {short_shares(now)}" if pd.notna(now) else "now gone"
            is_above = pd.isna(now) or first >= now
            axes.annotate(
                f"{row['first_known']}: {short_shares(first)}\n{row['known']}: {change}",
                (day, first),
                xytext=(0, 7 if is_above else -7),
                textcoords="offset points",
                ha="center",
                va="bottom" if is_above else "top",
                size=7,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )


def short_shares(shares: float) -> str:
    """Return a quantity of shares in three digits: 1.23 M."""
    for limit, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(shares) >= limit:
            return f"{shares / limit:.3g}{unit}"
    return f"{shares:.3g}"


def _svg(figure: Figure, name: str, label: str) -> str:
    """Return a figure as the element that HTML takes, with ids that no other figure has."""
    written = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML knows them
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
