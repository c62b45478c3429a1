"""Every number leads back to FINRA's lines, and every event to its first cause."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otc_assets.domain.datasets import DATASETS, NON_ATS, Dataset
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import ingest
from otc_assets.operations.revise import Treatment
from otc_assets.research import chain, get_events, latest, why
from otc_assets.research.why import Why
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES, REPOSITORY
from otc_assets_tests.operations.test_as_known import FIRST, write
from otc_assets_tests.pipeline import RUN, TODAY, run, weeks
from otc_assets_tests.research.publications import Publication, known_slices
from otc_assets_tests.research.test_knowledge import (
    FIRST_PUBLIC,
    MAY_2,
    Contents,
    Corrections,
    load,
)

ROOTS = {"FILE_DOWNLOADED", "CORRECTION_NOTICED"}
CAUSES = {
    "RAW_RECORDS_INGESTED": {"FILE_DOWNLOADED"},
    "CALCULATION_COMPLETED": {"RAW_RECORDS_INGESTED", "CALCULATION_COMPLETED"},
    "QUALITY_GRADE_ASSIGNED": {"CALCULATION_COMPLETED"},
    "WEEK_PROCESSING_COMPLETED": {"QUALITY_GRADE_ASSIGNED"},
}


def forms_a_tree(events: pd.DataFrame) -> None:
    """No orphan, no cycle: each cause is there, comes before, and is of a fitting kind."""
    before: dict[str, str] = {}
    for event in events.itertuples():
        if event.event_type in ROOTS:
            assert event.causation_id is None
        else:
            assert before[event.causation_id] in CAUSES[event.event_type]
        before[event.event_id] = event.event_type
    assert events["sequence"].is_monotonic_increasing
    assert len(before) == len(events)


def lines_of(folder: Path, name: str, symbol: str) -> list[tuple[int, str]]:
    """Return the records of a symbol in one of our JSON files, by splitting its text."""
    records = re.findall(r"\{[^{}]*\}", (folder / name).read_text())
    mine = f'"issueSymbolIdentifier": "{symbol}"'
    return [(number, text) for number, text in enumerate(records, 1) if mine in text]


@given(
    dataset=st.sampled_from(DATASETS),
    first=st.lists(Contents, min_size=3, max_size=3),
    corrections=st.lists(Corrections, max_size=2, unique_by=lambda c: c[1:3]),
    data=st.data(),
)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_is_a_tree_and_leads_every_row_to_its_lines(
    tmp_path_factory: pytest.TempPathFactory,
    dataset: Dataset,
    first: list[Any],
    corrections: list[Any],
    data: st.DataObject,
):
    publications = [
        (key, FIRST_PUBLIC[key], own) for key, own in zip(FIRST_PUBLIC, first, strict=True)
    ]
    publications += [correction[1:] for correction in corrections]
    public = [
        Publication(dataset.name, *key, FIRST_PUBLIC[key], day, records)
        for key, day, records in publications
    ]
    folder = tmp_path_factory.mktemp("case")
    url, ordered = f"sqlite:///{folder / 'otc.db'}", data.draw(st.permutations(public))
    load(url, folder, ordered)
    events = get_events(database_url=url)
    forms_a_tree(events)
    names = {id(each): f"{each.dataset}_{number}.json" for number, each in enumerate(ordered)}
    place = {"database_url": url, "archive_url": str(folder / "archive")}
    for day in sorted({p.day for p in public}):
        for (name, tier, week), publication in known_slices(public, day).items():
            symbol = min(symbol for symbol, _ in publication.records)
            (found,) = why(symbol, week, tier, day, dataset=name, **place)
            leads_to(found, folder / "source", publication, names, symbol, public)
    store = Warehouse(url, dataset)
    run(store, folder / "source", folder / "archive", [WeekKey(Tier.NMS_TIER_1, MAY_2)])
    store.engine.dispose()
    assert len(get_events(database_url=url)) == len(events)


def leads_to(
    found: Why,
    source: Path,
    publication: Publication,
    names: dict[int, str],
    symbol: str,
    public: list[Publication],
) -> None:
    """The content, its lines and its events are those of one publication.

    Another one with the same records is the same content: it is as good.
    """
    own = found.contents[-1]
    alike = {
        names[id(each)]
        for each in public
        if each.slice == publication.slice and each.day <= publication.day
    }
    assert own.source_file in alike
    assert found.problems == []
    shown = [(line.line_number, line.text) for line in own.lines]
    assert shown == lines_of(source, own.source_file, symbol)
    figures = sorted((line.share_volume, line.trade_count) for line in own.lines)
    mine = [value for (name, _), value in publication.records.items() if name == symbol]
    assert figures == sorted(mine)
    files = {e["aggregate_id"] for e in found.events if e["aggregate_type"] == "file"}
    assert own.source_sha256 in files
    assert found.events[0]["event_type"] == "FILE_DOWNLOADED"
    assert {c["table"] for c in found.calculations} >= {"venue_volume", "rolling_6w"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with three fixture weeks of Tier 1, the second of them corrected."""
    folder = tmp_path_factory.mktemp("home")
    slices = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-30")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, FIXTURES, folder / "archive", slices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_HOME", str(folder))
        yield folder
    store.engine.dispose()


