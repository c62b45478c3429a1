"""Revisions of a slice: FINRA corrects weeks without a number, so the numbers are ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from otc_assets.domain.grains import SliceKey


class RevisionPolicy(StrEnum):
    """What to do with content that differs from what the store has of a slice."""

    VERSIONED = "versioned"
    """Add it as a new revision; every older one stays."""
    OVERWRITE = "overwrite"
    """Replace the newest revision by it, under a new number; an older content is skipped."""
    SKIP = "skip"
    """Keep what is there."""
    MERGE = "merge"
    """Add a new revision: the stored records, and those of the new content that they lack."""


class Action(StrEnum):
    """What became of the content that was offered."""

    INSERTED = "inserted"
    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Revision:
    """One content of a slice that is in the store."""

    source_revision: int
    revision_date: date
    """The day on which FINRA made this content public."""
    content_sha256: str
    as_of_source: str = "finra"
    """What revision_date rests on: finra, calendar or captured."""


@dataclass(frozen=True)
class Decision:
    """What to do with an offered content, and the numbers before and after."""

    action: Action
    source_revision: int
    previous_revision: int | None


@dataclass(frozen=True)
class IngestionResult:
    """What became of one file of a slice."""

    week_key: SliceKey
    record_count: int
    revision: int
    action: Action
    previous_revision: int | None


def newest(revisions: Iterable[Revision], as_of: date | None = None) -> Revision | None:
    """Return the revision that was known at the end of ``as_of`` (default: today's knowledge).

    By the day on which FINRA made it public, not by the order of arrival, so that loading an
    older file late changes no answer; of two with the same day, the later arrival.
    """
    known = [r for r in revisions if as_of is None or r.revision_date <= as_of]
    return max(known, key=lambda r: (r.revision_date, r.source_revision), default=None)


def decide(
    known: Sequence[Revision],
    content_sha256: str,
    policy: RevisionPolicy = RevisionPolicy.VERSIONED,
    *,
    force: bool = False,
    is_older: bool = False,
) -> Decision:
    """Decide what becomes of a content, given every revision that the store has of the slice.

    A content that the store has is skipped under each policy, unless ``force`` asks for its rows
    to be written again under the number they have. ``is_older``: it was public before the newest
    revision, which it can therefore not replace.
    """
    latest = newest(known)
    previous = latest.source_revision if latest else None
    for revision in known:
        if revision.content_sha256 == content_sha256:
            action = Action.UPDATED if force else Action.SKIPPED
            return Decision(action, revision.source_revision, previous)
    if latest is None:
        return Decision(Action.INSERTED, 1, None)
    replaced_already = policy is RevisionPolicy.OVERWRITE and is_older
    if replaced_already or (policy is RevisionPolicy.SKIP and not force):
        return Decision(Action.SKIPPED, latest.source_revision, previous)
    return Decision(Action.UPDATED, max(r.source_revision for r in known) + 1, previous)
