"""Incidents: when something ceases to be well, how grave it is, and when that is over.

Belongs here: from the state of the store, and from runs that ended, to rows of `incidents`. Does
not belong here: telling people (`otc_assets.operations.notify`), which no run ever waits for.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import sqlalchemy as sa

from otc_assets.domain.events import slice_id
from otc_assets.domain.gaps import CRITICAL_AFTER_DAYS, WARNING_AFTER_DAYS, gaps
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import Severity, SliceStatus
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.incidents import (
    JOB,
    SLICE,
    Incident,
    change,
    changing_incidents,
    insertion,
    open_incidents,
)
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store, Warehouse

LONGEST_REASON = 300
"""Characters of an error that are kept; the run has all of it."""
OF_SLICE = (
    "status",
    "reason",
    "source_revision",
    "quality_grade",
    "quality_status",
    "execution_id",
)
DAYS = {Severity.WARNING: WARNING_AFTER_DAYS, Severity.CRITICAL: CRITICAL_AFTER_DAYS}


@dataclass(frozen=True)
class Problem:
    """What is not well with one slice: everything that `otc status` would call so."""

    severity: Severity
    reason: str
    run_id: str | None = None
    """The run that wrote it down, if a run did."""


def problems_of(reader: SliceReader, today: date) -> dict[SliceKey, Problem]:
    """Return what is not well with each slice of a dataset; one problem, whatever its reasons."""
    parts: dict[SliceKey, list[Problem]] = {}
    for week, problem in _parts(reader, today):
        parts.setdefault(week, []).append(problem)
    return {week: _together(each) for week, each in parts.items()}


def _parts(reader: SliceReader, today: date) -> Iterator[tuple[SliceKey, Problem]]:
    manifests = reader.manifests(*OF_SLICE)
    loaded = [week for week, row in manifests.items() if row["source_revision"]]
    for gap in gaps(reader.dataset, loaded, today, reader.offers()):
        if days := DAYS.get(gap.severity):
            day = gap.expected_publication_date
            late = f"not in the store; FINRA was to publish it on {day}, over {days} days ago"
            yield gap.week, Problem(gap.severity, late)
    dead = reader.dead_by_slice()
    for week, row in dead.items():
        failed = f"could not be taken in: {first_line(row['error'])}"
        yield week, Problem(Severity.WARNING, failed, row["execution_id"])
    for week, row in manifests.items():
        if row["status"] == SliceStatus.REFUSED and week not in dead:
            refused = f"refused: {first_line(row['reason'] or 'see its run')}"
            yield week, Problem(Severity.WARNING, refused, row["execution_id"])
        if row["source_revision"] and row["quality_status"] == "critical":
            bad = f"its quality is critical (grade {row['quality_grade']})"
            yield week, Problem(Severity.CRITICAL, bad, row["execution_id"])


def _together(problems: Collection[Problem]) -> Problem:
    gravest = max(problems, key=lambda problem: problem.severity is Severity.CRITICAL)
    run_id = next((each.run_id for each in problems if each.run_id), None)
    return Problem(gravest.severity, "; ".join(each.reason for each in problems), run_id)


def first_line(text: str) -> str:
    """Return the first line of an error, or as much of it as a message has room for."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"


def reconcile(warehouse: Warehouse, today: date, run_id: str | None = None) -> None:
    """Open, change and close the incidents of a dataset's slices, to what is so now.

    Where nothing has changed nothing is written, and nobody waits.

    Args:
        warehouse: the tables of the dataset.
        today: the day on which it is judged what is late.
        run_id: the run that looks; that of an incident for which no other run stands.

    """
    with warehouse.read() as reader:
        if not _changes(reader, today, run_id):
            return
    with changing_incidents(warehouse.engine) as connection:
        reader = SliceReader(connection, warehouse.dataset, FrameCache())
        for statement in _changes(reader, today, run_id):  # anew: others may have been here
            connection.execute(statement)


def _changes(reader: SliceReader, today: date, run_id: str | None) -> list[sa.Executable]:
    dataset = reader.dataset
    mine = open_incidents(reader.connection, kind=SLICE, dataset=dataset.name)
    known = {incident.subject: incident for incident in mine}
    found = {slice_id(dataset, week): each for week, each in problems_of(reader, today).items()}
    statements: list[sa.Executable] = [
        change(incident.incident_id, resolved_at=datetime.now(UTC))
        for subject, incident in known.items()
        if subject not in found
    ]
    for subject, problem in found.items():
        run, before = problem.run_id or run_id, known.get(subject)
        severity, reason = problem.severity.value, problem.reason
        if before is None:
            opened = Incident(SLICE, subject, dataset.name, severity, reason, run)
            statements.append(insertion(opened))
        elif (severity, reason) != (before.severity, before.reason):
            now = {"severity": severity, "reason": reason, "run_id": run or before.run_id}
            statements.append(change(before.incident_id, **now))
    return statements


def slices_not_well(store: Store) -> list[Incident]:
    """Return the open incidents of slices, of every dataset."""
    with store.engine.connect() as connection:
        return open_incidents(connection, kind=SLICE)


def run_failed(
    store: Warehouse,
    job: str,
    slices: Collection[str],
    *,
    dataset: str | None,
    reason: str,
    run_id: str,
) -> None:
    """Open the incident of a job whose run failed; where it is open, it covers this run too.

    Args:
        store: where it is kept.
        job: the job's name, the subject.
        slices: what the run was to do; none of a job without partitions.
        dataset: of which the job is, None if of both.
        reason: why the run failed.
        run_id: the run.

    """
    undone = set(slices or [job])
    with changing_incidents(store.engine) as connection:
        before = open_incidents(connection, kind=JOB, subject=job)
        for incident in before:
            both = sorted({*incident.undone, *undone})
            connection.execute(change(incident.incident_id, undone=both))
        if not before:
            severity = Severity.WARNING.value
            opened = Incident(JOB, job, dataset, severity, reason, run_id, sorted(undone))
            connection.execute(insertion(opened))


def run_succeeded(store: Warehouse, job: str, slices: Collection[str]) -> None:
    """Close the incident of a job, if its runs have now done all that failed.

    So a backfill of which one run fails and the next succeeds is one incident, and not over before
    the slices of the first are done.
    """
    with store.engine.connect() as connection:
        if not open_incidents(connection, kind=JOB, subject=job):
            return
    with changing_incidents(store.engine) as connection:
        for incident in open_incidents(connection, kind=JOB, subject=job):
            left = sorted({*incident.undone} - set(slices or [job]))
            over = {} if left else {"resolved_at": datetime.now(UTC)}
            connection.execute(change(incident.incident_id, undone=left, **over))
