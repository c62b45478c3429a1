"""Frames that this process has written or read, so that the next table need not read them again.

A range does all slices of one table before the next table begins. So what falls out of memory is
kept too, compressed, in a temporary file: a slice comes back from it in a tenth of the time that
the store takes.
"""

import io
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import pandas as pd

from otc_assets.domain.grains import SliceKey
from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import EXACT, ColumnType, Table

MAX_BYTES = 48 * 2**20
"""Of frames in memory."""
MAX_FILE_BYTES = 2 * 2**30
"""Of the temporary file: about four years of all tiers."""
DOUBLES_ARE_EXACT_BELOW = 2**33 * MILLIONTHS
"""SQLite rounds fractional quantities from here on: what was written is not what is read back."""


Rows = tuple[str, SliceKey, frozenset[tuple[str, Any]]]
"""Table, slice, and further columns with the value that the rows have there: a revision of raw."""
State = tuple[str, int]
"""The write that rows are of, and how many they are."""


@dataclass(frozen=True)
class Cached:
    """Rows in memory."""

    state: State
    frame: pd.DataFrame
    bytes: int


@dataclass(frozen=True)
class Spooled:
    """Rows in the temporary file."""

    state: State
    start: int
    bytes: int


class FrameCache:
    """Frames by what they are of.

    A frame counts only while the store's rows are of the write that it came from, so another
    process's write, or a transaction that did not end well, is never hidden.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._frames: OrderedDict[Rows, Cached] = OrderedDict()
        self._bytes = 0
        self._spooled: dict[Rows, Spooled] = {}

    @cached_property
    def _file(self) -> IO[bytes]:
        # Has no name, so that a kill leaves nothing; unbuffered, so that an error comes at once.
        return tempfile.TemporaryFile(prefix="otc-", buffering=0)

    def get(self, rows: Rows, state: State) -> pd.DataFrame | None:
        """Return rows that are as the store has them, None if they are not here."""
        cached = self._frames.get(rows)
        if cached and cached.state == state:
            self._frames.move_to_end(rows)
            return cached.frame
        spooled = self._spooled.get(rows)
        if spooled and spooled.state == state:
            self._file.seek(spooled.start)
            frame = pd.read_feather(io.BytesIO(self._file.read(spooled.bytes)))
            self.keep(rows, state, frame)
            return frame
        return None

    def put(self, rows: Rows, table: Table, state: State, frame: pd.DataFrame) -> None:
        """Keep rows that were just written; nobody may change the frame from now on."""
        self._drop(rows)
        self._spooled.pop(rows, None)
        quantities = [c.name for c in table.columns if c.type in EXACT and c.name in frame]
        if frame.empty or any((frame[q] >= DOUBLES_ARE_EXACT_BELOW).any() for q in quantities):
            return
        hashes = [c.name for c in table.columns if c.type is ColumnType.HASH and c.name in frame]
        # Without the bulk of it, from which nothing is computed.
        self.keep(rows, state, frame.drop(columns=hashes))

    def keep(self, rows: Rows, state: State, frame: pd.DataFrame) -> None:
        """Keep rows as the store has them; nobody may change the frame from now on."""
        self._drop(rows)
        size = int(frame.memory_usage(index=False, deep=True).sum())
        self._frames[rows] = Cached(state, frame, size)
        self._bytes += size
        while self._bytes > MAX_BYTES:
            oldest, cached = next(iter(self._frames.items()))
            self._drop(oldest)
            self._spool(oldest, cached)

    def _drop(self, rows: Rows) -> None:
        if cached := self._frames.pop(rows, None):
            self._bytes -= cached.bytes

    def _spool(self, rows: Rows, cached: Cached) -> None:
        """Write a frame to the end of the file, if there is room and all of it would come back."""
        spooled = self._spooled.get(rows)
        as_it_was = not any(map(pd.api.types.is_object_dtype, cached.frame.dtypes))
        if not as_it_was or (spooled and spooled.state == cached.state):
            return
        buffer = io.BytesIO()
        cached.frame.to_feather(buffer, compression="zstd")
        size = buffer.tell()
        try:
            start = self._file.seek(0, io.SEEK_END)
            if start + size <= MAX_FILE_BYTES and self._file.write(buffer.getvalue()) == size:
                self._spooled[rows] = Spooled(cached.state, start, size)
        except OSError:
            return  # no room: it is read from the store again
