"""From source files to `raw`: every file of a slice is archived, parsed and kept as a revision."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import expected_publication_date, is_due
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import Action, IngestionResult
from otc_assets.domain.rules import evaluate, rules_of
from otc_assets.domain.tables import RAW
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import quality_columns, standing_quality
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.revise import Received, Treatment, revise
from otc_assets.sources.archive import Archive, sha256_of
from otc_assets.sources.errors import ArchiveError, SourceError
from otc_assets.sources.parse import parse
from otc_assets.sources.source import Index
from otc_assets.warehouse.store import RunIds, SliceWriter, Warehouse

VERSIONED = Treatment()


@dataclass
class Harvest:
    """What the files of a slice gave."""

    received: list[Received] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    refused_key: str | None = None
    """Where the archive keeps the bytes of the newest refused file."""
    skipped: list[IngestionResult] = field(default_factory=list)


def ingest(
    warehouse: Warehouse,
    archive: Archive,
    index: Index,
    week: WeekKey,
    run: RunIds,
    today: date,
    treatment: Treatment = VERSIONED,
) -> SliceOutcome:
    """Take in every content that the source has of one slice.

    They are revisions of the slice in the order of their newest lastUpdateDate, then of their name.
    One that cannot be taken costs nothing of what is there: the manifest says why, and a row in
    dead_letters stays until a later run takes the slice in.
    """
    with warehouse.read() as reader:
        known = {r["source_sha256"]: r for r in reader.records("revisions", week)}
    if treatment.force:
        known = {}
    harvest = _harvest(index, known, archive, warehouse.dataset, week, today)
    try:
        return _take_in(warehouse, archive, index, week, run, today, treatment, harvest)
    except ArchiveError as error:
        harvest = replace(harvest, received=[], refusals=[*harvest.refusals, str(error)])
        return _take_in(warehouse, archive, index, week, run, today, treatment, harvest)


def _take_in(
    warehouse: Warehouse,
    archive: Archive,
    index: Index,
    week: WeekKey,
    run: RunIds,
    today: date,
    treatment: Treatment,
    harvest: Harvest,
) -> SliceOutcome:
    with warehouse.write(week, run) as writer:
        stored = [revise(writer, archive, each, treatment, today) for each in harvest.received]
        outcome = _close(writer, harvest, index, today)
        if harvest.refusals:
            writer.save_dead_letter(outcome.reason or "", harvest.refused_key)
        else:
            writer.clear_dead_letter()
    outcome.results.extend([*harvest.skipped, *stored])
    return outcome


def _harvest(
    index: Index,
    known: dict[str, dict[str, Any]],
    archive: Archive,
    dataset: Dataset,
    week: WeekKey,
    today: date,
) -> Harvest:
    """Archive and parse the contents whose bytes the store has not seen."""
    harvest = Harvest()
    try:
        files = index.files_of(week)
    except SourceError as error:
        harvest.refusals.append(str(error))
        return harvest
    for file in files:
        key = None
        try:
            data = file.read()
            if record := known.get(sha256_of(data)):
                archive.restore(record["archive_key"], data)
                revision = record["source_revision"]
                harvest.skipped.append(IngestionResult(week, 0, revision, Action.SKIPPED, revision))
                continue
            key = archive.receive(week, file.name, data)
            known_on = file.known_on or archive.accepted_on(week, data)
            parsed = parse(file.name, data, week, today, dataset)
            harvest.received.append(Received(parsed, index.source, key, known_on))
        except SourceError as error:
            harvest.refusals.append(str(error))
            harvest.refused_key = key or harvest.refused_key
    harvest.received.sort(key=lambda r: (r.parsed.newest_update or date.min, r.parsed.name))
    return harvest


def _close(writer: SliceWriter, harvest: Harvest, index: Index, today: date) -> SliceOutcome:
    """Bring the slice's manifest and verdicts up to what is in the store now."""
    week = writer.week
    known = Knowledge(writer, week)
    loaded = week in known.revisions
    status, reason = _standing(week, harvest, index, today, writer.dataset, loaded=loaded)
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
        expected_publication_date=expected_publication_date(week, writer.dataset),
        source_version=index.version_of(week) if status is SliceStatus.LOADED else None,
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
    week: WeekKey,
    harvest: Harvest,
    index: Index,
    today: date,
    dataset: Dataset,
    *,
    loaded: bool,
) -> tuple[SliceStatus, str | None]:
    if harvest.refusals:
        return SliceStatus.REFUSED, "; ".join(harvest.refusals)
    if loaded:
        return SliceStatus.LOADED, None
    if week.week_ending < dataset.first_week_ending:
        first = f"FINRA's {dataset.title} data begin with the week ending"
        return SliceStatus.NOT_DUE, f"{first} {dataset.first_week_ending}"
    due = expected_publication_date(week, dataset)
    if not is_due(week, today, dataset):
        return SliceStatus.NOT_DUE, f"FINRA publishes it on {due}"
    reason = f"the source has no {dataset.title} data of {week}, which FINRA published on {due}"
    if strays := index.strays():
        listed = "; ".join(str(file.error) for file in strays[:3])
        reason += f" ({len(strays)} files belong to no slice: {listed})"
    return SliceStatus.MISSING, reason
