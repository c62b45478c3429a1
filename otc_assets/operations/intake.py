"""From source files to `raw`: every file of a slice is archived, parsed and kept as a revision."""

import time
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import expected_publication_date, is_due
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import Action, IngestionResult
from otc_assets.domain.rules import rules_of
from otc_assets.operations.events import FileFacts, ingestion_of, tell_refusal
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import quality_columns, standing_quality
from otc_assets.operations.judge import checked
from otc_assets.operations.offers import no_longer_offered
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.recall import UnreadableError
from otc_assets.operations.revise import Received, Treatment, revise
from otc_assets.sources.archive import Archive, sha256_of
from otc_assets.sources.errors import ArchiveError, OutageError, SourceError, VolumeError
from otc_assets.sources.parse import parse
from otc_assets.sources.source import File, Index
from otc_assets.tracing import current
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds, SliceWriter

VERSIONED = Treatment()
OF_NEWEST = ("source_revision", "source_file", "source_sha256", "source_bytes", "revision_date")
"""What the manifest says of the newest revision."""


def ingest(
    warehouse: Warehouse,
    archive: Archive,
    index: Index,
    week: SliceKey,
    run: RunIds,
    today: date,
    treatment: Treatment = VERSIONED,
) -> SliceOutcome:
    """Take in every content that the source has of one slice.

    They are revisions of the slice in the order of their newest lastUpdateDate, then of their name.
    One that cannot be taken costs nothing of what is there: the manifest says why, and a row in
    dead_letters stays until a later run takes the slice in.
    """
    return SliceIntake(warehouse, archive, index, week, run, today, treatment).take_in()


