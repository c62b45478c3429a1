"""Why is this number here: from a row of the snapshot back to the lines of FINRA's file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd

from otc_assets.calculations import calculation_labelled
from otc_assets.calculations.research_snapshot import research_snapshot
from otc_assets.domain.events import SLICE, Event, EventType, slice_id
from otc_assets.domain.revisions import Revision, newest
from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import CONTEXT_WEEKS
from otc_assets.operations.recall import Recall, UnreadableError
from otc_assets.research.arguments import Names
from otc_assets.research.knowledge import as_of, latest, store_of
from otc_assets.sources.archive import Archive
from otc_assets.sources.dialects import read_lines
from otc_assets.sources.errors import SourceError
from otc_assets.warehouse.events import chain_query, select_events
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.schema import EVENT_LOG


@dataclass(frozen=True)
class Line:
    """One line of a source file that is of the symbol; of JSON, one record."""

    line_number: int
    """In the file; the header is line 1, the first record of a JSON array too."""
    source_file: str
    source_sha256: str
    archive_key: str
    mpid: str
    share_volume: float
    """In shares."""
    trade_count: int
    text: str | None
    """Read back from the archive; None if it is out of reach."""


@dataclass
class Content:
    """The revision of one week that went into the row."""

    week_ending: date
    source_revision: int
    revision_date: date
    """When FINRA made it public."""
    source_file: str
    source_sha256: str
    archive_key: str
    lines: list[Line] = field(default_factory=list)
    """Those of the symbol."""


@dataclass
class Why:
    """The way from one row of research_snapshot back to the bytes."""

    row: dict[str, Any]
    """Its columns, as `as_of` has them."""
    calculations: list[dict[str, Any]]
    """What gave it, inputs first: table, calc_version, rows, inputs, and the event_id."""
    events: list[dict[str, Any]]
    """The events that led to it, in order, with the columns of events."""
    contents: list[Content]
    """The row's own week last; before it the other weeks of its window."""
    problems: list[str] = field(default_factory=list)
    """What could not be read, and why."""


def why(
    symbol: str,
    week: str | date,
    tiers: Names = None,
    day: str | date | datetime | None = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
    archive_url: str | None = None,
) -> list[Why]:
    """Return where the snapshot's numbers of a symbol in a week come from, one answer per tier.

    An archive out of reach is among the ``problems``; the rest is told all the same.

    Args:
        symbol: as FINRA writes it.
        week: by its Friday.
        tiers: one or more (default: each in which the symbol was reported).
        day: as it was known at the end of this day (default: now).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).
        archive_url: where the files are kept (default: OTC_ARCHIVE_URL).

    Returns:
        Nothing, if the store has no such row.

    Raises:
        StoreError, TypeError, ValueError: as `as_of` does.

    """
    asked: dict[str, Any] = {"dataset": dataset, "database_url": database_url}
    if day is None:
        rows = latest(symbol, tiers, week, **asked)
    else:
        rows = as_of(day, symbol, tiers, week, **asked)
    store = store_of(dataset, database_url)
    recall = Recall(archive_url)
    archive = recall.archive(store.dataset)
    with store.read() as reader:
        reader.recall = recall
        return [_explained(reader, archive, row) for row in rows.to_dict("records")]


def _explained(reader: SliceReader, archive: Archive, row: Mapping[Any, Any]) -> Why:
    week = WeekKey(Tier(row["tier"]), row["week_ending"].date())
    every = reader.revisions(week.window(CONTEXT_WEEKS))
    day = row["as_of_date"].date()
    known = {w: r for w in every if (r := newest(every[w], day))}
    calculated = _calculations(reader, week, known)
    told = [event for event in calculated if event.payload.get("table")]
    contents, ingested = [], []
    for each, revision in sorted(known.items()):
        contents.append(_content(reader, each, revision.source_revision))
        ingested += _ingestions(reader, each, revision.source_revision)
    found = Why(
        row={str(name): value for name, value in row.items()},
        calculations=[{**_facts(event), "event_id": event.event_id} for event in told],
        events=_led_to(reader, [*told, *ingested]),
        contents=contents,
    )
    contents[-1].lines = _lines(reader, archive, week, contents[-1], row["symbol"], found.problems)
    if not told:
        found.problems.append("the store has no events of its calculations")
    return found


