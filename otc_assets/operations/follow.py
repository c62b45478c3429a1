"""Follows a source: which slices it has that the store has not read, or not as they are now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from otc_assets.domain.calendar import due_weeks, expected_publication_date, newest_due_week
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.events import EventType
from otc_assets.domain.grains import SliceKey, oldest_first
from otc_assets.sources.archive import sha256_of
from otc_assets.sources.parse import parse
from otc_assets.sources.source import Index
from otc_assets.warehouse.reader import Stored
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


@dataclass(frozen=True)
class Offer:
    """A slice that is to be read: what the source offers of it, and what the store has."""

    version: str
    source_revision: int | None

    def __str__(self) -> str:
        """Return a text that is another after each content that was taken in."""
        after = f" after revision {self.source_revision}" if self.source_revision else ""
        return f"{self.version}{after}"


@dataclass(frozen=True)
class Reach:
    """How many of the newest weeks of each tier are followed, where a source has all history."""

    follow_weeks: int
    """Weeks that the store lacks."""
    reread_weeks: int
    """Weeks that it has, and that FINRA may correct."""


def news(warehouse: Warehouse, index: Index, reach: Reach, today: date) -> dict[SliceKey, Offer]:
    """Return the slices that are to be read, oldest first.

    Weeks before the dataset's first are none of them: they have no partition to be requested. One
    that FINRA lists and that was empty when it was read is another offer on each day: its list
    does not tell the datasets apart.

    Raises:
        SourceError: the source cannot be reached.

    """
    first = warehouse.dataset.first_period
    with warehouse.read() as reader:
        stored = reader.slices()
        dead = set(reader.dead_slices())
    if index.follows_calendar and not _awaited(warehouse.dataset, stored, reach, today):
        return {}
    offered = {w: v for w, v in index.versions().items() if w.period >= first}
    wanted = {w: v for w, v in offered.items() if _version(stored, w) != v}
    if index.follows_calendar:
        near = _near(offered, stored, reach)
        empty = {w for w in stored if not _is_loaded(stored, w)} - dead
        again = f", asked for again on {today}"
        wanted = {w: v + again * (w in empty) for w, v in wanted.items() if w in near}
    return {
        week: Offer(version, stored[week].source_revision if week in stored else None)
        for week, version in sorted(wanted.items(), key=lambda item: item[0].period)
    }


def _near(
    offered: Iterable[SliceKey], stored: Mapping[SliceKey, Stored], reach: Reach
) -> set[SliceKey]:
    """Return the slices that are new enough to be followed, and all that are marked."""
    lacking = {w for w in offered if not _is_loaded(stored, w)}
    near = {w for w in _newest(offered, reach.follow_weeks) if w in lacking}
    near |= {w for w in _newest(offered, reach.reread_weeks) if w not in lacking}
    return near | {w for w in offered if _is_marked(stored, w)}


def next_publication(dataset: Dataset, today: date) -> tuple[date, list[SliceKey]]:
    """Return the next day on which FINRA publishes by the calendar, and what."""
    coming: dict[date, list[SliceKey]] = {}
    for tier in dataset.publication_delay:
        week = newest_due_week(tier, today, dataset).shifted(1)
        while not dataset.grain.has_trade(week.period):
            week = week.shifted(1)
        coming.setdefault(expected_publication_date(week, dataset), []).append(week)
    return min(coming.items())


def published_on(dataset: Dataset, tiers: Iterable[str], day: date) -> list[SliceKey]:
    """Return the slices of ``tiers`` that FINRA publishes on ``day`` by the calendar."""
    newest = (newest_due_week(tier, day, dataset) for tier in tiers)
    return [
        week
        for week in newest
        if expected_publication_date(week, dataset) == day and week.period >= dataset.first_period
    ]


def reread(warehouse: Warehouse, index: Index, week: SliceKey, run: RunIds, today: date) -> bool:
    """Read a slice of the store from its source again; mark it if the content has changed.

    A marked slice is among the `news` until it is taken in. Nothing else is written.

    Raises:
        SourceError: it cannot be had whole, or not parsed.

    """
    with warehouse.read() as reader:
        known = reader.records("revisions", week)
    for file in index.files_of(week):
        data = file.read()
        if sha256_of(data) in {record["source_sha256"] for record in known}:
            continue
        parsed = parse(file.name, data, week, today, warehouse.dataset)
        if parsed.content_sha256 in {record["content_sha256"] for record in known}:
            continue
        with warehouse.write(week, run) as writer:
            writer.save_manifest(source_version=None)
            found = {"content_sha256": parsed.content_sha256}
            writer.events.tell(EventType.CORRECTION_NOTICED, found, None)
        return True
    return False


def rereadable(warehouse: Warehouse, weeks: int) -> list[SliceKey]:
    """Return the newest ``weeks`` slices of each tier that the store has, oldest first."""
    with warehouse.read() as reader:
        loaded = reader.loaded_slices()
    return oldest_first(_newest(loaded, weeks))


def _awaited(
    dataset: Dataset, stored: Mapping[SliceKey, Stored], reach: Reach, today: date
) -> bool:
    """Tell whether anything that is due is not in the store, or has been marked as changed."""
    for tier in dataset.publication_delay:
        first = newest_due_week(tier, today, dataset).shifted(1 - reach.follow_weeks)
        due = due_weeks(tier, first.period, today, dataset)
        if not all(_is_loaded(stored, week) for week in due):
            return True
    return any(_is_marked(stored, week) for week in stored)


def _is_marked(stored: Mapping[SliceKey, Stored], week: SliceKey) -> bool:
    return _is_loaded(stored, week) and stored[week].source_version is None


def _is_loaded(stored: Mapping[SliceKey, Stored], week: SliceKey) -> bool:
    return week in stored and stored[week].source_revision is not None


def _version(stored: Mapping[SliceKey, Stored], week: SliceKey) -> str | None:
    return stored[week].source_version if week in stored else None


def _newest(weeks: Iterable[SliceKey], count: int) -> list[SliceKey]:
    """Return the newest ``count`` weeks of each tier."""
    by_tier: dict[str, list[SliceKey]] = {}
    for week in sorted(weeks, reverse=True):
        by_tier.setdefault(week.section, []).append(week)
    return [week for tier in by_tier.values() for week in tier[:count]]
