"""The events of the store: appended in the transaction of what they tell of, and read back.

Belongs here: their ids, their order, how they are stored and found. Does not belong here: what is
told, and when (`otc_assets.operations.events`).
"""

import secrets
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import sqlalchemy as sa

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.events import FILE, SLICE, Event, EventType, slice_id
from otc_assets.domain.grains import SliceKey
from otc_assets.warehouse.engine import hold
from otc_assets.warehouse.schema import EVENT_LOG

NO_FACTS = ("reason", "policy")
"""What another event may say of the same: it is nothing new in other words."""
FACTS = ("status", "table", "calc_version", "source_revision")
GAVE_ROWS = ("ingested", "written")
"""The status of what was not refused or blocked."""
Input = tuple[SliceKey, str, str | None]
"""A table of a slice that a calculation reads, and of which version (None: whichever)."""


def uuid7() -> str:
    """Return a UUID that begins with the time: version 7 of RFC 9562.

    The twelve bits after the milliseconds are a fraction of one (its section 6.2, method 3), so
    that the ids of one process are in order.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 10**6)
    fraction = (nanoseconds << 12) // 10**6
    number = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


@cache
def code_version() -> str:
    """Return the version of this package."""
    return version("otc_assets")


class EventLog:
    """What is told of one slice within one transaction, at whose end `flush` inserts all of it."""

    def __init__(
        self, connection: sa.Connection, dataset: Dataset, week: SliceKey, batch: Mapping[str, Any]
    ) -> None:
        """Tell of ``week`` of ``dataset``, as ``batch``, whose columns say who writes and when."""
        self._connection = connection
        self._dataset = dataset
        self._slice = slice_id(dataset, week)
        self._batch = batch
        self._new: list[Event] = []

    @cached_property
    def _told(self) -> list[Event]:
        """The slice's events, in order; those of this transaction are added as they come."""
        return select_events(self._connection, _of(SLICE, [self._slice]))

    def newest(self, event_type: EventType, **equal: Any) -> Event | None:
        """Return the slice's newest event of a type that has these values in its payload."""
        return next((e for e in reversed(self._told) if e.says(event_type, equal)), None)

    def of_file(self, sha256: str) -> list[Event]:
        """Return the events of a file content, in order."""
        mine = [event for event in self._new if event.aggregate_id == sha256]
        return select_events(self._connection, _of(FILE, [sha256])) + mine

    def tell(
        self,
        event_type: EventType,
        payload: Mapping[str, Any],
        cause: Event | str | None,
        kind: Sequence[str] = (),
        seconds: float | None = None,
    ) -> Event:
        """Append an event of the slice, unless the newest of its kind says the same.

        So a repeat of what changes nothing adds none.

        Args:
            event_type: what happened.
            payload: its facts.
            cause: the event that caused it, or its id; another cause makes it another event.
            kind: the values of the payload that, with the type, make a kind.
            seconds: how long it took.

        """
        before = self.newest(event_type, **{name: payload.get(name) for name in kind})
        if before and before.causation_id == _id(cause) and _facts(before) == _facts(payload):
            return before
        return self.append(event_type, payload, cause, seconds=seconds)

    def append(
        self,
        event_type: EventType,
        payload: Mapping[str, Any],
        cause: Event | str | None,
        file: str | None = None,
        seconds: float | None = None,
    ) -> Event:
        """Append an event, of the slice or of a file by its SHA-256, and return it."""
        run = ("execution_id", "batch_id")
        took = {} if seconds is None else {"seconds": round(seconds, 3)}
        event = Event(
            event_id=uuid7(),
            event_type=event_type.value,
            aggregate_type=FILE if file else SLICE,
            aggregate_id=file or self._slice,
            payload=dict(payload),
            metadata={**{n: self._batch[n] for n in run}, "code": code_version(), **took},
            correlation_id=self._batch["correlation_id"],
            causation_id=_id(cause),
            created_at=self._batch["created_at"],
        )
        if not file:
            self._told.append(event)
        self._new.append(event)
        return event

    def newest_input(
        self, inputs: Iterable[Input], revisions: Mapping[SliceKey, Iterable[int]]
    ) -> str | None:
        """Return the id of the newest event that gave some of what a calculation reads.

        Args:
            inputs: the tables; raw is one of them.
            revisions: of raw, the revisions of each slice that are read.

        """
        wanted = {(slice_id(self._dataset, week), table): v for week, table, v in inputs}
        read = {slice_id(self._dataset, week): {*numbers} for week, numbers in revisions.items()}
        others = sorted({name for name, _ in wanted} - {self._slice})
        told: list[Any] = [
            (e.sequence, e.event_id, self._slice, e.payload) for e in self._told if e.sequence
        ]
        if others:
            told += self._facts_of(others)
        found = [
            (sequence, event_id)
            for sequence, event_id, aggregate_id, facts in told
            if facts.get("status") in GAVE_ROWS
            and (key := (aggregate_id, facts.get("table") or "raw")) in wanted
            and (
                # An event of an earlier version of this package names no version.
                facts.get("calc_version") in (None, wanted[key] or facts.get("calc_version"))
                if facts.get("table")
                else int(facts["source_revision"]) in read[aggregate_id]
            )
        ]
        return max(found)[1] if found else None

    def _facts_of(self, slices: Sequence[str]) -> list[Any]:
        """Return sequence, id and slice of the events of some slices, and some of their facts."""
        c = EVENT_LOG.c
        facts = [c.payload[name].as_string().label(name) for name in FACTS]
        query = sa.select(c.sequence, c.event_id, c.aggregate_id, *facts)
        # Without ORDER BY and LIMIT, for which a planner would rather walk through all events.
        rows = self._connection.execute(query.where(_of(SLICE, slices)))
        return [(*row[:3], row._mapping) for row in rows]

    def flush(self) -> None:
        """Insert what was told. Nothing may be written after it in this transaction."""
        if not self._new:
            return
        # Until the end of the transaction: who sees an event sees all that come before it.
        hold(self._connection, EVENT_LOG.name)
        records = [asdict(event) for event in self._new]
        for record in records:
            del record["sequence"]
        self._connection.execute(sa.insert(EVENT_LOG), records)


