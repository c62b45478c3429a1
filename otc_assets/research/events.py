"""What happened to a slice or a file, and why: the store's stream of events, to read."""

import uuid
from datetime import UTC, date, datetime, time

import pandas as pd
import sqlalchemy as sa

from otc_assets.domain.calendar import with_zone
from otc_assets.domain.events import FILE, SLICE, EventType
from otc_assets.research.knowledge import plain_store
from otc_assets.warehouse.events import chain_query
from otc_assets.warehouse.schema import EVENT_LOG

UP, DOWN = "up", "down"


def get_events(
    aggregate_type: str | None = None,
    aggregate_id: str | None = None,
    *,
    event_type: str | None = None,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    after: int | None = None,
    limit: int | None = None,
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return events in their order, one row each, with the columns of events (docs/tables.md).

    Args:
        aggregate_type: slice or file (default: both).
        aggregate_id: which one: a slice as ``ats NMS Tier 1:2025-05-16``, a file by its SHA-256.
        event_type: one of `otc_assets.domain.events.EventType` (default: all).
        since: the first moment, in UTC if it has no time zone; of a day its beginning.
        until: the moment before which they happened.
        after: only those with a greater sequence: what a follower has not seen yet.
        limit: the first so many of them (default: all).
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError: there is no store, or it is of another version.
        ValueError: an unknown type of aggregate or event, an id without its type, or no date.

    """
    if aggregate_type not in (None, SLICE, FILE):
        raise ValueError(f"no aggregate_type {aggregate_type!r}; there are {SLICE}, {FILE}")
    if aggregate_id is not None and aggregate_type is None:
        raise ValueError("an aggregate_id goes with its aggregate_type, slice or file")
    if event_type is not None and event_type not in [*EventType]:
        raise ValueError(f"no event_type {event_type!r}; there are {', '.join(EventType)}")
    c, where = EVENT_LOG.c, []
    if aggregate_type is not None:
        where.append(c.aggregate_type == aggregate_type)
    if aggregate_id is not None:
        where.append(c.aggregate_id == aggregate_id)
    if event_type is not None:
        where.append(c.event_type == event_type)
    if since is not None:
        where.append(c.created_at >= moment_of(since))
    if until is not None:
        where.append(c.created_at < moment_of(until))
    if after is not None:
        where.append(c.sequence > after)
    query = sa.select(EVENT_LOG).where(*where).order_by(c.sequence).limit(limit)
    return _frame(query, database_url)


def chain(event_id: str, direction: str = UP, *, database_url: str | None = None) -> pd.DataFrame:
    """Return an event with all its causes, or with all that it caused, in the order of events.

    The columns are those of `get_events`, and ``depth``: the steps from the event, whose own is 0.
    No row: there is no such event.

    Args:
        event_id: the event.
        direction: up, to its causes, or down, to what it caused.
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError: there is no store, or it is of another version.
        ValueError: the id is no UUID, or there is no such direction.

    """
    if direction not in (UP, DOWN):
        raise ValueError(f"no direction {direction!r}; there are {UP}, {DOWN}")
    try:
        wanted = str(uuid.UUID(event_id))
    except ValueError:
        raise ValueError(f"an event_id is a UUID, and not {event_id!r}") from None
    return _frame(chain_query(wanted, up=direction == UP), database_url)


def moment_of(value: str | date | datetime) -> datetime:
    """Return a moment in UTC: of a day its beginning; one without a zone is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    return with_zone(value).astimezone(UTC)


def _frame(query: sa.Select[tuple[object, ...]], database_url: str | None) -> pd.DataFrame:
    with plain_store("ats", database_url).read() as reader:
        result = reader.connection.execute(query)
        names = list(result.keys())
        # As objects, so that a first cause's causation_id is None.
        frame = pd.DataFrame([tuple(row) for row in result], columns=names, dtype=object)
    numbers = {name: "int64" for name in ("sequence", "depth") if name in frame}
    frame = frame.astype(numbers)
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    return frame
