"""What is known of venues from public documents: it overrules what the rules conclude.

A row of `corrections.csv` says of one venue, in some weeks, its name or its successor, and in which
document that can be read. It counts from that document's day on.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from otc_assets.domain.weeks import validated_week_ending
from otc_assets.research.arguments import dataset_named
from otc_assets.research.registry.intervals import Row, joined
from otc_assets.research.registry.succession import Claim, with_claims

FILE = Path(__file__).parent / "corrections.csv"
HEADER = ["dataset", "venue", "first_week", "last_week", "column", "value", "source_date", "source"]
NAME, SUCCESSOR = "name", "successor"


@dataclass(frozen=True)
class Correction:
    """One row of the file."""

    dataset: str
    venue: str
    """An MPID, or the CRD number of a dealer."""
    first_week: date
    last_week: date
    column: str
    value: str
    """A name, or a venue; empty: it has no successor."""
    source_date: date
    """When the document was public, at the latest; before that day nothing is corrected."""
    source: str

    def is_about(self, row: Row) -> bool:
        """Tell whether it is about a week of an interval."""
        is_then = self.first_week <= row["last_week"] and row["valid_from"] <= self.last_week
        return is_then and bool(self.venue == row["venue"])


def read_corrections(file: Path | None = None) -> tuple[Correction, ...]:
    """Return the rows of a file (default: `FILE`).

    Raises:
        ValueError: a row is wrong; the message names file, line and value.

    """
    file = file or FILE
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        found = []
        for row in reader:
            try:
                if reader.line_num == 1:
                    _check_header(row)
                elif row:
                    found.append(_correction(row))
            except ValueError as error:
                raise ValueError(f"{file.name}, line {reader.line_num}: {error}") from error
    return tuple(found)


def _check_header(row: list[str]) -> None:
    if row != HEADER:
        raise ValueError(f"the header is {','.join(row)!r}, and has to be {','.join(HEADER)!r}")


def _correction(row: list[str]) -> Correction:
    if len(row) != len(HEADER):
        raise ValueError(f"{len(row)} fields instead of {len(HEADER)}: {','.join(row)!r}")
    text = dict(zip(HEADER, row, strict=True))
    dataset_named(text["dataset"])
    if text["column"] not in (NAME, SUCCESSOR):
        raise ValueError(f"column is {text['column']!r}, and has to be {NAME} or {SUCCESSOR}")
    for name in ("venue", "source", *([] if text["column"] == SUCCESSOR else ["value"])):
        if not text[name].strip():
            raise ValueError(f"{name} is {text[name]!r}, and has to say something")
    first, last = (validated_week_ending(_day(text[n])) for n in ("first_week", "last_week"))
    if last < first:
        raise ValueError(f"last_week {last} is before first_week {first}")
    if text["column"] == SUCCESSOR and text["value"] == text["venue"]:
        raise ValueError(f"{text['venue']!r} cannot be its own successor")
    weeks: dict[str, Any] = {"first_week": first, "last_week": last}
    return Correction(**text | weeks | {"source_date": _day(text["source_date"])})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day: write 2025-01-17") from None


def known_by(corrections: Iterable[Correction], dataset: str, day: date | None) -> list[Correction]:
    """Return those of a dataset that were public at the end of a day, the oldest first."""
    mine = [c for c in corrections if c.dataset == dataset and (not day or c.source_date <= day)]
    return sorted(mine, key=lambda each: each.source_date)


def with_names(seen: pd.DataFrame, corrections: Sequence[Correction]) -> pd.DataFrame:
    """Return the weeks in which venues were seen with their names as corrected."""
    names = seen["name"].astype(object)
    for each in (c for c in corrections if c.column == NAME):
        weeks = seen["week_ending"].between(each.first_week, each.last_week)
        names = names.mask((seen["venue"] == each.venue) & weeks, each.value)
    return seen.assign(name=names)


def corrected(rows: Sequence[Row], corrections: Sequence[Correction]) -> list[Row]:
    """Return intervals with their successors as corrected, and ``corrected_by``: the documents."""
    claims: dict[int, Claim] = {}
    documents: list[str | None] = []
    for at, row in enumerate(rows):
        if row["successor"]:
            claims[at] = row["successor"], row["successor_confidence"], row["successor_evidence"]
        mine = [each for each in corrections if each.is_about(row)]
        for each in (c for c in mine if c.column == SUCCESSOR):
            facts = {"source": each.source, "source_date": str(each.source_date)}
            claims[at] = each.value or None, 100.0, facts
        documents.append(joined(f"{c.source} ({c.source_date})" for c in mine) or None)
    found = with_claims(rows, claims)
    return [row | {"corrected_by": by} for row, by in zip(found, documents, strict=True)]
