"""From the bytes of one file to the rows of one slice, and what was refused of it."""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.quality import Intake
from otc_assets.domain.records import content_hashes, slice_content_hash
from otc_assets.domain.rejects import RejectReason, reject_reasons
from otc_assets.domain.shares import parse_shares
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.archive import sha256_of
from otc_assets.sources.dialects import Lines, read_lines
from otc_assets.sources.errors import SourceError
from otc_assets.sources.resolve import resolve

CONTENT = (
    "symbol",
    "mpid",
    "issue_name",
    "venue_name",
    "share_volume",
    "trade_count",
    "product_type",
    "publication_date",
    "revision_date",
)
"""What makes up the content of a row."""

ROW_COLUMNS = ("line_number", *CONTENT, "content_hash")
REJECT_COLUMNS = ("line_number", "reason_code", "raw_line")


@dataclass(frozen=True)
class ParsedFile:
    """A file of one slice, read whole."""

    week: WeekKey
    name: str
    sha256: str
    size: int
    rows: pd.DataFrame
    """One row per good line (`ROW_COLUMNS`)."""
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


def parse(name: str, data: bytes, asked: WeekKey, today: date) -> ParsedFile:
    """Read one file of the slice ``asked`` for.

    Raises:
        SourceError: the file as a whole cannot be taken, or is of another slice.

    """
    lines = read_lines(name, data)
    week = resolve(name, lines, today)
    if week != asked:
        raise SourceError(name, f"holds {week}, not the slice asked for, {asked}")
    good, rejects = _judge(lines, week, today)
    publication = expected_publication_date(week)
    dated = "revision_date" in good
    rows = _rows(good, publication)
    repeats = good.duplicated("raw_line")
    again = good.loc[repeats[repeats].index].assign(reason_code=_REPEAT)
    rejects = pd.concat([rejects, again[list(REJECT_COLUMNS)]]).sort_values("line_number")
    rows = rows[~repeats].reset_index(drop=True)
    if rows.empty:
        raise SourceError(name, f"has no good line; the first is refused for {_first(rejects)}")
    return ParsedFile(
        week=week,
        name=name,
        sha256=sha256_of(data),
        size=len(data),
        rows=rows,
        rejects=rejects.reset_index(drop=True),
        line_count=lines.count,
        content_sha256=slice_content_hash(rows["content_hash"], rejects["raw_line"]),
        publication_date=date.fromisoformat(rows["publication_date"].min()),
        newest_update=date.fromisoformat(rows["revision_date"].max()) if dated else None,
    )


def _first(rejects: pd.DataFrame) -> str:
    first = rejects.iloc[0]
    return f"{first['reason_code']} (line {first['line_number']}: {first['raw_line'][:80]!r})"


def _judge(lines: Lines, week: WeekKey, today: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the good lines from the refused ones."""
    reasons = reject_reasons(lines.rows, week, today)
    refused = lines.rows.assign(reason_code=reasons)[reasons != ""]
    rejects = pd.concat([lines.malformed, refused[list(REJECT_COLUMNS)]])
    good = lines.rows[reasons == ""].reset_index(drop=True)
    return good, rejects.sort_values("line_number").reset_index(drop=True)


def _rows(good: pd.DataFrame, publication: date) -> pd.DataFrame:
    """Give good lines every content column, its type, and their hash."""
    optional = {"issue_name": "", "venue_name": "", "product_type": ""}
    days = {"publication_date": publication.isoformat(), "revision_date": publication.isoformat()}
    text = good.assign(**{k: v for k, v in (optional | days).items() if k not in good})
    hashes = content_hashes([text[column] for column in CONTENT])
    rows = text[["line_number", *CONTENT]].assign(
        share_volume=parse_shares(text["share_volume"]),
        trade_count=text["trade_count"].astype("int64"),
        content_hash=pd.Series(hashes, index=text.index, dtype=object),
    )
    for column in optional:
        rows[column] = rows[column].where(rows[column] != "")
    return rows