def test_a_row_leads_to_the_lines_of_the_file_that_was_known_on_the_day(home: Path):
    files = {
        "2025-07-15": "finra_otc_weekly_tier1_20250609.csv",
        "2025-07-16": "finra_otc_weekly_tier1_20250609_corrected_20250716.csv",
    }
    symbol = "FNWL"
    for day, name in files.items():
        (found,) = why(symbol, "2025-05-23", day=day)
        text = (FIXTURES / name).read_text().split("\n")
        expected = [
            (number, line) for number, line in enumerate(text, 1) if f"|{symbol}|" in f"|{line}"
        ]
        own = found.contents[-1]
        assert (own.source_file, own.week_ending) == (name, date(2025, 5, 23))
        assert [(line.line_number, line.text) for line in own.lines] == expected
        assert sum(line.share_volume for line in own.lines) == found.row["total_volume"]
        assert (home / "archive" / own.archive_key).read_bytes() == (FIXTURES / name).read_bytes()
        assert [str(each.week_ending) for each in found.contents] == ["2025-05-16", "2025-05-23"]


def test_a_correction_causes_the_refresh_of_later_weeks(home: Path):
    later = get_events("slice", "ats NMS Tier 1:2025-05-30")
    done = later[later["event_type"] == "WEEK_PROCESSING_COMPLETED"].iloc[-1]
    causes = chain(done["event_id"])
    assert causes["event_type"].iloc[0] == "FILE_DOWNLOADED"
    assert causes["depth"].tolist() == list(range(len(causes) - 1, -1, -1))
    (file,) = get_events("file", causes["aggregate_id"].iloc[0])["event_id"]
    assert done["event_id"] in set(chain(file, "down")["event_id"])


def test_events_are_found_by_type_and_time(home: Path):
    every = get_events()
    forms_a_tree(every)
    middle = every["created_at"].iloc[len(every) // 2].to_pydatetime()
    found = get_events(event_type="CALCULATION_COMPLETED", since=middle)
    mine = every[every["event_type"] == "CALCULATION_COMPLETED"]
    assert found["event_id"].tolist() == mine[mine["created_at"] >= middle]["event_id"].tolist()
    assert get_events(until="2020-01-01").empty
    assert get_events(since=date(2020, 1, 1)).shape == every.shape


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"aggregate_type": "week"}, "there are slice, file"),
        ({"aggregate_id": "x"}, "goes with its aggregate_type"),
        ({"event_type": "FILE_PARSED"}, "FILE_DOWNLOADED"),
    ],
)
def test_what_cannot_be_meant_is_refused(home: Path, arguments: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        get_events(**arguments)
    with pytest.raises(ValueError, match="is a UUID"):
        chain("'; DROP TABLE events")


def test_an_archive_out_of_reach_costs_only_the_text(home: Path, tmp_path: Path):
    (found,) = why("FNWL", "2025-05-23", archive_url=str(tmp_path / "gone"))
    assert [line.text for line in found.contents[-1].lines] == [None] * len(
        found.contents[-1].lines
    )
    assert "OTC_ARCHIVE_URL" in found.problems[0]
    assert found.events
    assert not (tmp_path / "gone").exists()


def test_bytes_that_are_not_those_of_the_hash_are_not_shown(home: Path, tmp_path: Path):
    shutil.copytree(home / "archive", tmp_path / "archive")
    (found,) = why("FNWL", "2025-05-23")
    path = tmp_path / "archive" / found.contents[-1].archive_key
    path.write_bytes(path.read_bytes().replace(b"FNWL", b"FAKE"))
    (again,) = why("FNWL", "2025-05-23", archive_url=str(tmp_path / "archive"))
    assert {line.text for line in again.contents[-1].lines} == {None}
    assert "not those that were archived" in again.problems[0]


def test_a_line_of_a_merged_revision_is_found_in_its_own_file(
    sqlite_warehouse: Warehouse, tmp_path: Path
):
    source, kept = tmp_path / "source", tmp_path / "archive"
    contents = [
        ("a", [("AAA", 100, "2025-05-19"), ("BBB", 50, "2025-05-19")]),
        ("b", [("AAA", 110, "2025-06-03"), ("CCC", 9, "2025-06-03")]),
        ("c", [("AAA", 110, "2025-06-04"), ("DDD", 4, "2025-06-04")]),
    ]
    merge = Treatment(RevisionPolicy.MERGE)
    for name, rows in contents:
        write(source, f"week_2025-05-02_{name}.csv", *rows)
        index = FileSource(str(source)).index(TODAY, sqlite_warehouse.dataset)
        ingest(sqlite_warehouse, Archive(str(kept)), index, FIRST, RUN, TODAY, merge)
    run(sqlite_warehouse, source, kept, [FIRST], treatment=merge)
    place = {"database_url": sqlite_warehouse.url, "archive_url": str(kept)}
    for symbol, name in (("BBB", "a"), ("CCC", "b"), ("DDD", "c")):
        (found,) = why(symbol, "2025-05-02", **place)
        (line,) = found.contents[-1].lines
        text = (source / f"week_2025-05-02_{name}.csv").read_text().split("\n")
        assert line.source_file == f"week_2025-05-02_{name}.csv"
        assert line.text == text[line.line_number - 1]
        assert f"|{symbol}|" in f"|{line.text}"


def test_a_symbol_that_was_not_known_has_no_why(home: Path):
    with pytest.warns(UserWarning, match="has no symbol"):
        assert why("NO.SUCH", "2025-05-23") == []
    assert why("FNWL", "2025-05-23", day="2025-06-01") == []


def test_the_example_in_the_documentation_runs(home: Path):
    page = (REPOSITORY / "docs/research.md").read_text()
    (example,) = (b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "why(" in b)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["found"].contents[-1].lines
    assert json.dumps(names["found"].row, default=str)
    assert latest("PXDT", "NMS Tier 1", "2025-05-23")["symbol"].tolist() == ["PXDT"]


def test_each_dataset_has_slices_of_its_own(home: Path):
    ids = get_events("slice")["aggregate_id"]
    assert ids.str.startswith("ats ").all()
    assert get_events("slice", f"{NON_ATS.name} NMS Tier 1:2025-05-23").empty