def _of(aggregate_type: str, aggregate_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    c = EVENT_LOG.c
    return sa.and_(c.aggregate_type == aggregate_type, c.aggregate_id.in_(aggregate_ids))


def _id(cause: Event | str | None) -> str | None:
    return cause.event_id if isinstance(cause, Event) else cause


def _facts(told: Event | Mapping[str, Any]) -> dict[str, Any]:
    payload = told.payload if isinstance(told, Event) else told
    return {name: value for name, value in payload.items() if name not in NO_FACTS}


def select_events(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Event]:
    """Return the events that meet some conditions on `EVENT_LOG`, in order."""
    query = sa.select(EVENT_LOG).where(*where).order_by(EVENT_LOG.c.sequence)
    return [Event(**row) for row in connection.execute(query).mappings()]


def chain_query(event_id: str, *, up: bool) -> sa.Select[Any]:
    """Return the query of an event and all its causes (``up``), or all that it caused, in order.

    Beside the columns of `EVENT_LOG` there is ``depth``, the steps from the event.
    """
    link = [EVENT_LOG.c.sequence, EVENT_LOG.c.event_id, EVENT_LOG.c.causation_id]
    first = sa.select(*link, sa.literal(0).label("depth")).where(EVENT_LOG.c.event_id == event_id)
    found = first.cte("found", recursive=True)
    step = (
        EVENT_LOG.c.event_id == found.c.causation_id
        if up
        else EVENT_LOG.c.causation_id == found.c.event_id
    )
    following = sa.select(*link, found.c.depth + 1).join_from(found, EVENT_LOG, step)
    found = found.union_all(following)
    query = sa.select(EVENT_LOG, found.c.depth).join_from(
        found, EVENT_LOG, EVENT_LOG.c.sequence == found.c.sequence
    )
    return query.order_by(EVENT_LOG.c.sequence)
