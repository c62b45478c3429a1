"""Makes a received content a revision of its slice, as the policy says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.revisions import (
    Action,
    Decision,
    IngestionResult,
    Revision,
    RevisionPolicy,
    decide,
    newest,
)
from otc_assets.domain.tables import ColumnType
from otc_assets.operations.events import FileFacts, tell_download, tell_ingestion
from otc_assets.sources.archive import Archive
from otc_assets.sources.parse import REJECT_COLUMNS, ParsedFile, content_of, row_columns
from otc_assets.warehouse.writer import Constant, SliceWriter

ORIGIN = ("source", "source_file", "source_sha256")
"""Where a row came from: of a merged revision, not all rows are from one file."""


@dataclass(frozen=True)
class Received:
    """A content that was archived and parsed, and is not yet in the store."""

    parsed: ParsedFile
    source: str
    archive_key: str
    known_on: date | None
    """The first day under which an archive of ours has it; None if it is new."""
    seconds: float
    """What archiving and parsing took."""


@dataclass(frozen=True)
class Treatment:
    """What to do with a content that the store lacks, and with one that it has."""

    policy: RevisionPolicy = RevisionPolicy.VERSIONED
    force: bool = False


def revise(
    writer: SliceWriter, archive: Archive, received: Received, treatment: Treatment, today: date
) -> IngestionResult:
    """Write one content as a revision, unless the store has it or the policy says to skip it.

    Raises:
        ArchiveError: the bytes could not get their place in the archive.

    """
    week, parsed, started = writer.week, received.parsed, time.monotonic()
    known = writer.revisions([week])[week]
    latest = newest(known)
    revision_date, as_of_source = _dated(received, known, treatment.policy, today)
    decision = decide(
        known,
        parsed.content_sha256,
        treatment.policy,
        force=treatment.force,
        is_older=latest is not None and _is_older(received, revision_date, latest.revision_date),
    )
    archive_key = archive.accept(received.archive_key, week, revision_date)
    file = FileFacts(parsed.name, parsed.sha256, parsed.size, archive_key, received.source)
    downloaded = tell_download(writer, file)
    if treatment.policy is RevisionPolicy.MERGE and latest and _is_new(decision, known):
        parsed = _merged(writer, latest, parsed, received.source)
        if latest.revision_date > revision_date:  # its rows hold what was known by then
            revision_date, as_of_source = latest.revision_date, latest.as_of_source
        if parsed.content_sha256 == latest.content_sha256:
            decision = replace(
                decision, action=Action.SKIPPED, source_revision=latest.source_revision
            )
    if decision.action is Action.SKIPPED:
        return IngestionResult(
            week, 0, decision.source_revision, Action.SKIPPED, decision.source_revision
        )
    if treatment.policy is RevisionPolicy.OVERWRITE and latest:
        writer.forget_revision(latest.source_revision)
    record = {
        "source_revision": decision.source_revision,
        "revision_date": revision_date,
        "as_of_source": as_of_source,
        "archive_key": archive_key,
        "source": received.source,
    }
    revision = _write(writer, parsed, record)
    seconds = received.seconds + time.monotonic() - started
    reasons = parsed.intake.reasons
    tell_ingestion(writer, revision, reasons, treatment.policy.value, downloaded, seconds)
    return IngestionResult(
        week,
        parsed.intake.row_count,
        decision.source_revision,
        decision.action,
        decision.previous_revision,
    )


def _is_older(received: Received, day: date, newest_day: date) -> bool:
    """Tell whether a content was public before the newest; of one day, if it was seen before."""
    return day < newest_day or (day == newest_day and received.known_on is not None)


def _is_new(decision: Decision, known: Sequence[Revision]) -> bool:
    return decision.source_revision not in {r.source_revision for r in known}


def _dated(
    received: Received, known: Sequence[Revision], policy: RevisionPolicy, today: date
) -> tuple[date, str]:
    """Return when FINRA made a content public, and what that rests on.

    A second content with the same newest lastUpdateDate (a row taken out leaves no date behind)
    cannot have been public on that day: all that is known is that it is today. An archived file
    keeps the day under which it was first taken in, and a content that the store has keeps its.
    Under OVERWRITE the store forgets the days of what it has replaced, so that before a revision
    of such a day a new content counts as one more.
    """
    parsed = received.parsed
    for revision in known:
        if revision.content_sha256 == parsed.content_sha256:
            return revision.revision_date, revision.as_of_source
    if parsed.newest_update:
        told, source = parsed.newest_update, "finra"
    else:
        told, source = parsed.publication_date, "calendar"
    if received.known_on not in (None, told):
        return received.known_on, "captured"
    is_second = told in {r.revision_date for r in known}
    if policy is RevisionPolicy.OVERWRITE:
        is_second |= any(r.as_of_source == "captured" and told < r.revision_date for r in known)
    if received.known_on is None and is_second:
        return today, "captured"
    return told, source


def _merged(writer: SliceWriter, latest: Revision, parsed: ParsedFile, source: str) -> ParsedFile:
    stored = writer.frame(
        "raw",
        writer.week,
        [*row_columns(writer.dataset), *ORIGIN],
        source_revision=latest.source_revision,
    )
    for column in writer.dataset.content:
        if column.type is ColumnType.DATE:
            stored[column.name] = stored[column.name].map(str, na_action="ignore")
    return merged(stored, latest.content_sha256, parsed, source, writer.dataset)


def merged(
    stored: pd.DataFrame, content_sha256: str, parsed: ParsedFile, source: str, dataset: Dataset
) -> ParsedFile:
    """Return a revision's rows, and those of a new content that it has no record of.

    The new lines are counted on from the stored ones, so that each keeps a number of its own.

    Args:
        stored: the revision's rows.
        content_sha256: the hash of its content, which stays if nothing is added.
        parsed: the new content.
        source: where that came from.
        dataset: whose they are.

    """
    record = list(dataset.record)
    new = parsed.rows.merge(stored[record].drop_duplicates(), on=record, how="left", indicator=True)
    lacking = (new["_merge"] == "left_only").to_numpy()
    offset = int(stored["line_number"].max())
    added = parsed.rows[lacking].assign(
        source=source, source_file=parsed.name, source_sha256=parsed.sha256
    )
    rejects = parsed.rejects if lacking.any() else parsed.rejects.iloc[:0]
    rows = pd.concat([stored, added.assign(line_number=added["line_number"] + offset)])
    rejects = rejects.assign(line_number=rejects["line_number"] + offset)
    return replace(
        parsed,
        rows=rows.reset_index(drop=True),
        rejects=rejects,
        line_count=len(rows) + len(rejects),
        content_sha256=content_of(rows, rejects) if lacking.any() else content_sha256,
    )


def _write(writer: SliceWriter, parsed: ParsedFile, record: dict[str, Any]) -> dict[str, Any]:
    """Write the rows of a revision, and return its row in revisions."""
    origin: dict[str, Constant] = {"source_file": parsed.name, "source_sha256": parsed.sha256}
    scope: dict[str, Any] = {"source_revision": record["source_revision"]}
    writer.forget_revision(record["source_revision"])
    writer.replace("raw", parsed.rows, {**scope, **origin, "source": record["source"]}, **scope)
    rejects = parsed.rejects[list(REJECT_COLUMNS)]
    writer.replace("rejects", rejects, {**scope, **origin}, **scope)
    intake = parsed.intake
    counts = {
        "line_count": intake.line_count,
        "row_count": intake.row_count,
        "reject_count": intake.reject_count,
        "repeat_count": intake.repeat_count,
    }
    content = {
        "content_sha256": parsed.content_sha256,
        "publication_date": parsed.publication_date,
        "source_bytes": parsed.size,
    }
    revision = {**record, **origin, **content, **counts}
    writer.insert_records("revisions", [revision], "ingested_at")
    return revision
