"""How slices stand, as calendars in SVG: a block for each year, a row for each tier, a cell a week.

What says nothing is folded: years without a week in the store, and weeks after the newest one, are
a line of text. Every cell that is not as it should be has a letter beside its colour, so that a
black-and-white print says the same. Belongs here: how coverage looks. Does not belong here: what a
slice's state is (`facts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from itertools import groupby

import pandas as pd
from markupsafe import Markup

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import week_ending_of
from otc_assets.research.facts import State
from otc_assets.research.look import NAMES

CELL, GAP, LABELS, HEAD = 14, 1, 44, 26
"""Units: a cell's side, what is left between two, the names of tiers, what is above a year."""
WEEKS = 53
LETTERS = {
    State.MISSING: "M",
    State.NOT_OFFERED: "N",
    State.REFUSED: "X",
    State.EMPTY: "E",
    State.PARTIAL: "P",
    State.COMPLETE: "",
    State.CORRECTED: "2",
    State.ARCHIVED: "A",
}
"""The letter of a corrected slice is the number of its revision."""
ABSENT = {
    State.MISSING: "due and missing",
    State.NOT_OFFERED: "due, and no longer offered by FINRA",
}
"""The states of slices of which nothing is in the store, and what is said of them."""
GRADES = {"A": "", "B": "B", "C": "C", "D": "D", "F": "F", "": "-"}
NO_GRADE = "none"


@dataclass(frozen=True)
class Cell:
    """A class of `look.css` (``c-`` and the name), and a letter."""

    name: str
    letter: str


@dataclass(frozen=True)
class Calendar:
    """A picture of the years that have a week, and lines for what is folded."""

    picture: Markup
    folded: list[str]


def coverage_map(coverage: pd.DataFrame, label: str) -> Calendar:
    """Draw the state of each slice of `facts.coverage`."""
    cells = {}
    for row in coverage.to_dict("records"):
        state = State(row["state"])
        letter = str(row["revision"]) if state is State.CORRECTED else LETTERS[state]
        cells[row["tier"], row["week_ending"]] = Cell(state.value, letter)
    return _calendar(coverage, cells, label)


def quality_map(coverage: pd.DataFrame, label: str) -> Calendar:
    """Draw the grade of each slice in the same places; a dash where it was never judged."""
    cells = {
        (row["tier"], row["week_ending"]): Cell(
            f"grade-{row['grade'] or NO_GRADE}", GRADES[row["grade"]]
        )
        for row in coverage.to_dict("records")
    }
    return _calendar(coverage, cells, label)


def _calendar(
    coverage: pd.DataFrame, cells: Mapping[tuple[str, date], Cell], label: str
) -> Calendar:
    there = coverage[~coverage["state"].isin(ABSENT)]
    newest = there["week_ending"].max() if len(there) else None
    late = coverage if newest is None else coverage[coverage["week_ending"] > newest]
    shown = {key: cell for key, cell in cells.items() if newest is not None and key[1] <= newest}
    years = sorted({week.year for _, week in shown}, reverse=True)
    full = {week.year for week in there["week_ending"]}
    folded = [_due(late, newest, state) for state in ABSENT if (late["state"] == state).any()]
    folded += _empty_years([year for year in years if year not in full])
    drawn = [year for year in years if year in full]
    return Calendar(_picture(drawn, shown, label), folded)


def _due(late: pd.DataFrame, newest: date | None, state: State) -> str:
    """Say what FINRA has published since the newest week in the store."""
    late = late[late["state"] == state]
    weeks = sorted(set(late["week_ending"]))
    since = f"After the newest week in the store, {newest}," if newest else "The store is empty:"
    span = f"{weeks[0]} to {weeks[-1]}" if len(weeks) > 1 else str(weeks[0])
    slices = "slice is" if len(late) == 1 else f"slices ({len(weeks)} weeks by tier) are"
    return f"{since} {len(late)} {slices} {ABSENT[state]}: weeks ending {span}."


def _empty_years(years: Sequence[int]) -> list[str]:
    """Say of which years nothing is in the store, those that follow each other together."""
    runs = groupby(enumerate(sorted(years)), key=lambda pair: pair[1] - pair[0])
    found = []
    for _, run in runs:
        these = [year for _, year in run]
        span = str(these[0]) if len(these) == 1 else f"{these[0]} to {these[-1]}"
        found.append(f"{span}: no week is in the store.")
    return found


def _picture(years: Sequence[int], cells: Mapping[tuple[str, date], Cell], label: str) -> Markup:
    tiers = [tier for tier in Tier if any(mine == tier for mine, _ in cells)]
    block = HEAD + len(tiers) * CELL
    boxes: dict[str, list[str]] = {}
    texts = []
    for number, year in enumerate(years):
        top = number * block
        texts += _head(year, top)
        for row, tier in enumerate(tiers):
            y = top + HEAD + row * CELL
            name = NAMES["short_tier"][tier.value]
            texts.append(f'<text class="t" x="{LABELS - 4}" y="{y + 10}">{name}</text>')
            letters = []
            for (mine, week), cell in cells.items():
                if mine == tier and week.year == year:
                    x = LABELS + _column(week) * CELL
                    side = CELL - GAP
                    boxes.setdefault(cell.name, []).append(f"M{x} {y}h{side}v{side}h-{side}z")
                    if cell.letter:
                        letters.append((x + side / 2, cell))
            texts += _letters(letters, y + 10)
    paths = "".join(f'<path class="c-{name}" d="{"".join(d)}"/>' for name, d in boxes.items())
    width, height = LABELS + WEEKS * CELL, max(1, len(years)) * block
    return Markup(
        f'<svg class="calendar" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width} {height}">{paths}{"".join(texts)}</svg>'
    )


def _head(year: int, top: int) -> list[str]:
    """Return the name of a year, and of each month above its first Friday."""
    found = [f'<text class="h" x="0" y="{top + HEAD - 6}">{year}</text>']
    for month in range(1, 13):
        day = date(year, month, 1)
        friday = week_ending_of(day)
        x = LABELS + _column(friday if friday >= day else day) * CELL
        found.append(f'<text class="m" x="{x}" y="{top + HEAD - 6}">{day:%b}</text>')
    return found


def _letters(letters: Sequence[tuple[float, Cell]], y: int) -> list[str]:
    return [
        f'<text class="k k-{cell.name}" x="{x:g}" y="{y}">{escape(cell.letter)}</text>'
        for x, cell in letters
    ]


def _column(week: date) -> int:
    """Return which Friday of its year a week is, from 0."""
    return (week.timetuple().tm_yday - 1) // 7
