"""Tells people of incidents: once to each sink when one begins, becomes graver, and is over.

A sink is told again only of what it has not taken. While it is asked no transaction is open. The
incidents are claimed instead, so that no other process tells of them; a claim ends by itself, in
case this process is killed. Only then may a sink be told twice: of what it took in that moment.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from otc_assets.domain.quality import Severity
from otc_assets.operations.messages import Message, Transition, message_of
from otc_assets.operations.sinks import Sink
from otc_assets.settings import setting
from otc_assets.warehouse.incidents import (
    Incident,
    change,
    changing_incidents,
    select_incidents,
)
from otc_assets.warehouse.schema import INCIDENT_LOG, IS_OPEN
from otc_assets.warehouse.store import Warehouse

OVER = "over"
IN_VAIN = ""
"""What a sink has been told that was asked and took nothing."""
RANK = {IN_VAIN: 0, Severity.WARNING.value: 1, Severity.CRITICAL.value: 2, OVER: 3}
CLAIM = timedelta(minutes=5)
"""Longer than a pass takes, however slow the sinks are."""
PATIENCE_SECONDS = 30
"""After which a pass begins no further message; the next pass does. A sensor has 60."""
REMEMBERED = timedelta(days=14)
"""How long after its end an incident is still told to a sink that was down."""


@dataclass(frozen=True)
class Delivery:
    """What became of a pass."""

    taken: list[str]
    """The titles of messages, each with the sink that took it."""
    failed: list[str]
    """Of each sink that did not take one, why."""


def deliver(warehouse: Warehouse, sinks: Sequence[Sink]) -> Delivery:
    """Tell each sink what it has not been told; return what was taken, and what was not.

    After its first failure a sink is left alone until the next pass. All sinks are asked at the
    same time, so that one that hangs keeps no other waiting.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    with _claimed(warehouse.engine, sinks) as mine:
        if not mine:
            return Delivery([], [])
        with ThreadPoolExecutor(len(sinks)) as pool:
            passes = pool.map(lambda sink: _tell(warehouse.engine, sink, mine, until), sinks)
            done = list(passes)
    taken = [title for each in done for title in each.taken]
    return Delivery(taken, [reason for each in done for reason in each.failed])


def _tell(engine: sa.Engine, sink: Sink, mine: Collection[Incident], until: float) -> Delivery:
    taken: list[str] = []
    for message, incidents in _messages(sink, mine):
        if time.monotonic() > until:
            break
        if reason := sink.take(message):
            _remember(engine, sink, incidents, taken=False)
            return Delivery(taken, [reason])
        _remember(engine, sink, incidents, taken=True)
        taken.append(f"{sink.name}: {message.title}")
    return Delivery(taken, [])


def _messages(
    sink: Sink, incidents: Iterable[Incident]
) -> Iterator[tuple[Message, list[Incident]]]:
    """Yield what a sink is to be told, one message for each dataset and transition."""
    groups: dict[tuple[str | None, Transition], list[Incident]] = defaultdict(list)
    for incident in incidents:
        if transition := pending(incident, sink.key):
            groups[incident.dataset, transition].append(incident)
    for (_, transition), together in groups.items():
        yield message_of(transition, together, setting("OTC_UI_URL")), together


def pending(incident: Incident, key: str) -> Transition | None:
    """Return what the sink of a key is to be told of an incident; None if nothing.

    A sink that has not been asked before the incident was over is not told of it.
    """
    told = incident.told.get(key)
    if incident.resolved_at:
        return Transition.OVER if told not in (None, OVER) else None
    if RANK[_state(incident)] <= RANK[told or IN_VAIN]:
        return None
    return Transition.GRAVER if told else Transition.BEGINS


def _state(incident: Incident) -> str:
    return OVER if incident.resolved_at else incident.severity


@contextmanager
def _claimed(engine: sa.Engine, sinks: Sequence[Sink]) -> Iterator[list[Incident]]:
    """Claim the incidents of which a sink is to be told and no other process tells."""
    with engine.connect() as connection:
        found = _pending(connection, sinks)
    mine: list[Incident] = []
    if found:
        with changing_incidents(engine) as connection:
            mine = _pending(connection, sinks)  # anew: others may have been here
            _claim(connection, mine, datetime.now(UTC) + CLAIM)
    try:
        yield mine
    finally:
        if mine:
            with changing_incidents(engine) as connection:
                _claim(connection, mine, None)


def _pending(connection: sa.Connection, sinks: Sequence[Sink]) -> list[Incident]:
    now, c = datetime.now(UTC), INCIDENT_LOG.c
    found = select_incidents(
        connection,
        sa.or_(IS_OPEN, c.resolved_at > now - REMEMBERED),
        sa.or_(c.claimed_until.is_(None), c.claimed_until < now),
    )
    return [each for each in found if any(pending(each, sink.key) for sink in sinks)]


def _claim(connection: sa.Connection, mine: Iterable[Incident], until: datetime | None) -> None:
    for incident in mine:
        connection.execute(change(incident.incident_id, claimed_until=until))


def _remember(engine: sa.Engine, sink: Sink, incidents: list[Incident], *, taken: bool) -> None:
    """Note what a sink was told, beside what others were told in the meantime."""
    states = {each.incident_id: _state(each) if taken else IN_VAIN for each in incidents}
    with changing_incidents(engine) as connection:
        for now in select_incidents(connection, INCIDENT_LOG.c.incident_id.in_(states)):
            state = states[now.incident_id]
            if taken or sink.key not in now.told:
                told = {**now.told, sink.key: state}
                connection.execute(change(now.incident_id, told=told))
