"""Frames that this process has just written or read, so that the next table need not read them."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pandas as pd

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import EXACT, ColumnType, Table
from otc_assets.domain.weeks import WeekKey

MAX_BYTES = 128 * 2**20
DOUBLES_ARE_EXACT_BELOW = 2**33 * MILLIONTHS
"""SQLite rounds fractional quantities from here on: what was written is not what is read back."""


Rows = tuple[str, WeekKey, frozenset[tuple[str, Any]]]
"""Table, slice, and further columns with the value that the rows have there: a revision of raw."""


@dataclass(frozen=True)
class Cached:
    """Rows, and the write that they are of."""

    batch_id: str
    frame: pd.DataFrame
    bytes: int


class FrameCache:
    """The newest frames by what they are of; what falls out is read again from the store.

    A frame counts only while the store's rows are of the write that it came from, so another
    process's write, or a transaction that did not end well, is never hidden.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._frames: OrderedDict[Rows, Cached] = OrderedDict()
        self._bytes = 0

    def get(self, rows: Rows, batch_id: str | None) -> pd.DataFrame | None:
        """Return the frame that a write has left, None if it is not here."""
        cached = self._frames.get(rows)
        if cached is None or cached.batch_id != batch_id:
            return None
        self._frames.move_to_end(rows)
        return cached.frame

    def put(self, rows: Rows, table: Table, batch_id: str, frame: pd.DataFrame) -> None:
        """Keep a frame, which nobody may change from now on."""
        self._drop(rows)
        quantities = [c.name for c in table.columns if c.type in EXACT and c.name in frame]
        if frame.empty or (frame[quantities].max() >= DOUBLES_ARE_EXACT_BELOW).any():
            return
        hashes = [c.name for c in table.columns if c.type is ColumnType.HASH and c.name in frame]
        kept = frame.drop(columns=hashes)  # the bulk of it, and nothing is computed from them
        size = int(kept.memory_usage(index=False, deep=True).sum())
        self._frames[rows] = Cached(batch_id, kept, size)
        self._bytes += size
        while self._bytes > MAX_BYTES:
            self._drop(next(iter(self._frames)))

    def forget(self, name: str, week: WeekKey) -> None:
        """Drop every frame of one table of a slice: some of its rows have been removed."""
        for rows in [rows for rows in self._frames if rows[:2] == (name, week)]:
            self._drop(rows)

    def _drop(self, rows: Rows) -> None:
        if cached := self._frames.pop(rows, None):
            self._bytes -= cached.bytes
