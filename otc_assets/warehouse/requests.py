"""How many requests FINRA was sent, what it answered and how fast; counted in the store.

Belongs here: counting, and keeping the counts. Does not belong here: what a request is
(`otc_assets.sources.finra_client`).
"""

import logging
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.schema import REQUEST_COUNTS
from otc_assets.warehouse.store import Warehouse

BOUNDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds that bound the ranges in which requests are counted; the last has no end."""
LABELS = (*map(str, BOUNDS), "+Inf")
FLUSH_SECONDS = 15
"""How often a long run stores what it has counted."""
LOCK_WAIT_MS = 1000
"""Counts are not worth a longer wait for another writer: they are kept for the next time."""

IMPATIENT = {
    "sqlite": f"PRAGMA busy_timeout = {LOCK_WAIT_MS}",
    "postgresql": f"SET lock_timeout = {LOCK_WAIT_MS}",
}

log = logging.getLogger(__name__)


class RequestLog:
    """Counts requests of this process, and adds the counts to the store's."""

    def __init__(self, warehouse: Warehouse) -> None:
        """Count for the store of ``warehouse``."""
        self._warehouse = warehouse
        self._counts: dict[tuple[date, str, str], tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self._turn = threading.Lock()
        self._flushed = time.monotonic()

    def add(self, outcome: str, seconds: float) -> None:
        """Count one request, and now and then store the counts.

        Args:
            outcome: ok, another HTTP status, or network.
            seconds: from sending it to its whole answer.

        """
        key = datetime.now(UTC).date(), outcome, LABELS[bisect_left(BOUNDS, seconds)]
        with self._turn:
            requests, total = self._counts[key]
            self._counts[key] = requests + 1, total + seconds
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store the counts; where that fails they are kept, and no run fails for it."""
        self._flushed = time.monotonic()
        with self._turn:
            if not self._counts:
                return
            rows = [
                dict(zip(REQUEST_COUNTS.c.keys(), (*key, *count), strict=True))
                for key, count in self._counts.items()
            ]
            try:
                self._store(rows)
                self._counts.clear()
            except (StoreError, sa.exc.DatabaseError, OSError) as error:
                log.info("requests to FINRA will be counted later: %s", type(error).__name__)

    def _store(self, rows: list[dict[str, object]]) -> None:
        """Add to each count; all or none."""
        engine = self._warehouse.engine
        insert = _insert_of(engine)
        grown = {
            name: REQUEST_COUNTS.c[name] + insert.excluded[name] for name in ("requests", "seconds")
        }
        keys = list(REQUEST_COUNTS.primary_key.columns)
        adding = insert.on_conflict_do_update(index_elements=keys, set_=grown)
        with engine.connect() as connection:
            try:
                connection.exec_driver_sql(IMPATIENT[engine.dialect.name])
                connection.execute(adding, rows)
                connection.commit()
            finally:
                connection.invalidate()  # who has it next is more patient


def _insert_of(engine: sa.Engine) -> postgresql.Insert | sqlite.Insert:
    if engine.dialect.name == "postgresql":
        return postgresql.insert(REQUEST_COUNTS)
    return sqlite.insert(REQUEST_COUNTS)
