"""From the bytes of one file to the rows of one slice, and what was refused of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import Intake
from otc_assets.domain.records import content_hashes, slice_content_hash
from otc_assets.domain.rejects import RejectReason, reject_reasons
from otc_assets.domain.shares import parse_shares
from otc_assets.domain.tables import Column, ColumnType
from otc_assets.sources.archive import sha256_of
from otc_assets.sources.dialects import Lines, read_lines
from otc_assets.sources.errors import SourceError
from otc_assets.sources.resolve import dataset_of, resolve
from otc_assets.tracing import current, traced

CLOCK_MAY_BE_BEHIND = timedelta(days=366)
"""A date up to this far ahead tells that our clock is behind; one beyond is a slip in its line.
With such a clock, a correction would be kept for ever without the lines that it corrects."""

REJECT_COLUMNS = ("line_number", "reason_code", "raw_line")


def row_columns(dataset: Dataset) -> list[str]:
    """Return the columns that a parsed file gives of each good line."""
    return ["line_number", *(column.name for column in dataset.content), "content_hash"]


@dataclass(frozen=True)
class ParsedFile:
    """A file of one slice, read whole."""

    week: SliceKey
    name: str
    sha256: str
    size: int
    rows: pd.DataFrame
    """One row per good line (`row_columns`)."""
    rejects: pd.DataFrame
    """One row per refused line (`REJECT_COLUMNS`)."""
    line_count: int
    content_sha256: str
    publication_date: date
    newest_update: date | None
    """The newest lastUpdateDate; None in a dialect without dates."""

    @property
    def intake(self) -> Intake:
        """What became of the lines."""
        reasons = self.rejects["reason_code"].value_counts()
        repeats = int(reasons.pop(RejectReason.EXACT_REPEAT)) if _REPEAT in reasons else 0
        return Intake(
            line_count=self.line_count,
            row_count=len(self.rows),
            reject_count=len(self.rejects) - repeats,
            repeat_count=repeats,
            reasons={str(reason): int(count) for reason, count in reasons.items()},
        )


_REPEAT = RejectReason.EXACT_REPEAT.value


@traced("parse")
def parse(
    name: str, data: bytes, asked: SliceKey, today: date, dataset: Dataset = ATS
) -> ParsedFile:
    """Read one file of the slice ``asked`` for.

    Raises:
        SourceError: the file as a whole cannot be taken, or is of another slice or dataset.

    """
    lines = read_lines(name, data)
    found = dataset_of(lines)
    if found is not dataset:
        raise SourceError(name, f"holds {found.title} data, not {dataset.title}")
    week = resolve(name, lines, today)
    if week != asked:
        raise SourceError(name, f"holds {week}, not the slice asked for, {asked}")
    good, rejects = _judge(name, lines, week, today, dataset)
    publication = expected_publication_date(week, dataset)
    dated = "revision_date" in good
    rows = _rows(good, publication, dataset)
    alike = rows["content_hash"].duplicated(keep=False)  # cheaper than to compare all lines
    repeats = alike & good.loc[alike, "raw_line"].duplicated().reindex(good.index, fill_value=False)
    again = good.loc[repeats[repeats].index].assign(reason_code=_REPEAT)
    rejects = pd.concat([rejects, again[list(REJECT_COLUMNS)]]).sort_values("line_number")
    rows = rows[~repeats].reset_index(drop=True)
    if rows.empty:
        raise SourceError(name, f"has no good line; the first is refused for {_first(rejects)}")
    current().set(rows=len(rows), rejects=len(rejects))
    return ParsedFile(
        week=week,
        name=name,
        sha256=sha256_of(data),
        size=len(data),
        rows=rows,
        rejects=rejects.reset_index(drop=True),
        line_count=lines.count,
        content_sha256=content_of(rows, rejects),
        publication_date=date.fromisoformat(rows["publication_date"].min()),
        newest_update=date.fromisoformat(rows["revision_date"].max()) if dated else None,
    )


def head_of(data: bytes, lines: int) -> bytes:
    """Return the first lines of a file as a file; all of it where a line is not a record."""
    end = -1
    for _ in range(lines):
        if (end := data.find(b"\n", end + 1)) < 0:
            return data
    head = data[: end + 1]
    if not head.lstrip().startswith(b"["):
        return head
    records = head.rstrip()
    return records.removesuffix(b",") + b"]" if records.endswith(b"},") else data


def content_of(rows: pd.DataFrame, rejects: pd.DataFrame) -> str:
    """Return the hash of what a slice's lines say, whatever their order."""
    return slice_content_hash(rows["content_hash"], rejects["raw_line"])


