"""How many requests FINRA was sent, what it answered, how fast and how much; in the store.

Belongs here: counting, and keeping the counts. Does not belong here: what a request is
(`otc_assets.sources.finra_client`).
"""

import logging
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime

import sqlalchemy as sa

from otc_assets.domain.months import this_month
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.impatient import execute_impatiently, insert_of
from otc_assets.warehouse.schema import REQUEST_COUNTS
from otc_assets.warehouse.store import Warehouse

BOUNDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds that bound the ranges in which requests are counted; the last has no end."""
LABELS = (*map(str, BOUNDS), "+Inf")
FLUSH_SECONDS = 15
"""How often a long run stores what it has counted."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Count:
    """Requests of one day, outcome and range of seconds; fields as the columns of the table."""

    requests: int = 0
    seconds: float = 0.0
    received_bytes: int = 0

    def with_one(self, seconds: float, received: int) -> "Count":
        """Return the count with one request more."""
        return Count(self.requests + 1, self.seconds + seconds, self.received_bytes + received)


class RequestLog:
    """Counts requests of this process, and adds the counts to the store's."""

    def __init__(self, warehouse: Warehouse) -> None:
        """Count for the store of ``warehouse``."""
        self._warehouse = warehouse
        self._counts: dict[tuple[date, str, str], Count] = defaultdict(Count)
        self._turn = threading.Lock()
        self._flushed = time.monotonic()
        self._stored: tuple[date, int] | None = None
        """What the store had received in a month, when it was last looked at."""

    def add(self, outcome: str, seconds: float, received: int = 0) -> None:
        """Count one request, and now and then store the counts.

        Args:
            outcome: ok, another HTTP status, or network.
            seconds: from sending it to its whole answer.
            received: bytes of the answer.

        """
        key = datetime.now(UTC).date(), outcome, LABELS[bisect_left(BOUNDS, seconds)]
        with self._turn:
            self._counts[key] = self._counts[key].with_one(seconds, received)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store the counts; where that fails they are kept, and no run fails for it."""
        self._flushed = time.monotonic()
        with self._turn:
            self._stored = None  # others may have counted too
            if not self._counts:
                return
            keys = [column.name for column in REQUEST_COUNTS.primary_key]
            rows = [
                dict(zip(keys, key, strict=True)) | asdict(count)
                for key, count in self._counts.items()
            ]
            try:
                self._store(rows)
                self._counts.clear()
            except (StoreError, sa.exc.DatabaseError, OSError) as error:
                log.info("requests to FINRA will be counted later: %s", type(error).__name__)

    def _store(self, rows: list[dict[str, object]]) -> None:
        """Add to each count; all or none."""
        insert = insert_of(REQUEST_COUNTS, self._warehouse.engine)
        grown = {
            each.name: REQUEST_COUNTS.c[each.name] + insert.excluded[each.name]
            for each in fields(Count)
        }
        keys = list(REQUEST_COUNTS.primary_key.columns)
        adding = insert.on_conflict_do_update(index_elements=keys, set_=grown)
        execute_impatiently(self._warehouse.engine, adding, rows)

    def received_this_month(self) -> int:
        """Return the bytes that all processes have received; of others, since they stored them."""
        month = this_month()
        with self._turn:
            if self._stored is None or self._stored[0] != month:
                with self._warehouse.engine.connect() as connection:
                    self._stored = month, received_since(connection, month)
            mine = (count.received_bytes for key, count in self._counts.items() if key[0] >= month)
            return self._stored[1] + sum(mine)


def was_asked(connection: sa.Connection) -> bool:
    """Tell whether FINRA was ever sent a request that was counted."""
    return connection.execute(sa.select(REQUEST_COUNTS.c.day).limit(1)).first() is not None


def received_since(connection: sa.Connection, day: date) -> int:
    """Return the bytes that FINRA has sent since a day (UTC), as the store has counted them."""
    c = REQUEST_COUNTS.c
    total = sa.select(sa.func.sum(c.received_bytes)).where(c.day >= day)
    return int(connection.execute(total).scalar_one() or 0)
