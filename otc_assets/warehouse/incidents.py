"""The rows of `incidents`: found, opened and changed, each within a transaction of the caller.

Belongs here: how an incident is stored. Does not belong here: what is an incident
(`otc_assets.operations.incidents`), and who is told of it (`otc_assets.operations.notify`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from otc_assets.domain.calendar import with_zone
from otc_assets.warehouse.engine import write_transaction
from otc_assets.warehouse.events import uuid7
from otc_assets.warehouse.schema import INCIDENT_LOG, IS_OPEN

SLICE, JOB = "slice", "job"
"""The kinds of incident."""


@dataclass(frozen=True)
class Incident:
    """One row of the table; by default of one that begins now."""

    kind: str
    subject: str
    dataset: str | None
    severity: str
    reason: str
    run_id: str | None
    undone: list[str] = field(default_factory=list)
    incident_id: str = field(default_factory=uuid7)
    opened_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    resolved_at: datetime | None = None
    told: dict[str, str] = field(default_factory=dict)
    claimed_until: datetime | None = None


@contextmanager
def changing_incidents(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open the transaction in which one process at a time changes incidents."""
    with write_transaction(engine, INCIDENT_LOG.name) as connection:
        yield connection


def select_incidents(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Incident]:
    """Return the incidents that meet some conditions on `INCIDENT_LOG`, in the order they began."""
    c = INCIDENT_LOG.c
    query = sa.select(INCIDENT_LOG).where(*where).order_by(c.opened_at, c.incident_id)
    return [_incident(row) for row in connection.execute(query).mappings()]


def _incident(row: Mapping[Any, Any]) -> Incident:
    moments = {n: with_zone(v) for n, v in row.items() if isinstance(v, datetime)}
    return Incident(**{**row, **moments})


def open_incidents(connection: sa.Connection, **equal: Any) -> list[Incident]:
    """Return the incidents that are not over, and whose columns are ``equal``."""
    same = (INCIDENT_LOG.c[name] == value for name, value in equal.items())
    return select_incidents(connection, IS_OPEN, *same)


def insertion(incident: Incident) -> sa.Insert:
    """Return the statement that opens an incident."""
    return sa.insert(INCIDENT_LOG).values(asdict(incident))


def change(incident_id: str, **values: Any) -> sa.Update:
    """Return the statement that changes columns of an incident."""
    return sa.update(INCIDENT_LOG).where(INCIDENT_LOG.c.incident_id == incident_id).values(values)
