"""What is told of a slice, and by which event it was caused.

Every event is appended in the transaction of the rows that it tells of. One that says what the
newest of its kind says, for the same cause, is not told again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from otc_assets.calculations import calculation_labelled, calculations_of
from otc_assets.calculations.research_snapshot import research_snapshot
from otc_assets.calculations.spec import CalculationSpec
from otc_assets.domain.events import Event, EventType
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.rejects import RejectReason
from otc_assets.domain.revisions import Revision
from otc_assets.operations.frames import Knowledge
from otc_assets.warehouse.events import Input
from otc_assets.warehouse.writer import SliceWriter

SNAPSHOT = research_snapshot.spec.output_table
OF_REVISION = ("source_revision", "revision_date", "content_sha256", "source_sha256", "archive_key")
"""What the event of an ingestion says of the revision, beside the counts."""


@dataclass(frozen=True)
class FileFacts:
    """What is told of a file that the archive has."""

    source_file: str
    source_sha256: str
    source_bytes: int
    archive_key: str
    source: str


def tell_download(writer: SliceWriter, file: FileFacts) -> Event:
    """Tell that a file was downloaded for a slice; once, however often it is."""
    of_slice = {
        "dataset": writer.dataset.name,
        "tier": str(writer.week.section),
        writer.dataset.grain.column.name: writer.week.period.isoformat(),
    }
    told = writer.events.of_file(file.source_sha256)
    if known := next((e for e in told if e.says(EventType.FILE_DOWNLOADED, of_slice)), None):
        return known
    payload = {**of_slice, **asdict(file)}
    return writer.events.append(EventType.FILE_DOWNLOADED, payload, None, file=file.source_sha256)


def tell_ingestion(
    writer: SliceWriter,
    revision: Mapping[str, Any],
    reasons: Mapping[str, int],
    policy: str,
    downloaded: Event,
    seconds: float,
) -> Event:
    """Tell that a file became a revision.

    Args:
        writer: of the slice.
        revision: its row in revisions.
        reasons: how many of its lines were refused, by reason code; repeats are counted apart.
        policy: what was to be done with a correction.
        downloaded: the event of its file.
        seconds: from the file's bytes to the rows.

    """
    repeats = revision["repeat_count"]
    payload = {
        "status": "ingested",
        **{name: revision[name] for name in OF_REVISION},
        "revision_date": revision["revision_date"].isoformat(),
        "rows": revision["row_count"],
        "rejects": revision["reject_count"] + repeats,
        "reasons": {**reasons, **({RejectReason.EXACT_REPEAT.value: repeats} if repeats else {})},
        "policy": policy,
    }
    kind = ("status", "source_revision")
    return writer.events.tell(EventType.RAW_RECORDS_INGESTED, payload, downloaded, kind, seconds)


def tell_refusal(writer: SliceWriter, file: FileFacts, reason: str) -> Event:
    """Tell that a file was downloaded, and refused as a whole."""
    payload = {
        "status": "refused",
        "reason": reason,
        "source_sha256": file.source_sha256,
        "archive_key": file.archive_key,
        "rows": 0,
    }
    kind, cause = ("status", "source_sha256"), tell_download(writer, file)
    return writer.events.tell(EventType.RAW_RECORDS_INGESTED, payload, cause, kind)


def ingestion_of(writer: SliceWriter, revision: int) -> Event | None:
    """Return the event that told of a revision of the slice."""
    return writer.events.newest(
        EventType.RAW_RECORDS_INGESTED, status="ingested", source_revision=revision
    )


def calculation_facts(
    known: Knowledge, spec: CalculationSpec, rows: pd.DataFrame
) -> dict[str, Any]:
    """Return what is told of one version of a calculation, given all rows of its table."""
    return {
        "status": "written",
        "table": spec.output_table,
        "calc_version": spec.version,
        "rows": int((rows["calc_version"] == spec.version).sum()) if len(rows) else 0,
        "inputs": [_shown(week, revision) for week, revision in _revisions(known, spec)],
    }


def tell_calculation(
    writer: SliceWriter,
    known: Knowledge,
    name: str,
    rows: pd.DataFrame,
    seconds: float | None = None,
) -> list[Event]:
    """Tell that a table was written, one event for each version of its calculation.

    The first has the ``seconds`` that all of them took.
    """
    return [
        _tell(
            writer,
            known,
            calc.spec,
            calculation_facts(known, calc.spec, rows),
            None if number else seconds,
        )
        for number, calc in enumerate(calculations_of(name))
    ]


def tell_block(writer: SliceWriter, known: Knowledge, name: str, reason: str) -> list[Event]:
    """Tell that a table was not written because its rows would break a rule."""
    nothing = pd.DataFrame()
    return [
        _tell(
            writer,
            known,
            calc.spec,
            {
                **calculation_facts(known, calc.spec, nothing),
                "status": "blocked",
                "reason": reason,
            },
        )
        for calc in calculations_of(name)
    ]


def tell_grade(
    writer: SliceWriter,
    calculated: Event,
    quality: Mapping[str, Any],
    failed: Sequence[str],
    revision: int,
) -> None:
    """Tell that a slice was graded, which rules have ``failed``, and that its week is done."""
    facts = {**quality, "failed": list(failed)}
    graded = writer.events.tell(EventType.QUALITY_GRADE_ASSIGNED, facts, calculated)
    done = {"source_revision": revision, "quality_grade": quality["quality_grade"]}
    writer.events.tell(EventType.WEEK_PROCESSING_COMPLETED, done, graded)


def _tell(
    writer: SliceWriter,
    known: Knowledge,
    spec: CalculationSpec,
    facts: Mapping[str, Any],
    seconds: float | None = None,
) -> Event:
    read: dict[SliceKey, list[int]] = {}
    for week, revision in _revisions(known, spec):
        read.setdefault(week, []).append(revision.source_revision)
    cause = writer.events.newest_input(_inputs(spec, list(read)), read)
    kind = ("table", "calc_version")
    return writer.events.tell(EventType.CALCULATION_COMPLETED, facts, cause, kind, seconds)


def _revisions(known: Knowledge, spec: CalculationSpec) -> list[tuple[SliceKey, Revision]]:
    """Return the revisions that a calculation rests on, oldest week first.

    They are the ones known now, and of the snapshot, which is a history, all.
    """
    if spec.output_table == SNAPSHOT:
        every = known.every_revision
        return [(week, revision) for week in sorted(every) for revision in every[week]]
    window = known.week.window(spec.weeks_required)
    return [(week, known.revisions[week]) for week in window if week in known.revisions]


def _inputs(spec: CalculationSpec, weeks: Sequence[SliceKey]) -> Iterable[Input]:
    """Yield the tables of the slices that a calculation reads, and their version.

    The snapshot is computed from tables of its own week, and of each earlier day from raw.
    """
    versions = {
        read.output_table: read.version
        for read in (calculation_labelled(label).spec for label in spec.depends_on)
    }
    tables = spec.input_tables
    own = weeks if spec.output_table != SNAPSHOT else [week for week in weeks if week == max(weeks)]
    for week in own:
        yield from ((week, table, versions.get(table)) for table in tables)
    if spec.output_table == SNAPSHOT:
        yield from ((week, "raw", None) for week in weeks)


def _shown(week: SliceKey, revision: Revision) -> dict[str, Any]:
    return {
        week.slicing.grain.column.name: week.period.isoformat(),
        "source_revision": revision.source_revision,
        "content_sha256": revision.content_sha256,
    }
