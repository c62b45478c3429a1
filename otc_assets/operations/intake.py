"""From source files to `raw`: every file of a slice is archived, parsed and kept as a revision."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import expected_publication_date, is_due
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import Action, IngestionResult, Revision, decide
from otc_assets.domain.rules import evaluate, rules_of
from otc_assets.domain.tables import RAW
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import quality_columns, standing_quality
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.sources.archive import Archive, sha256_of
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import FileSource, SourceFile, SourceIndex
from otc_assets.sources.parse import ParsedFile, parse
from otc_assets.warehouse.bulk import Constant
from otc_assets.warehouse.store import RunIds, SliceWriter, Warehouse


@dataclass(frozen=True)
class Received:
    """A file that was archived and parsed, and is not yet in the store."""

    file: SourceFile
    parsed: ParsedFile
    data: bytes
    archive_key: str


@dataclass
class Harvest:
    """What the files of a slice gave."""

    received: list[Received] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    skipped: list[IngestionResult] = field(default_factory=list)


def ingest(
    warehouse: Warehouse,
    archive: Archive,
    index: SourceIndex,
    week: WeekKey,
    run: RunIds,
    today: date,
) -> SliceOutcome:
    """Take in every file that the source has of one slice.

    Files are revisions of the slice in the order of their newest lastUpdateDate, then of their
    name. A file that cannot be taken costs nothing of what is there; the manifest says why.
    """
    with warehouse.read() as reader:
        known = {r["source_sha256"]: r for r in reader.records("revisions", week)}
    harvest = _harvest(index.files_of(week), known, archive, week, today)
    with warehouse.write(week, run) as writer:
        stored = [_store(writer, archive, received, today) for received in harvest.received]
        outcome = _close(writer, harvest, index, today)
    outcome.results.extend([*harvest.skipped, *stored])
    return outcome


def _harvest(
    files: Sequence[SourceFile],
    known: dict[str, dict[str, Any]],
    archive: Archive,
    week: WeekKey,
    today: date,
) -> Harvest:
    """Archive and parse the files whose bytes the store has not seen."""
    harvest = Harvest()
    for file in files:
        try:
            data = file.read()
            if record := known.get(sha256_of(data)):
                archive.restore(record["archive_key"], data)
                harvest.skipped.append(_skipped(week, record["source_revision"]))
                continue
            key = archive.receive(week, file.name, data)
            parsed = parse(file.name, data, week, today)
            harvest.received.append(Received(file, parsed, data, key))
        except SourceError as error:
            harvest.refusals.append(str(error))
    harvest.received.sort(key=lambda r: (r.parsed.newest_update or date.min, r.file.name))
    return harvest


def _skipped(week: WeekKey, revision: int) -> IngestionResult:
    return IngestionResult(week, 0, revision, Action.SKIPPED, revision)


def _store(
    writer: SliceWriter, archive: Archive, received: Received, today: date
) -> IngestionResult:
    """Write one file as a revision, unless its content is in the store already."""
    week, parsed = writer.week, received.parsed
    known = writer.revisions([week])[week]
    decision = decide(known, parsed.content_sha256)
    if decision.action is Action.SKIPPED:
        return _skipped(week, decision.source_revision)
    revision_date, as_of_source = _dated(received, known, today)
    source: dict[str, Constant] = {
        "source_revision": decision.source_revision,
        "source_file": parsed.name,
        "source_sha256": parsed.sha256,
    }
    scope: dict[str, Constant] = {"source_revision": decision.source_revision}
    writer.replace("raw", parsed.rows, {**source, "source": FileSource.name}, **scope)
    writer.replace("rejects", parsed.rejects, source, **scope)
    intake = parsed.intake
    record: dict[str, Constant] = {
        **source,
        "content_sha256": parsed.content_sha256,
        "publication_date": parsed.publication_date,
        "revision_date": revision_date,
        "as_of_source": as_of_source,
        "source": FileSource.name,
        "source_bytes": parsed.size,
        "archive_key": archive.accept(received.archive_key, week, revision_date, received.data),
        "line_count": intake.line_count,
        "row_count": intake.row_count,
        "reject_count": intake.reject_count,
        "repeat_count": intake.repeat_count,
    }
    writer.insert_record("revisions", record, "ingested_at")
    downloaded = {name: record[name] for name in ("archive_key", "source_sha256", "source_bytes")}
    writer.append_event("FILE_DOWNLOADED", {"source_file": parsed.name, **downloaded})
    counts = {"rows": intake.row_count, "rejects": intake.reject_count, **scope}
    writer.append_event("RAW_RECORDS_INGESTED", counts)
    return IngestionResult(
        week,
        intake.row_count,
        decision.source_revision,
        decision.action,
        decision.previous_revision,
    )


def _dated(received: Received, known: Sequence[Revision], today: date) -> tuple[date, str]:
    """Return when FINRA made a content public, and what that rests on.

    A second content with the same newest lastUpdateDate (a row taken out leaves no date behind)
    cannot have been public on that day: all that is known is that it is today. An archived file
    keeps the day under which it was first taken in.
    """
    parsed = received.parsed
    if parsed.newest_update:
        told, source = parsed.newest_update, "finra"
    else:
        told, source = parsed.publication_date, "calendar"
    if received.file.known_on not in (None, told):
        return received.file.known_on, "captured"
    if received.file.known_on is None and told in {r.revision_date for r in known}:
        return today, "captured"
    return told, source


def _close(writer: SliceWriter, harvest: Harvest, index: SourceIndex, today: date) -> SliceOutcome:
    """Bring the slice's manifest and verdicts up to what is in the store now."""
    week = writer.week
    known = Knowledge(writer, week)
    loaded = week in known.revisions
    status, reason = _standing(week, harvest, index, today, loaded=loaded)
    before = writer.manifest(week) or {}
    changes: dict[str, Any] = {"status": status.value, "reason": reason}
    if loaded:
        changes |= _content(writer, known)
    rows = known["raw"] if loaded else pd.DataFrame()
    unchanged = before.get("source_revision") == changes.get("source_revision")
    counts = before.get("row_counts", {}) if unchanged else {}
    verdicts = evaluate(rules_of(RAW), view_of(known, status, reason))
    writer.save_verdicts("raw", verdicts)
    quality = standing_quality(writer, week, status, has_content=loaded)
    writer.save_manifest(
        stage=before["stage"] if unchanged and before else "raw",
        row_counts={**counts, "raw": len(rows)},
        expected_publication_date=expected_publication_date(week),
        **quality_columns(quality),
        **changes,
    )
    return SliceOutcome(week, "raw", status, rows, reason, verdicts)


def _content(writer: SliceWriter, known: Knowledge) -> dict[str, Any]:
    """Return what the manifest says of the newest revision."""
    record = writer.revision(writer.week, known.revisions[writer.week].source_revision)
    names = ("source_revision", "source_file", "source_sha256", "source_bytes", "revision_date")
    return {name: record[name] for name in names}


def _standing(
    week: WeekKey, harvest: Harvest, index: SourceIndex, today: date, *, loaded: bool
) -> tuple[SliceStatus, str | None]:
    if harvest.refusals:
        return SliceStatus.REFUSED, "; ".join(harvest.refusals)
    if loaded:
        return SliceStatus.LOADED, None
    due = expected_publication_date(week)
    if not is_due(week, today):
        return SliceStatus.NOT_DUE, f"FINRA publishes it on {due}"
    reason = f"no file of {week}, which FINRA published on {due}"
    if strays := index.strays():
        listed = "; ".join(str(file.error) for file in strays[:3])
        reason += f" ({len(strays)} files belong to no slice: {listed})"
    return SliceStatus.MISSING, reason
