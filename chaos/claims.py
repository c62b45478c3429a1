"""What must hold of a home after it has recovered; an AssertionError says what does not."""

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import sqlalchemy as sa
from upath import UPath

from chaos.homes import Home
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.events import Event
from otc_assets.operations.examine import examine
from otc_assets.operations.ownership import MARKER, archive_keys
from otc_assets.operations.replay import differing_facts
from otc_assets.operations.summary import fingerprint
from otc_assets.operations.verify import chosen, verify
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.events import NO_FACTS, select_events
from otc_assets.warehouse.store import Store
from otc_assets_tests.pipeline import TODAY

SHOWN = 5
"""How many differences a message names."""


@dataclass(frozen=True)
class Answer:
    """What a store holds and tells, without who wrote it and when."""

    content: dict[str, str]
    """The fingerprint of each dataset."""
    events: Sequence[Event]


def answer_of(url: str) -> Answer:
    """Return what the store at ``url`` holds."""
    contents, events = {}, []
    for dataset in DATASETS:
        store = Store(url, dataset)
        with store.read() as reader:
            contents[dataset.name] = fingerprint(reader)
            events = select_events(reader.connection)
        store.engine.dispose()
    return Answer(contents, events)


def store_is_sound(url: str, archive: Path, quiet: Answer) -> None:
    """The store is the quiet run's, its events are sound, and `otc verify` finds nothing."""
    found = answer_of(url)
    nothing_is_told_twice(found.events)
    every_cause_is_there(found.events)
    nothing_differs(differing_facts(quiet.events, found.events), "the quiet run is left")
    assert found.content == quiet.content, "the content is not the quiet run's"
    verify_finds_nothing(url, archive)
    archive_is_tidy(url, archive)
    nobody_holds_a_lock(url)


def nothing_is_told_twice(events: Iterable[Event]) -> None:
    """No two events have type, aggregate, facts and cause in common."""
    told = Counter(
        json.dumps(
            [
                *(event.event_type, event.aggregate_id, event.causation_id),
                {k: v for k, v in event.payload.items() if k not in NO_FACTS},
            ],
            sort_keys=True,
        )
        for event in events
    )
    nothing_differs([fact for fact, times in told.items() if times > 1], "told twice")


def every_cause_is_there(events: Sequence[Event]) -> None:
    """Each event has a place of its own, and the cause that it names stands before it."""
    places = {event.sequence or 0: event for event in events}
    assert len(places) == len(events), "two events have one sequence"
    seen: set[str | None] = {None}
    for _, event in sorted(places.items()):
        assert event.causation_id in seen, f"its cause is not there: {event}"
        seen.add(event.event_id)


def verify_finds_nothing(url: str, archive: Path) -> None:
    """`otc verify --all` finds nothing."""
    for dataset in DATASETS:
        store = Store(url, dataset)
        slices, _ = chosen(store, None, 0)
        found = [
            str(finding)
            for each in verify(store, Archive(str(archive), dataset), slices)
            for finding in each.findings
        ]
        store.engine.dispose()
        nothing_differs(found, "otc verify finds")


def archive_is_tidy(url: str, archive: Path) -> None:
    """The archive has the files that the store knows, and as a source offers just these."""
    store = Store(url)
    known = set(archive_keys(store))
    store.engine.dispose()
    there = {str(p.relative_to(archive)) for p in archive.rglob("*") if p.is_file()} - {MARKER}
    # What a kill leaves of a file that was being written has a name that no reader looks at.
    there = {key for key in there if not key.endswith(".part")}
    nothing_differs(known ^ there, "of store and archive only one has")
    offered = set()
    for dataset in DATASETS:
        index = FileSource(str(archive)).index(TODAY, dataset)
        nothing_differs([str(stray.error) for stray in index.strays()], "no slice has the file")
        offered |= {file.path for files in index.placed.values() for file in files}
    assert offered == {UPath(archive) / key for key in known}


def nobody_holds_a_lock(url: str) -> None:
    """Whoever comes next can write at once."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parsed.database), timeout=0, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.close()
        return
    engine = sa.create_engine(url)
    held = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
    held += "WHERE locktype = 'advisory' AND datname = current_database()"
    with engine.connect() as opened:
        assert opened.exec_driver_sql(held).scalar_one() == 0, "an advisory lock is held"
    engine.dispose()


def nothing_is_planned(home: Home) -> None:
    """Dagster's storage has no check of the last run that is still to come."""
    url = home.dagster_url or f"sqlite:///{home.path / 'dagster/history/runs/index.db'}"
    engine = sa.create_engine(url)
    last = "SELECT run_id FROM asset_check_executions ORDER BY id DESC LIMIT 1"
    query = "SELECT execution_status, count(*) FROM asset_check_executions "
    query += f"WHERE run_id = ({last}) GROUP BY execution_status"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query).all()
    engine.dispose()
    counts = {row[0]: row[1] for row in rows}
    assert counts.get("SUCCEEDED"), "the last run has no checks"
    assert set(counts) <= {"SUCCEEDED", "FAILED"}, f"the last run's checks: {counts}"


def doctor_finds_nothing(home: Home) -> None:
    """`otc doctor` finds nothing that would fail."""
    with mock.patch.dict(os.environ, home.environment, clear=True):
        failing = [f"{f.what}: {f.detail}" for f in examine() if f.verdict == "fails"]
    nothing_differs(failing, "otc doctor finds")


def features_of(home: Home) -> dict[str, str]:
    """Return a hash of each file of features, without when it was written."""
    root, found = home.path / "features", {}
    for path in sorted(root.rglob("*.parquet")):
        rows = pq.ParquetFile(path).read().to_pandas().drop(columns="created_timestamp")
        text = rows.to_csv(index=False)
        found[str(path.relative_to(root))] = hashlib.sha256(text.encode()).hexdigest()
    return found


def nothing_differs(found: Iterable[str], what: str) -> None:
    """Nothing was found; the message names the first of what was."""
    found = sorted(found)
    assert not found, f"{what}, {len(found)} times:\n" + "\n".join(found[:SHOWN])
