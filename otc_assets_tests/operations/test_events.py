"""What the stream tells of refusals, corrections and repeats, and that it can be done again."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from otc_assets.assets.metadata import slice_metadata
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.events import Event, slice_id, slice_of_id
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.replay import differing_facts, replay
from otc_assets.operations.revise import Treatment
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.events import select_events
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import empty_store
from otc_assets_tests.operations.test_as_known import FIRST, SECOND, write
from otc_assets_tests.pipeline import RUN, content, run


def stream(warehouse: Warehouse) -> list[Event]:
    with warehouse.read() as reader:
        return select_events(reader.connection)


def shown(events: Iterable[Event]) -> list[tuple[str, str]]:
    """Return the type of each event, and the table or the status that it is about."""
    names = ("table", "status")
    return [
        (e.event_type, next((e.payload[n] for n in names if n in e.payload), "")) for e in events
    ]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_the_name_of_a_slice_is_read_back(dataset):
    week = WeekKey(Tier.NMS_TIER_2, date(2025, 5, 16))
    assert slice_of_id(slice_id(dataset, week)) == (dataset, week)
    with pytest.raises(ValueError, match="a slice reads 'ats OTC"):
        slice_of_id("dealers OTC:2025-05-16")


def test_a_refused_file_is_told_once_and_then_its_repair(warehouse: Warehouse, tmp_path: Path):
    source, kept = tmp_path / "source", tmp_path / "archive"
    write(source, "week_2025-05-02.csv", ("AAA", -1, "2025-05-19"))
    for _ in range(2):
        run(warehouse, source, kept, [FIRST])
    downloaded, refused = stream(warehouse)
    assert (downloaded.event_type, downloaded.aggregate_type) == ("FILE_DOWNLOADED", "file")
    assert refused.causation_id == downloaded.event_id
    assert (refused.payload["status"], refused.payload["rows"]) == ("refused", 0)
    assert "no good line" in refused.payload["reason"]
    assert refused.payload["source_sha256"] == downloaded.aggregate_id
    assert (kept / refused.payload["archive_key"]).is_file()
    write(source, "week_2025-05-02.csv", ("AAA", 1, "2025-05-19"))
    run(warehouse, source, kept, [FIRST])
    assert [status for _, status in shown(stream(warehouse)[2:4])] == ["", "ingested"]


def test_a_blocked_table_says_so_and_leads_to_its_file(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, kept = tmp_path / "source", tmp_path / "archive"
    write(source, "week_2025-05-02.csv", ("AAA", 1, "2025-05-19"))
    monkeypatch.setattr("otc_assets.operations.derive.broken_of", lambda _, verdicts: verdicts[:1])
    for _ in range(2):
        run(warehouse, source, kept, [FIRST])
    file, ingested, blocked = stream(warehouse)
    assert (blocked.payload["table"], blocked.payload["status"]) == ("venue_volume", "blocked")
    assert blocked.payload["reason"].startswith("venue_volume was not written")
    assert (blocked.causation_id, ingested.causation_id) == (ingested.event_id, file.event_id)
    monkeypatch.undo()
    derive(warehouse, "venue_volume", FIRST, RUN)
    assert shown(stream(warehouse)[3:]) == [("CALCULATION_COMPLETED", "venue_volume")]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """On which database `eventful` is."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where source and archive of `eventful` are."""
    return tmp_path_factory.mktemp(kind)


@pytest.fixture(scope="module")
def eventful(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[Warehouse]:
    """Two weeks, the first of which is corrected, and also by an older file that comes late."""
    contents = [
        ("week_2025-05-02_a.csv", FIRST, [("AAA", 100, "2025-05-19"), ("BBB", 5, "2025-05-19")]),
        ("week_2025-05-09.csv", SECOND, [("AAA", 70, "2025-05-27")]),
        ("week_2025-05-02_c.csv", FIRST, [("AAA", 300, "2025-06-10")]),
        ("week_2025-05-02_b.csv", FIRST, [("AAA", 200, "2025-06-03")]),
    ]
    with empty_store(request, kind, folder) as url:
        warehouse = Warehouse(url)
        for name, week, rows in contents:
            write(folder / "source", name, *rows)
            run(warehouse, folder / "source", folder / "archive", [week])
        yield warehouse
        warehouse.engine.dispose()


def test_a_repeat_tells_nothing(eventful: Warehouse, folder: Path):
    before, source, kept = stream(eventful), folder / "source", folder / "archive"
    for treatment in (Treatment(), Treatment(force=True)):
        outcomes = run(eventful, source, kept, [FIRST, SECOND], treatment=treatment)
        assert stream(eventful) == before
    ids = {event.event_id for event in before}
    loaded = [o for o in outcomes if o.status is SliceStatus.LOADED]
    assert loaded
    for outcome in loaded:
        assert {event.event_id for event in outcome.events} <= ids
        metadata = slice_metadata(outcome)
        assert "event" in metadata or any(name.startswith("event of") for name in metadata)
    assert metadata["why"] == "otc why AAA 2025-05-09 --tier 'NMS Tier 1' --dataset ats"


def test_a_refresh_is_caused_by_the_correction_of_the_earlier_week(eventful: Warehouse):
    events = {event.event_id: event for event in stream(eventful)}
    refreshed = [
        event
        for event in events.values()
        if event.aggregate_id == f"ats {SECOND}" and event.payload.get("table") == "rolling_6w"
    ]
    assert [len(event.payload["inputs"]) for event in refreshed] == [2, 2]
    cause = events[refreshed[-1].causation_id]
    assert (cause.aggregate_id, cause.payload["table"]) == (f"ats {FIRST}", "symbol_summary")
    while cause.causation_id:
        cause, last = events[cause.causation_id], cause
    assert last.payload["source_revision"] == 2
    assert cause.payload["source_file"] == "week_2025-05-02_c.csv"


def test_an_older_file_that_comes_late_causes_the_snapshot_alone(eventful: Warehouse):
    events = stream(eventful)
    late = next(e for e in events if e.payload.get("source_file") == "week_2025-05-02_b.csv")
    after = [e for e in events if e.sequence > late.sequence]
    assert shown(after) == [
        ("RAW_RECORDS_INGESTED", "ingested"),
        *[
            ("CALCULATION_COMPLETED", "research_snapshot"),
            ("QUALITY_GRADE_ASSIGNED", ""),
            ("WEEK_PROCESSING_COMPLETED", ""),
        ]
        * 2,
    ]
    assert [e.causation_id for e in after if "table" in e.payload] == [after[0].event_id] * 2


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_the_stream_done_again_from_the_archive_gives_the_same_store_and_stream(
    eventful: Warehouse, folder: Path
):
    """A stream of PostgreSQL, done again on SQLite: so the two of them agree, too."""
    events = stream(eventful)
    again = Warehouse(f"sqlite:///{folder / 'again.db'}")
    replay(again, Archive(str(folder / "archive")), events, RUN)
    assert content(again) == content(eventful)
    assert differing_facts(events, stream(again)) == []
    assert not {e.event_id for e in events} & {e.event_id for e in stream(again)}
    lie = replace(events[1], payload={**events[1].payload, "rows": 3})
    assert len(differing_facts([events[0], lie, *events[2:]], events)) > 1
