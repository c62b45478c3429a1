"""What OpenAPI says of answers: the columns of each, in every format, with an example."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from otc_assets.domain.tables import Column, ColumnType, Table
from otc_assets.research.knowledge import OURS
from otc_assets.serving.arguments import FORMATS
from otc_assets.serving.asking import TERMS
from otc_assets.serving.problems import MEDIA_TYPE, SCHEMA

NUMBER: dict[str, Any] = {"type": "number"}
TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.TEXT: {"type": "string"},
    ColumnType.DATE: {"type": "string", "format": "date"},
    ColumnType.SHARES: NUMBER,
    ColumnType.DOLLARS: NUMBER,
    ColumnType.COUNT: {"type": "integer"},
    ColumnType.NUMBER: NUMBER,
    ColumnType.FLAG: {"type": "boolean"},
    ColumnType.HASH: {"type": "string"},
    ColumnType.TIMESTAMP: {"type": "string", "format": "date-time"},
    ColumnType.JSON: {"type": ["object", "array"]},
}
SAMPLES: dict[ColumnType, Any] = {
    ColumnType.TEXT: "text",
    ColumnType.DATE: "2025-05-16",
    ColumnType.SHARES: 2_850_190.5,
    ColumnType.DOLLARS: 48_210_000.25,
    ColumnType.COUNT: 12,
    ColumnType.NUMBER: 21.5,
    ColumnType.FLAG: False,
    ColumnType.HASH: "9f86d081884c7d659a2feaa0c55ad015",
    ColumnType.TIMESTAMP: "2025-06-02T21:04:11+00:00",
    ColumnType.JSON: {},
}
NAMED: dict[str, Any] = {"symbol": "PXDT", "tier": "NMS Tier 1", "mpid": "ABCD", "dataset": "ats"}
"""Samples of columns that everybody knows."""
TEXTS = Column("", ColumnType.TEXT, "")
META: dict[str, Any] = {
    "type": "object",
    "required": ["dataset", "as_of", "rows", "next", "warnings", *TERMS],
    "properties": {
        "dataset": {"type": "string", "description": "ats (dark pools) or non_ats (dealers)."},
        "as_of": {
            "type": ["string", "null"],
            "format": "date",
            "description": "The day at whose end in New York this was known.",
        },
        "rows": {"type": "integer", "description": "Of this page."},
        "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
        "warnings": {"type": "array", "items": {"type": "string"}},
        **{name: {"type": "string"} for name in TERMS},
    },
}
ERRORS = {
    401: "No token, or another one.",
    404: "There is no such thing.",
    406: "No format that Accept allows.",
    422: "An argument is wrong; which, and what is allowed.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "The store cannot be read, a query took too long, or too many are asking.",
}


def columns_of(table: Table, *more: Column, without: Sequence[str] = ()) -> list[Column]:
    """Return the columns that an answer of a table has: without our run ids."""
    return [c for c in table.columns if c.name not in {*OURS, *without}] + list(more)


def column(name: str, kind: ColumnType, description: str, *, nullable: bool = False) -> Column:
    """Return a column of an answer that is no table."""
    return Column(name, kind, description, nullable)


def twice(columns: Iterable[Column]) -> list[Column]:
    """Return columns as they were before and after."""
    return [
        replace(each, name=f"{each.name}_{end}", nullable=True)
        for each in columns
        for end in ("before", "after")
    ]


def responses(columns: Sequence[Column], lists: Sequence[str] = ()) -> dict[int | str, Any]:
    """Return the answers of a route for OpenAPI, given its columns and which are lists of texts."""
    row = row_schema(columns, lists)
    example = {
        "meta": {"dataset": "ats", "as_of": "2025-07-15", "rows": 1, "next": None, "warnings": []}
        | TERMS,
        "data": [{each.name: _sample(each, each.name in lists) for each in columns}],
    }
    schema = {
        "type": "object",
        "required": ["meta", "data"],
        "properties": {"meta": META, "data": {"type": "array", "items": row}},
    }
    content: dict[str, Any] = {FORMATS["json"]: {"schema": schema, "example": example}}
    content |= {media: {} for kind, media in FORMATS.items() if kind != "json"}
    found: dict[int | str, Any] = {
        200: {"description": "A page of rows.", "content": content},
        304: {"description": "The client has this answer (If-None-Match)."},
    }
    return found | errors()


def row_schema(columns: Sequence[Column], lists: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON schema of a row, given its columns and which are lists of texts."""
    return {
        "type": "object",
        "required": [each.name for each in columns],
        "additionalProperties": False,
        "properties": {each.name: _property(each, each.name in lists) for each in columns},
    }


def errors() -> dict[int | str, Any]:
    """Return the errors that any route may answer with."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    return {status: {"description": text, "content": content} for status, text in ERRORS.items()}


def _property(each: Column, is_list: bool) -> dict[str, Any]:
    found = {"type": "array", "items": {"type": "string"}} if is_list else dict(TYPES[each.type])
    if each.nullable:
        kinds = found["type"]
        found["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    return found | {"description": each.description}


def _sample(each: Column, is_list: bool) -> Any:
    return ["total_volume"] if is_list else NAMED.get(each.name, SAMPLES[each.type])