@dataclass
class SliceIntake:
    """One intake of one slice: what its source gave, and what becomes of it."""

    warehouse: Warehouse
    archive: Archive
    index: Index
    week: SliceKey
    run: RunIds
    today: date
    treatment: Treatment
    received: list[Received] = field(default_factory=list)
    """Contents that are archived and parsed, in the order of their revisions."""
    refusals: list[str] = field(default_factory=list)
    postponed: str | None = None
    """Why the source was not asked for the slice, which is no fault: it waits for next month."""
    is_archive_failing: bool = False
    refused: list[tuple[FileFacts, str]] = field(default_factory=list)
    """The files among them whose bytes the archive keeps, and what is wrong with each."""
    skipped: list[IngestionResult] = field(default_factory=list)
    """Of the contents whose bytes the store has already."""

    def take_in(self) -> SliceOutcome:
        """Read the source, archive and parse what it has, and write it in one transaction.

        If the archive fails at one content, none is written: a correction that came in without
        what it corrects would become the first revision.
        """
        self._harvest()
        try:
            return self._store()
        except ArchiveError as error:
            current().fail(error)
            self.received = []
            self.refusals.append(str(error))
            return self._store()
        except UnreadableError as error:
            current().fail(error)
            return self._leave(str(error))

    def _leave(self, reason: str) -> SliceOutcome:
        """Leave a slice whose rows the archive alone keeps and does not give; tell of it."""
        with self.warehouse.write(self.week, self.run) as writer:
            writer.save_dead_letter(reason, None)
        return SliceOutcome(
            self.week, "raw", SliceStatus.REFUSED, pd.DataFrame(), reason, written=False
        )

    def _harvest(self) -> None:
        """Archive and parse the contents whose bytes the store has not seen."""
        known = {} if self.treatment.force else self._known()
        try:
            files = self.index.files_of(self.week)
        except OutageError as error:
            current().fail(error)
            retry = f"the job {self.warehouse.dataset.name}_retry_dead_letters"
            self.refusals.append(f"{error}; when it answers, run this again, or {retry}")
            return
        except VolumeError as error:
            current().fail(error)
            self.postponed = str(error)
            return
        except SourceError as error:
            current().fail(error)
            self.refusals.append(str(error))
            return
        for file in files:
            self._receive(file, known)
        if self.is_archive_failing:
            self.received = []
        self.received.sort(key=lambda r: (r.parsed.newest_update or date.min, r.parsed.name))

    def _known(self) -> dict[str, dict[str, Any]]:
        """Return the slice's revisions by the SHA-256 of their bytes."""
        with self.warehouse.read() as reader:
            return {r["source_sha256"]: r for r in reader.records("revisions", self.week)}

    def _receive(self, file: File, known: dict[str, dict[str, Any]]) -> None:
        week, kept, started = self.week, None, time.monotonic()
        try:
            data = file.read()
            if record := known.get(sha256_of(data)):
                self.archive.restore(record["archive_key"], data)
                revision = record["source_revision"]
                self.skipped.append(IngestionResult(week, 0, revision, Action.SKIPPED, revision))
                return
            key = self.archive.receive(week, file.name, data)
            kept = FileFacts(file.name, sha256_of(data), len(data), key, self.index.source)
            known_on = file.known_on or self.archive.accepted_on(week, data)
            parsed = parse(file.name, data, week, self.today, self.warehouse.dataset)
            seconds = time.monotonic() - started
            self.received.append(Received(parsed, self.index.source, key, known_on, seconds))
        except SourceError as error:
            current().fail(error)
            self.refusals.append(str(error))
            self.is_archive_failing |= isinstance(error, ArchiveError)
            if kept:
                self.refused.append((kept, str(error)))

    def _store(self) -> SliceOutcome:
        with self.warehouse.write(self.week, self.run) as writer:
            if len(self.received) > 1:
                writer.enter_names("raw", (each.parsed.rows for each in self.received))
            stored = [
                revise(writer, self.archive, each, self.treatment, self.today)
                for each in self.received
            ]
            refused = [tell_refusal(writer, file, reason) for file, reason in self.refused]
            outcome = self._close(writer)
            if self.refusals:
                key = self.refused[-1][0].archive_key if self.refused else None
                writer.save_dead_letter(outcome.reason or "", key)
            elif not self.postponed:
                writer.clear_dead_letter()
        outcome.results.extend([*self.skipped, *stored])
        outcome.events.extend(refused)
        return outcome

    def _close(self, writer: SliceWriter) -> SliceOutcome:
        """Bring the slice's manifest and verdicts up to what is in the store now."""
        week = self.week
        known = Knowledge(writer, week)
        loaded = week in known.revisions
        status, reason = self._standing(loaded=loaded)
        if status is SliceStatus.LOADED and writer.is_archived(week):
            status = SliceStatus.ARCHIVED
        before = writer.manifest(week) or {}
        changes: dict[str, Any] = {"status": status.value, "reason": reason}
        newest: dict[str, Any] = {}
        if loaded:
            newest = writer.revision(week, known.revisions[week].source_revision)
            changes |= {name: newest[name] for name in OF_NEWEST}
        rows = known["raw"] if loaded else pd.DataFrame()
        unchanged = before.get("source_revision") == changes.get("source_revision")
        counts = before.get("row_counts", {}) if unchanged else {}
        verdicts = checked(rules_of(writer.dataset.raw), view_of(known, status, reason))
        writer.save_verdicts("raw", verdicts)
        quality = standing_quality(writer, week, status, has_content=loaded)
        version = self.index.version_of(week) if status.is_loaded else None
        if self.postponed:  # what it was read as, or that it has changed since
            version = before.get("source_version")
        writer.save_manifest(
            stage=before["stage"] if unchanged and before else "raw",
            row_counts={**counts, "raw": len(rows)},
            expected_publication_date=expected_publication_date(week, writer.dataset),
            source_version=version,
            **quality_columns(quality),
            **changes,
        )
        outcome = SliceOutcome(week, "raw", status, rows, reason, verdicts)
        outcome.published = newest.get("revision_date")
        outcome.stored_at = newest.get("ingested_at")
        told = ingestion_of(writer, newest["source_revision"]) if loaded else None
        outcome.events = [told] if told else []
        return outcome

    def _standing(self, *, loaded: bool) -> tuple[SliceStatus, str | None]:
        week, dataset = self.week, self.warehouse.dataset
        if self.refusals:
            return SliceStatus.REFUSED, "; ".join(self.refusals)
        if loaded:
            return SliceStatus.LOADED, None
        if week.period < dataset.first_period:
            first = f"FINRA's {dataset.title} data begin with the {dataset.grain.words}"
            return SliceStatus.NOT_DUE, f"{first} {dataset.first_period}"
        if not dataset.grain.has_trade(week.period):
            return SliceStatus.NOT_DUE, f"the market is closed on {week.period}"
        due = expected_publication_date(week, dataset)
        if not is_due(week, self.today, dataset):
            return SliceStatus.NOT_DUE, f"FINRA publishes it on {due}"
        return self._absence()

    def _absence(self) -> tuple[SliceStatus, str]:
        """Say why a slice is not there that FINRA has published."""
        week, dataset = self.week, self.warehouse.dataset
        if self.postponed:
            return SliceStatus.MISSING, self.postponed
        if self.index.no_longer_has(week):
            return SliceStatus.NOT_OFFERED, no_longer_offered(dataset, week)
        due = expected_publication_date(week, dataset)
        reason = f"the source has no {dataset.title} data of {week}, which FINRA published on {due}"
        if strays := self.index.strays():
            listed = "; ".join(str(file.error) for file in strays[:3])
            reason += f" ({len(strays)} files belong to no slice: {listed})"
        return SliceStatus.MISSING, reason
