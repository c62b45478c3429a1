"""What a URL may ask for: each argument described for OpenAPI, and checked by `research`'s rules.

An error names the argument. A symbol is never changed, not even its case.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.research.arguments import dataset_named, day_known, fridays_of, tiers_of
from otc_assets.serving.limits import (
    DEFAULT_ROWS,
    MAX_CURSOR,
    MAX_ROWS,
    MAX_SYMBOLS,
    MAX_TEXT,
    MAX_WEEKS,
)
from otc_assets.serving.problems import Problem

T = TypeVar("T")
FORMATS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
"""Each format, and its media type."""
TIERS = [tier.value for tier in Tier]
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": r"^[^\x00]+$"}


def _of_items(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"items": items, "maxItems": most}


Day = Annotated[
    str,
    Query(
        description="The day at whose end in New York something was known, or a moment with its "
        "zone: then the last day that had ended there.",
        examples=["2025-07-15"],
        json_schema_extra={"format": "date"},
    ),
]
Symbols = Annotated[
    list[str] | None,
    Query(
        alias="symbol",
        description=f"As FINRA writes it; may be repeated, up to {MAX_SYMBOLS} times.",
        examples=[["PXDT"]],
        json_schema_extra=_of_items(_TEXT, MAX_SYMBOLS),
    ),
]
Symbol = Annotated[
    str, Query(description="As FINRA writes it.", examples=["PXDT"], json_schema_extra=_TEXT)
]
Venues = Annotated[
    list[str] | None,
    Query(
        alias="venue",
        description=f"A venue by its mpid; may be repeated, up to {MAX_SYMBOLS} times.",
        examples=[["ABCD"]],
        json_schema_extra=_of_items(_TEXT, MAX_SYMBOLS),
    ),
]
Tiers = Annotated[
    list[str] | None,
    Query(
        alias="tier",
        description="May be repeated (default: all).",
        examples=[["NMS Tier 1"]],
        json_schema_extra=_of_items({"type": "string", "enum": TIERS}, 10),
    ),
]
Weeks = Annotated[
    list[str] | None,
    Query(
        alias="week",
        description=f"A week by its Friday; may be repeated, up to {MAX_WEEKS} times (default: all "
        "weeks, page by page).",
        examples=[["2025-05-16"]],
        json_schema_extra=_of_items({"type": "string", "format": "date"}, MAX_WEEKS),
    ),
]
DatasetName = Annotated[
    str,
    Query(
        description="Of dark pools (ats) or of dealers (non_ats).",
        json_schema_extra={"enum": [dataset.name for dataset in DATASETS]},
    ),
]
Format = Annotated[
    str | None,
    Query(
        description="Goes before the header Accept (default: json).",
        json_schema_extra={"enum": list(FORMATS)},
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows of a page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=MAX_CURSOR,
        description="Where the page begins: ``next`` of the page before, with the same question.",
    ),
]
ROWS = DEFAULT_ROWS


def checked(argument: str, check: Callable[..., T], *values: Any) -> T:
    """Return what ``check`` gives of some values, or say that this argument is wrong.

    Raises:
        Problem: 422, naming the argument and what is allowed.

    """
    try:
        return check(*values)
    except (TypeError, ValueError, OverflowError) as error:
        raise Problem(422, str(error), argument) from None


def day_of(argument: str, text: str) -> date:
    """Return the last day whose publications are known then (see `research.arguments`)."""
    return checked(argument, day_known, text)


def tiers_named(tiers: Sequence[str] | None) -> list[str] | None:
    """Return tiers that there are."""
    return None if tiers is None else [t.value for t in checked("tier", tiers_of, tiers)]


def weeks_named(weeks: Sequence[str] | None, most: int = MAX_WEEKS) -> list[date] | None:
    """Return weeks by their Friday."""
    if weeks is not None and len(weeks) > most:
        raise Problem(422, f"{len(weeks)} weeks; at most {most} may be named", "week")
    return checked("week", fridays_of, weeks)


def names(argument: str, values: Sequence[str] | None) -> list[str] | None:
    """Return the texts of an argument that may be repeated."""
    if values is None:
        return None
    if len(values) > MAX_SYMBOLS:
        raise Problem(422, f"{len(values)} of them; at most {MAX_SYMBOLS} may be named", argument)
    return [name(argument, value) for value in values]


def name(argument: str, value: str) -> str:
    """Return a text that a database can be asked for."""
    if not value or len(value) > MAX_TEXT or "\0" in value:
        raise Problem(422, f"a text of 1 to {MAX_TEXT} characters, without NUL", argument)
    return value


def dataset_of(text: str) -> str:
    """Return the name of a dataset that there is."""
    return checked("dataset", dataset_named, text).name


def only_known(request: Request) -> None:
    """Refuse arguments that a route does not have: a misspelt one would widen the question.

    Raises:
        Problem: 422, naming the argument and those that there are.

    """
    allowed = known_arguments(request)
    for argument in request.query_params:
        if argument not in allowed:
            there = ", ".join(sorted(allowed)) or "none"
            raise Problem(422, f"no such argument; there are {there}", ascii(argument)[1:-1])


def known_arguments(request: Request) -> set[str]:
    """Return the arguments that the route of a request has."""
    found, todo = set(), [request.scope["route"].dependant]
    while todo:
        dependant = todo.pop()
        found |= {field.alias for field in dependant.query_params}
        todo += dependant.dependencies
    return found
