"""An answer: some rows, what they are, how many there are in all, and how to ask for the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson
import pandas as pd

from otc_assets.domain.tables import Column
from otc_assets.serving.asking import TERMS
from otc_assets.serving.described import row_schema
from otc_assets.serving.formats import records
from otc_assets.serving.limits import MAX_ANSWER_BYTES

UNITS = (
    "shares; US dollars; percentages 0 to 100; HHI 0 to 10,000; weeks are named by their Friday, "
    "and days end in New York"
)
FIELDS: dict[str, Any] = {
    "dataset": {"type": "string", "description": "ats (dark pools) or non_ats (dealers)."},
    "as_of": {
        "type": ["string", "null"],
        "format": "date",
        "description": "The day at whose end this was known. Say it with every number.",
    },
    "about": {
        "type": ["string", "null"],
        "description": "The tier and the week that all rows are of, if they do not say it.",
    },
    "units": {"type": "string"},
    "total": {"type": "integer", "description": "Rows that the question has."},
    "rows": {"type": "integer", "description": "Rows of this answer."},
    "offset": {"type": "integer", "description": "Rows before those of this answer."},
    "more": {
        "type": ["string", "null"],
        "description": "How to ask for the rows that follow; null at the end.",
    },
    "warnings": {"type": "array", "items": {"type": "string"}},
    **{name: {"type": "string"} for name in TERMS},
}
META = {"type": "object", "required": list(FIELDS), "properties": FIELDS}


@dataclass
class Answer:
    """What a tool has found, before it is cut to what fits."""

    frame: pd.DataFrame
    """Every row that the question has, in order."""
    as_of: date | None
    warnings: list[str] = field(default_factory=list)
    about: str | None = None
    """The tier and the week, if the rows do not say them."""
    explanation: dict[str, Any] | None = None
    """What is told beside the rows."""


def told(answer: Answer, dataset: str, columns: Sequence[Column], offset: int, limit: int) -> bytes:
    """Return an answer as JSON of at most `MAX_ANSWER_BYTES`, with as many rows as fit."""
    names = [column.name for column in columns]
    rows = records(answer.frame[names].iloc[offset : offset + limit])
    while len(text := _told(answer, dataset, rows, offset)) > MAX_ANSWER_BYTES and rows:
        rows = rows[: min(len(rows) - 1, len(rows) * MAX_ANSWER_BYTES // len(text))]
    return text


def _told(answer: Answer, dataset: str, rows: list[dict[str, Any]], offset: int) -> bytes:
    total, end = len(answer.frame), offset + len(rows)
    left = max(0, total - end)
    body: dict[str, Any] = {
        "meta": {
            "dataset": dataset,
            "as_of": answer.as_of and answer.as_of.isoformat(),
            "about": answer.about,
            "units": UNITS,
            "total": total,
            "rows": len(rows),
            "offset": offset,
            "more": f"{left:,} rows follow: ask the same with offset={end}" if left else None,
            "warnings": answer.warnings,
        }
        | TERMS,
        "rows": rows,
    }
    if answer.explanation is not None:
        body["explanation"] = answer.explanation
    return orjson.dumps(body, default=str)


def schema_of(
    columns: Sequence[Column], lists: Sequence[str] = (), *, explained: bool = False
) -> dict[str, Any]:
    """Return the JSON schema of a tool's answers, given its columns and which are lists."""
    properties = {"meta": META, "rows": {"type": "array", "items": row_schema(columns, lists)}}
    if explained:
        properties["explanation"] = {"type": "object"}
    return {"type": "object", "required": ["meta", "rows"], "properties": properties}
