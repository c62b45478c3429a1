"""What happened to slices and files, in order, and why."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Path, Query, Response

from otc_assets.domain.events import FILE, SLICE, EventType
from otc_assets.domain.tables import EVENTS, ColumnType
from otc_assets.research import chain, get_events
from otc_assets.research.events import DOWN, UP, moment_of
from otc_assets.serving.arguments import checked, name
from otc_assets.serving.asking import Ask, Asked, at_once, refuse
from otc_assets.serving.described import column, responses
from otc_assets.serving.limits import MAX_TEXT
from otc_assets.serving.problems import Problem

router = APIRouter(prefix="/v1", tags=["events"])
COLUMNS = list(EVENTS.columns)
DEPTH = column("depth", ColumnType.COUNT, "Steps from the event, whose own is 0.")
LARGEST = 2**63 - 1


class Aggregate(StrEnum):
    """What an event is of."""

    SLICE = SLICE
    FILE = FILE


class Direction(StrEnum):
    """To causes, or to what was caused."""

    UP = UP
    DOWN = DOWN


Id = Annotated[
    str | None,
    Query(
        max_length=MAX_TEXT,
        description="A slice as ``ats NMS Tier 1:2025-05-16``, a file by its SHA-256; goes with "
        "aggregate_type.",
        examples=["ats NMS Tier 1:2025-05-16"],
    ),
]
Of = Annotated[Aggregate | None, Query(description="What they happened to (default: both).")]
Kind = Annotated[EventType | None, Query(description="What happened (default: anything).")]
Way = Annotated[Direction, Query(description="To its causes, or to what it caused.")]
Moment = Annotated[datetime | None, Query(description="In UTC, if it has no zone.")]
EventId = Annotated[
    str,
    Path(
        max_length=MAX_TEXT,
        description="Of an event (UUID).",
        examples=["0197292f-3a51-7c9e-8f63-6d0f2f8f3a11"],
        json_schema_extra={"format": "uuid"},
    ),
]


@router.get("/events", responses=responses(COLUMNS))
def events(
    aggregate_type: Of = None,
    aggregate_id: Id = None,
    event_type: Kind = None,
    since: Moment = None,
    until: Moment = None,
    ask: Ask = Asked,
) -> Response:
    """What happened, of both datasets together: one row per event, in their order."""
    if aggregate_id is not None:
        name("aggregate_id", aggregate_id)
        if aggregate_type is None:
            raise refuse("goes with its aggregate_type, slice or file", "aggregate_id")
    start = None if since is None else checked("since", moment_of, since)
    end = None if until is None else checked("until", moment_of, until)
    after = _after(ask)

    def read() -> pd.DataFrame:
        return get_events(
            aggregate_type,
            aggregate_id,
            event_type=event_type,
            since=start,
            until=end,
            after=after,
            limit=ask.limit + 1,
        )

    return ask.answer(at_once(read), ["sequence"], depends=_newest(ask))


@router.get("/events/{event_id}/chain", responses=responses([*COLUMNS, DEPTH]))
def chain_of(event_id: EventId, direction: Way = Direction.UP, ask: Ask = Asked) -> Response:
    """An event with all its causes (up), or with all that it caused (down), in order."""
    found = checked("event_id", lambda: chain(event_id, direction))
    if found.empty:
        raise Problem(404, f"the store has no event {event_id}", "event_id")
    return ask.answer(at_once(lambda: found), ["sequence"], depends=_newest(ask))


def _after(ask: Ask) -> int | None:
    """Return the sequence after which a page begins: only what follows is read."""
    if ask.start is None or ask.start.row is None:
        return None
    (after,) = ask.start.row or [None]
    if not isinstance(after, int) or not 0 <= after <= LARGEST:
        raise refuse("no cursor of this question", "cursor")
    return after


def _newest(ask: Ask) -> bytes:
    return f"{ask.state.store_id} {ask.state.newest_event}".encode()
