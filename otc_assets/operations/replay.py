"""The stream of events as a proof: done again from the archive, it gives the same store.

A replay does what the events of another store tell of, in their order, with that store's archive:
each file is taken in, each table computed. The content is then the same, and so are the facts of
the events; their ids, times and runs are not.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from otc_assets.domain.calendar import day_in_new_york
from otc_assets.domain.events import Event, EventType, slice_of_id
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.operations.retention import RetentionError, SliceRows, prune, restore
from otc_assets.operations.revise import Treatment
from otc_assets.sources.archive import Archive, archived_on
from otc_assets.sources.source import File, Stray
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


def replay(warehouse: Warehouse, archive: Archive, events: Sequence[Event], run: RunIds) -> None:
    """Do again, in an empty store, what events of one dataset tell of.

    Args:
        warehouse: the empty store, which recalls pruned rows from that archive.
        archive: that of the events' store.
        events: all of them, in order; those of other datasets are left out.
        run: who does it.

    """
    files = {e.event_id: e for e in events if e.event_type == EventType.FILE_DOWNLOADED}
    used = {event.causation_id for event in events}
    for event in events:
        file, policy = files.get(event.causation_id or ""), None
        if event.event_type == EventType.RAW_RECORDS_INGESTED:
            policy = RevisionPolicy(event.payload.get("policy", RevisionPolicy.VERSIONED))
        elif event.event_type == EventType.FILE_DOWNLOADED and event.event_id not in used:
            file, policy = event, RevisionPolicy.SKIP  # it came, and was not made a revision
        if file and policy and file.payload["dataset"] == warehouse.dataset.name:
            key = event.payload["archive_key"]
            _take_in(warehouse, archive, _Archived(archive, file, key), Treatment(policy), run)
        if event.event_type in (EventType.ROWS_PRUNED, EventType.ROWS_RESTORED):
            _retain(warehouse, event, run)
        if event.event_type == EventType.CALCULATION_COMPLETED:
            dataset, week = slice_of_id(event.aggregate_id)
            if dataset is warehouse.dataset:
                derive(warehouse, event.payload["table"], week, run)


def _retain(warehouse: Warehouse, event: Event, run: RunIds) -> None:
    """Prune or restore the rows again that an event tells of."""
    dataset, week = slice_of_id(event.aggregate_id)
    if dataset is warehouse.dataset:
        change = prune if event.event_type == EventType.ROWS_PRUNED else restore
        for done in change(warehouse, [SliceRows(week, event.payload["rows"])], run):
            if isinstance(done, RetentionError):
                raise done


def differing_facts(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    """Return the facts that only one of two streams tells, or tells more often, as text.

    A fact is the type, the aggregate and the payload of an event and of its cause.
    """
    told = [Counter(_facts(stream)) for stream in (left, right)]
    only = [("left", told[0] - told[1]), ("right", told[1] - told[0])]
    return [f"only {side}: {fact}" for side, facts in only for fact in sorted(facts.elements())]


def _facts(stream: Sequence[Event]) -> list[str]:
    """Return the facts of events, each with those of its cause."""
    by_id = {event.event_id: event for event in stream}
    facts = []
    for event in stream:
        cause = by_id.get(event.causation_id or "")
        because = [cause.event_type, cause.aggregate_id, cause.payload] if cause else None
        fact = [event.event_type, event.aggregate_id, event.payload, because]
        facts.append(json.dumps(fact, sort_keys=True, default=str))
    return facts


class _Archived:
    """A file of the archive, as the only one that a source has."""

    follows_calendar = False

    def __init__(self, archive: Archive, event: Event, key: str) -> None:
        """Offer the bytes of a key, of which an event FILE_DOWNLOADED told."""
        told, dataset = event.payload, archive.dataset
        self.source = str(told["source"])
        self.name = str(told["source_file"])
        period = date.fromisoformat(told[dataset.grain.column.name])
        self.week: SliceKey = dataset.key(told["tier"], period)
        self.event = event
        self._archive = archive
        self._key = key

    @property
    def known_on(self) -> date | None:
        return archived_on(self._archive.root / self._key)

    def read(self) -> bytes:
        return self._archive.get(self._key)

    def versions(self) -> Mapping[SliceKey, str]:
        return {self.week: self._key}

    def version_of(self, week: SliceKey) -> str:
        return self._key

    def files_of(self, week: SliceKey) -> Sequence[File]:
        return [self]

    def no_longer_has(self, week: SliceKey) -> bool:
        return False

    def strays(self) -> Sequence[Stray]:
        return []


def _take_in(
    warehouse: Warehouse, archive: Archive, file: _Archived, treatment: Treatment, run: RunIds
) -> None:
    day = day_in_new_york(file.event.created_at)
    ingest(warehouse, archive, file, file.week, run, day, treatment)