def _calculations(
    reader: SliceReader, week: WeekKey, known: Mapping[WeekKey, Revision]
) -> list[Event]:
    """Return the event of each calculation that the snapshot rests on, in order.

    It is the newest that has read what was known then; of the snapshot, which is a history of all
    days, the newest.
    """
    read = {(str(w.week_ending), r.source_revision) for w, r in known.items()}
    done = select_events(
        reader.connection,
        EVENT_LOG.c.aggregate_type == SLICE,
        EVENT_LOG.c.aggregate_id == slice_id(reader.dataset, week),
        EVENT_LOG.c.event_type == EventType.CALCULATION_COMPLETED.value,
    )
    done = [event for event in done if event.payload.get("status") == "written"]
    found = []
    for label in _labels(research_snapshot.spec.label):
        spec = calculation_labelled(label).spec
        mine = [
            event
            for event in done
            if event.payload["table"] == spec.output_table
            and event.payload.get("calc_version") in (None, spec.version)
        ]
        then = [
            event
            for event in mine
            if {(i["week_ending"], i["source_revision"]) for i in event.payload.get("inputs", ())}
            <= read
        ]
        found += (then or mine)[-1:] if spec is not research_snapshot.spec else mine[-1:]
    return sorted(found, key=lambda event: event.sequence or 0)


def _labels(label: str) -> list[str]:
    """Return a calculation and all that it depends on."""
    below = [each for one in calculation_labelled(label).spec.depends_on for each in _labels(one)]
    return list(dict.fromkeys([*below, label]))


def _facts(event: Event) -> dict[str, Any]:
    names = ("table", "calc_version", "rows", "inputs")
    return {name: event.payload.get(name) for name in names}


def _ingestions(reader: SliceReader, week: WeekKey, revision: int) -> list[Event]:
    told = select_events(
        reader.connection,
        EVENT_LOG.c.aggregate_type == SLICE,
        EVENT_LOG.c.aggregate_id == slice_id(reader.dataset, week),
        EVENT_LOG.c.event_type == EventType.RAW_RECORDS_INGESTED.value,
    )
    mine = {"status": "ingested", "source_revision": revision}
    return [event for event in told if event.says(EventType.RAW_RECORDS_INGESTED, mine)][-1:]


def _led_to(reader: SliceReader, events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events with all their causes, in order."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.sequence not in found:
            for row in reader.connection.execute(chain_query(event.event_id, up=True)).mappings():
                found[row["sequence"]] = {n: v for n, v in row.items() if n != "depth"}
    return [found[sequence] for sequence in sorted(found)]


def _content(reader: SliceReader, week: WeekKey, number: int) -> Content:
    record = reader.revision(week, number)
    names = ("source_revision", "revision_date", "source_file", "source_sha256", "archive_key")
    return Content(week_ending=week.week_ending, **{name: record[name] for name in names})


def _lines(
    reader: SliceReader,
    archive: Archive,
    week: WeekKey,
    content: Content,
    symbol: str,
    problems: list[str],
) -> list[Line]:
    """Return the symbol's lines of a revision, with their text if the archive has it."""
    names = ["symbol", "mpid", "share_volume", "trade_count"]
    names += ["line_number", "source_file", "source_sha256"]
    try:
        rows = reader.frame("raw", week, names, source_revision=content.source_revision)
    except UnreadableError as error:
        problems.append(str(error))
        return []
    before = _numbered_before(rows)
    rows = rows[rows["symbol"] == symbol].sort_values("line_number")
    keys = {r["source_sha256"]: r["archive_key"] for r in reader.records("revisions", week)}
    texts: dict[str, dict[int, str]] = {}
    found = []
    for row in rows.to_dict("records"):
        name, sha256 = row["source_file"], row["source_sha256"]
        number = row["line_number"] - before[sha256]
        key = keys.get(sha256, content.archive_key)
        if sha256 not in texts:
            texts[sha256] = _texts(archive, key, name, problems)
        line = texts[sha256].get(number)
        figures = row["share_volume"] / MILLIONTHS, row["trade_count"]
        found.append(Line(number, name, sha256, key, row["mpid"], *figures, line))
    return found


def _numbered_before(rows: pd.DataFrame) -> dict[str, int]:
    """Return by how much the lines of each file of a revision are numbered on.

    Only a merged revision is of several files: each was numbered on from the one before.
    """
    last, before = 0, {}
    for sha256, end in rows.groupby("source_sha256")["line_number"].max().sort_values().items():
        before[str(sha256)], last = last, int(end)
    return before


def _texts(archive: Archive, key: str, name: str, problems: list[str]) -> dict[int, str]:
    """Return the lines of an archived file by their number; none if it cannot be read."""
    try:
        lines = read_lines(name, archive.get(key), strict=False).rows
    except SourceError as error:
        problems.append(str(error))
        return {}
    return dict(zip(lines["line_number"].tolist(), lines["raw_line"].tolist(), strict=True))
