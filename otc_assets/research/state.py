"""What answers depend on: the content of each slice, as a few bytes, without reading its rows.

Who keeps an answer compares them to know whether the answer still stands. Belongs here: reading
the state, and keeping it for as long as nothing was committed. Does not belong here: the answers.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.schema import EVENT_LOG, SET_LISTINGS
from otc_assets.warehouse.store import Store

CONTENT = ("status", "reason", "row_counts", "fingerprints", "source_revision", "quality_score")
"""The columns of manifest that tell one content of a slice from another."""
NEVER = None, None


@dataclass(frozen=True)
class SliceState:
    """How one slice stands."""

    content: bytes
    """The same as long as the numbers of its tables are; no other slice's is the same."""
    written: bytes
    """The same as long as nothing of the slice was written, not even the same rows again."""
    first_known: date | None
    """When its first revision became public; None without content."""


@dataclass(frozen=True)
class State:
    """How the slices of a dataset stand."""

    store_id: str
    slices: dict[WeekKey, SliceState]
    newest_day: date | None
    """The newest day on which something in the store became public; None of an empty store."""
    newest_event: int
    """The sequence of the newest event; 0 without."""
    listed: bytes = b""
    """The same as long as what is known of FINRA's listings, which tell what it has dropped."""

    @cached_property
    def known(self) -> dict[WeekKey, date]:
        """When the first revision of each slice with content became public."""
        return {week: each.first_known for week, each in self.slices.items() if each.first_known}

    @cached_property
    def content(self) -> bytes:
        """The same as long as the numbers of all slices are."""
        return self.content_of(self.slices)

    def content_of(self, weeks: Iterable[WeekKey]) -> bytes:
        """Return what is the same as long as the numbers of some slices are."""
        return self._hash(self.slices[week].content for week in weeks)

    def written_of(self, weeks: Iterable[WeekKey]) -> bytes:
        """Return what is the same as long as nothing of some slices was written."""
        return self._hash(self.slices[week].written for week in weeks)

    def _hash(self, parts: Iterable[bytes]) -> bytes:
        return hashlib.blake2b(b"".join(parts), digest_size=16, key=self.store_id.encode()).digest()


def state_of(store: Store) -> State:
    """Return how the slices of a store stand, without the rows of any table being read."""
    store_id = store.store_id
    with store.read() as reader:
        version, kept = committed(reader.connection), reader.connection.info
        name = f"otc_state_{store.dataset.name}"
        if name not in kept or kept[name][0] != version:
            kept[name] = version, _read(reader, store_id)
        state: State = kept[name][1]
        return state


def committed(connection: sa.Connection) -> Any:
    """Return what is the same, to this connection, as long as nothing was committed."""
    if connection.dialect.name == "postgresql":
        return connection.execute(sa.text("SELECT pg_current_snapshot()::text")).scalar_one()
    return connection.exec_driver_sql("PRAGMA data_version").scalar_one()


def _read(reader: SliceReader, store_id: str) -> State:
    revisions, manifest = reader.sql_table("revisions").c, reader.sql_table("manifest").c
    day, of_slice = revisions.revision_date, (revisions.tier, revisions.week_ending)
    days = sa.select(*of_slice, sa.func.min(day), sa.func.max(day)).group_by(*of_slice)
    known = {(tier, week): rest for tier, week, *rest in reader.connection.execute(days)}
    # As text: nobody looks into the JSON.
    texts = [sa.cast(manifest[name], sa.Text) for name in (*CONTENT, "updated_at")]
    slices = {}
    for tier, day_of_week, *row in reader.connection.execute(
        sa.select(manifest.tier, manifest.week_ending, *texts)
    ):
        week, (first, _) = WeekKey(Tier(tier), day_of_week), known.get((tier, day_of_week), NEVER)
        slices[week] = _slice_state(week, row, first)
    newest = max((last for _, last in known.values()), default=None)
    event = reader.connection.execute(sa.select(sa.func.max(EVENT_LOG.c.sequence))).scalar()
    weeks = sa.select(sa.cast(SET_LISTINGS.c.weeks, sa.Text)).order_by(SET_LISTINGS.c.set_name)
    listed = "\n".join(reader.connection.execute(weeks).scalars()).encode()
    digest = hashlib.blake2b(listed, digest_size=16).digest()
    return State(store_id, dict(sorted(slices.items())), newest, event or 0, digest)


def _slice_state(week: WeekKey, row: list[str | None], first_known: date | None) -> SliceState:
    *content, written = row
    fingerprints = content[CONTENT.index("fingerprints")] or "null"
    if "null" in fingerprints:  # rows of a version that had none: any write may have changed them
        content.append(written)
    return SliceState(_digest(week, content), _digest(week, row), first_known)


def _digest(week: WeekKey, values: list[str | None]) -> bytes:
    return hashlib.blake2b(repr((week.number, values)).encode(), digest_size=16).digest()
