"""Pages: an answer in parts that are read one at a time, and a cursor that says where to go on.

A cursor is the key of the last row that was sent, not a number of rows: rows that come or go in the
meantime neither repeat nor hide any other.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd

from otc_assets.serving.limits import MAX_PARTS
from otc_assets.serving.problems import Problem


@dataclass(frozen=True)
class Part:
    """Rows that are read at once."""

    name: str
    """Parts are in the order of their names."""
    read: Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Place:
    """Where a page begins."""

    part: str
    row: list[Any] | None = None
    """The key of the last row before it; None: the part begins here."""


@dataclass(frozen=True)
class Page:
    """Some rows of an answer, and where the next ones are; None if there are none."""

    rows: pd.DataFrame
    following: Place | None = None


def page_of(parts: Sequence[Part], key: Sequence[str], start: Place | None, limit: int) -> Page:
    """Return up to ``limit`` rows from a place on; the rows of a part are in the order of ``key``.

    At least one part is needed: it says which columns there are.
    """
    todo = [part for part in parts if start is None or part.name >= start.part]
    found: list[pd.DataFrame] = []
    room = limit
    for number, part in enumerate(todo):
        if number == MAX_PARTS or not room:
            return Page(_joined(found), Place(part.name))
        rows = _ordered(normal(part.read()), key)
        if start and start.row is not None and part.name == start.part:
            rows = _beyond(rows, key, start.row)
        if len(rows) > room:
            last = rows.iloc[room - 1]
            found.append(rows.iloc[:room])
            return Page(_joined(found), Place(part.name, [_plain(last[name]) for name in key]))
        found.append(rows)
        room -= len(rows)
    return Page(_joined(found or [normal(parts[0].read()).iloc[:0]]))


def normal(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with days and moments as pandas has them, wherever they come from."""
    days = {}
    objects = [name for name, kind in frame.dtypes.items() if kind == np.dtype(object)]
    for name in objects:
        values = frame[name]
        first = next((value for value in values if value is not None), None)
        if isinstance(first, datetime):
            days[str(name)] = pd.to_datetime(values, utc=True)
        elif isinstance(first, date):
            days[str(name)] = pd.to_datetime(values).astype("datetime64[s]")
    return frame.assign(**days) if days else frame


def _ordered(rows: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Return rows by code points, as SQLite has them: PostgreSQL's order depends on its locale."""
    # Tiers and rules are of ASCII: every locale has these in one order.
    if "symbol" not in key or rows["symbol"].is_monotonic_increasing:
        return rows
    return rows.sort_values(list(key), ignore_index=True)


def _beyond(rows: pd.DataFrame, key: Sequence[str], last: list[Any]) -> pd.DataFrame:
    """Return the rows whose key is greater."""
    after = pd.Series(False, rows.index)
    try:
        for name, value in reversed(list(zip(key, last, strict=True))):
            values = rows[name]
            bound = pd.Timestamp(value) if values.dtype.kind == "M" else value
            after = (values > bound) | ((values == bound) & after)
    except (TypeError, ValueError):
        raise Problem(422, "no cursor of this question", "cursor") from None
    return rows[after.to_numpy(dtype=bool)]


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def encoded(question: str, place: Place) -> str:
    """Return a place as a text for URLs."""
    value = orjson.dumps([_short(question), place.part, place.row])
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def decoded(question: str, cursor: str) -> Place:
    """Return the place that a cursor of the same question says.

    Raises:
        Problem: it is none.

    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        of, part, row = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError):
        raise Problem(422, "no cursor: take `next` of the page before", "cursor") from None
    if of != _short(question) or not isinstance(part, str) or not isinstance(row, list | None):
        raise Problem(422, "a cursor of another question", "cursor")
    return Place(part, row)


def _short(question: str) -> str:
    return hashlib.blake2b(question.encode(), digest_size=6).hexdigest()