def _first(rejects: pd.DataFrame) -> str:
    first = rejects.iloc[0]
    return f"{first['reason_code']} (line {first['line_number']}: {first['raw_line'][:80]!r})"


def _judge(
    name: str, lines: Lines, week: SliceKey, today: date, dataset: Dataset
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the good lines from the refused ones."""
    rows = lines.rows
    if dataset.venue_columns:
        rows = rows.assign(mpid=_venues(rows, dataset.venue_columns))
    reasons = reject_reasons(rows, week, today, dataset)
    _refuse_dates_to_come(name, rows[reasons == RejectReason.FUTURE_DATE.value], today)
    refused = rows.assign(reason_code=reasons)[reasons != ""]
    rejects = pd.concat([lines.malformed, refused[list(REJECT_COLUMNS)]])
    good = rows[reasons == ""].reset_index(drop=True)
    return good, rejects.sort_values("line_number").reset_index(drop=True)


def _refuse_dates_to_come(name: str, future: pd.DataFrame, today: date) -> None:
    """Refuse a file that has lines of a day soon to come."""
    first, last = today.isoformat(), (today + CLOCK_MAY_BE_BEHIND).isoformat()
    for column in ("publication_date", "revision_date"):
        if column in future:
            soon = future[future[column].between(first, last, inclusive="right")]
            if not soon.empty:
                line = soon.iloc[0]
                reason = f"{line[column]} is yet to come, today is {today}: is the clock right?"
                raise SourceError(name, reason, line=int(line["line_number"]))


def _venues(rows: pd.DataFrame, columns: Sequence[str]) -> "pd.Series[str]":
    """Return what identifies the venue of each row; empty where a part of it is missing."""
    parts = [
        rows[column] if column in rows else pd.Series("", rows.index, dtype="str")
        for column in columns
    ]
    venues, *rest = parts
    for part in rest:
        venues = venues.str.cat(part, sep=" ")
    whole = ~pd.concat([part.str.strip() == "" for part in parts], axis=1).any(axis=1)
    return venues.where(whole, "")


def _rows(good: pd.DataFrame, publication: date, dataset: Dataset) -> pd.DataFrame:
    """Give good lines every content column, its type, and their hash.

    A column that not every dialect, or not every row, has is null where there is none.
    """
    names = [column.name for column in dataset.content]
    optional = {column.name: "" for column in dataset.content if column.nullable}
    days = {"publication_date": publication.isoformat(), "revision_date": publication.isoformat()}
    text = good.assign(**{k: v for k, v in (optional | days).items() if k not in good})
    hashes = content_hashes([text[name] for name in names])
    rows = text[["line_number", *names]].assign(
        content_hash=pd.Series(hashes, index=text.index, dtype=object)
    )
    for column in dataset.content:
        rows[column.name] = _typed(text[column.name], column)
    return rows


def _typed(text: "pd.Series[str]", column: Column) -> "pd.Series[Any]":
    """Return the values of a column in the type that frames have; dates stay text."""
    if column.type is ColumnType.DOLLARS or (column.nullable and column.type is ColumnType.SHARES):
        return _amounts(text)
    if column.type is ColumnType.SHARES:
        return parse_shares(text)
    if column.type is ColumnType.COUNT:
        return text.where(text != "").astype("Int64") if column.nullable else text.astype("int64")
    if column.type is ColumnType.NUMBER:
        return pd.to_numeric(text.where(text != "")).astype("float64")
    return text.where(text != "") if column.nullable else text


def _amounts(text: "pd.Series[str]") -> "pd.Series[Any]":
    """Turn amounts into millionths, null where there is none; digits beyond are cut off."""
    amounts = pd.Series(pd.NA, text.index, dtype="Int64")
    known = text != ""
    if known.any():
        amounts[known] = parse_shares(text[known].str.replace(r"(\.\d{6})\d+$", r"\1", regex=True))
    return amounts
