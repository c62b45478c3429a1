"""Two datasets side by side in one store, and a third that is no more than its declaration."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from otc_assets.assets.platform import Platform
from otc_assets.calculations import output_tables
from otc_assets.definitions import build_defs
from otc_assets.domain import datasets
from otc_assets.domain.calendar import due_weeks, expected_publication_date
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.schema import metadata
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import content, run, weeks
from otc_assets_tests.sources.samples import WEEK, api_json, dealer, row

SLICES = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23")
NAMES = {
    SLICES[0]: ["finra_otc_weekly_tier1_20250602.csv"],
    SLICES[1]: [
        "finra_otc_weekly_tier1_20250609.csv",
        "finra_otc_weekly_tier1_20250609_corrected_20250716.csv",
    ],
}
LACKING = "PXDT"
"""A symbol of which one record in each file lacks its notional."""
TABLES = ["raw", *(table.name for table in output_tables())]


def records_of(name: str, week: WeekKey) -> list[dict[str, Any]]:
    """The lines of a fixture as records of the Query API, with a notional of 12.34 a share."""
    with (FIXTURES / name).open() as file:
        lines = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    lacks_one = next(line for line in lines if line["issueSymbolIdentifier"] == LACKING)
    numbers = {mpid: 1000 + n for n, mpid in enumerate(sorted({line["MPID"] for line in lines}))}
    return [
        {
            **line,
            "totalWeeklyShareQuantity": float(line["totalWeeklyShareQuantity"]),
            "totalWeeklyTradeCount": int(line["totalWeeklyTradeCount"]),
            "totalNotionalSum": None
            if line is lacks_one
            else float(Decimal(line["totalWeeklyShareQuantity"]) * Decimal("12.34")),
            "tierIdentifier": "T1",
            "weekStartDate": week.monday.isoformat(),
            "firmCRDNumber": numbers[line["MPID"]],
            "marketParticipantName": line["MPID"],
            "summaryTypeCode": ATS.summary_type,
        }
        for line in lines
    ]


def as_dealers(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = {"MPID": None, "summaryTypeCode": NON_ATS.summary_type}
    return [record | changes for record in records]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same records as ATS and as non-ATS data, beside each other."""
    folder = tmp_path_factory.mktemp("records")
    for week, names in NAMES.items():
        for number, name in enumerate(names):
            records = records_of(name, week)
            stem = f"week_{week.week_ending}_{number}"
            (folder / f"{stem}_a.json").write_text(json.dumps(records))
            (folder / f"{stem}_b.json").write_text(json.dumps(as_dealers(records)))
    return folder


@pytest.fixture
def both(database_url: str) -> Iterator[list[Warehouse]]:
    """The stores of both datasets in one database, once on each kind."""
    stores = [Warehouse(database_url, dataset) for dataset in DATASETS]
    yield stores
    for store in stores:
        store.engine.dispose()


def rows(store: Warehouse, table: str, week: WeekKey) -> pd.DataFrame:
    """The rows of a table, with each venue under the name that is the same in both datasets."""
    hidden = {"content_hash", "record_hash", "execution_id", "batch_id", "correlation_id"}
    times = {"ingested_at", "computed_at", "source_file", "source_sha256"}
    with store.read() as reader:
        found = reader.frame(table, week).drop(columns=list(hidden | times), errors="ignore")
    for column in {"mpid", "top_venue_mpid"} & set(found):
        found[column] = found[column].map(lambda name: name.split()[-1], na_action="ignore")
    return found


@dataclass
class Alone:
    """What a run gave for each dataset in a SQLite database of its own, with one archive."""

    stores: dict[Dataset, Warehouse]
    contents: dict[Dataset, str]
    archive: Path


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    kept = tmp_path_factory.mktemp("alone")
    stores = {each: Warehouse(f"sqlite:///{kept / each.name}.db", each) for each in DATASETS}
    for store in stores.values():
        run(store, folder, kept / "archive", SLICES)
    contents = {dataset: content(store) for dataset, store in stores.items()}
    return Alone(stores, contents, kept / "archive")


def test_the_same_records_give_the_same_numbers_in_each_dataset_and_on_each_database(
    both: list[Warehouse], folder: Path, tmp_path: Path, alone: Alone
):
    ats, dealers = both
    run(ats, folder, tmp_path / "archive", SLICES)
    before = content(ats)
    outcomes = run(dealers, folder, tmp_path / "archive", SLICES)
    assert content(ats) == before
    assert {outcome.status for outcome in outcomes} == {SliceStatus.LOADED}
    for week in SLICES:
        for table in TABLES:
            one, other = (rows(store, table, week) for store in both)
            assert len(one) > 0
            pd.testing.assert_frame_equal(one, other, check_exact=True)
    with dealers.read() as reader:
        venues = set(reader.frame("venue_share", SLICES[0])["mpid"])
    assert venues == {
        f"{record['firmCRDNumber']} {record['MPID']}"
        for record in records_of(NAMES[SLICES[0]][0], SLICES[0])
    }
    assert {store.dataset: content(store) for store in both} == alone.contents


def totals_by(field: str, week: WeekKey) -> dict[str, int | None]:
    """The notional of the newest content of a week in millionths, by a field of its records."""
    amounts: dict[str, list[Any]] = defaultdict(list)
    for record in records_of(NAMES[week][-1], week):
        amounts[record[field]].append(record["totalNotionalSum"])
    return {
        name: None if None in each else int(sum(Decimal(repr(a)) for a in each) * 10**6)
        for name, each in amounts.items()
    }


each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


@each_dataset
@pytest.mark.parametrize("week", SLICES, ids=str)
def test_notional_is_conserved_through_the_store_and_unknown_where_a_record_lacks_it(
    alone: Alone, dataset: Dataset, week: WeekKey
):
    store = alone.stores[dataset]
    snapshot = rows(store, "research_snapshot", week).sort_values("as_of_date")
    newest = snapshot.drop_duplicates("symbol", keep="last")
    tables = {
        "symbol_summary": ("symbol", rows(store, "symbol_summary", week)),
        "research_snapshot": ("symbol", newest[~newest["is_removed"]]),
        "venue_share": ("mpid", rows(store, "venue_share", week)),
    }
    fields = {"symbol": "issueSymbolIdentifier", "mpid": "MPID"}
    for table, (key, frame) in tables.items():
        totals = zip(frame[key], frame["total_notional"], strict=True)
        found = {name: None if pd.isna(total) else int(total) for name, total in totals}
        assert found == totals_by(fields[key], week), table
        assert list(found.values()).count(None) == 1, table
    raw, volume = rows(store, "raw", week), rows(store, "venue_volume", week)
    raw = raw[raw["source_revision"] == raw["source_revision"].max()]
    assert volume["notional"].sum() == raw["notional"].sum()


def test_each_dataset_has_its_own_letters_and_its_own_standing(
    both: list[Warehouse], tmp_path: Path
):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.json").write_bytes(api_json([row()]))
    mixed = [dealer(), dealer("B"), dealer("C", monday="2025-11-17")]
    (source / "week_2025-11-14_b.json").write_bytes(api_json(mixed))
    ats, dealers = both
    statuses = [run(store, source, tmp_path / "archive", [WEEK])[0].status for store in both]
    assert statuses == [SliceStatus.LOADED, SliceStatus.REFUSED]
    with ats.read() as one, dealers.read() as other:
        assert one.dead_letters() == []
        assert "mixes several slices" in other.dead_letters()[0]["error"]
        assert [row["row_counts"]["raw"] for row in one.manifests().values()] == [1]
        assert [row["row_counts"]["raw"] for row in other.manifests().values()] == [0]
    assert (tmp_path / "archive" / "otc").is_dir()
    assert (tmp_path / "archive" / "non_ats" / "otc").is_dir()


def test_what_a_dataset_lacks_is_told_by_its_title_and_its_first_week(tmp_path: Path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.json").write_bytes(api_json([row()]))
    store = Warehouse(f"sqlite:///{tmp_path / 'otc.db'}", NON_ATS)
    early = WeekKey(Tier.OTC, date(2016, 4, 1))
    missing, before = (
        run(store, tmp_path / "source", tmp_path / "archive", [week])[0] for week in (WEEK, early)
    )
    assert (missing.status, before.status) == (SliceStatus.MISSING, SliceStatus.NOT_DUE)
    assert "the source has no non-ATS data of OTC:2025-11-14" in str(missing.reason)
    assert before.reason == "FINRA's non-ATS data begin with the week ending 2016-04-08"


def test_each_dataset_is_rebuilt_from_the_one_archive(alone: Alone, tmp_path: Path):
    assert {path.name for path in alone.archive.iterdir()} == {"nms_tier_1", "non_ats"}
    for dataset in DATASETS:
        rebuilt = Warehouse(f"sqlite:///{tmp_path / 'otc.db'}", dataset)
        run(rebuilt, alone.archive, tmp_path / "another", SLICES)
        assert content(rebuilt) == alone.contents[dataset]


THIRD = Dataset(
    name="third",
    title="third",
    summary_type="XYZ_W_SMBL_FIRM",
    publication_delay=dict.fromkeys(Tier, timedelta(days=14)),
    first_period=date(2025, 11, 7),
    venue_columns=("firm_crd",),
    prefix="third",
)
PUBLISHED = "2025-11-24"
"""Fourteen days after the Monday of the week."""


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset that is declared here only."""
    monkeypatch.setattr(datasets, "EVERY_DATASET", (*datasets.EVERY_DATASET, THIRD))
    return THIRD


@pytest.fixture
def third_folder(tmp_path: Path) -> Path:
    """A week of the third dataset and its correction, beside a file of each other one."""
    source = tmp_path / "source"
    source.mkdir()
    common = {"published": PUBLISHED, "summary": THIRD.summary_type, "notional": 2.5}
    first = [
        row("AAA", shares=100, crd=7, updated=PUBLISHED, **common),
        row("AAA", shares=50, crd=0, updated=PUBLISHED, **common),
    ]
    second = [*first, row("BBB", shares=9, crd=7, updated="2025-12-01", **common)]
    (source / "1.json").write_bytes(api_json(first))
    (source / "2.json").write_bytes(api_json(second))
    (source / "3.json").write_bytes(api_json([row()]))
    (source / "4.json").write_bytes(api_json([dealer()]))
    return source


def test_a_dataset_that_is_declared_goes_the_whole_way(
    database_url: str, third: Dataset, third_folder: Path, tmp_path: Path
):
    store = Warehouse(database_url, third)
    others = [Warehouse(database_url, dataset) for dataset in DATASETS]
    outcomes = run(store, third_folder, tmp_path / "archive", [WEEK], date(2025, 12, 3))
    assert [outcome.table for outcome in outcomes] == TABLES
    assert {(outcome.status, outcome.written) for outcome in outcomes} == {
        (SliceStatus.LOADED, True)
    }
    snapshot = rows(store, "research_snapshot", WEEK).sort_values(["as_of_date", "symbol"])
    shown = ["symbol", "total_volume", "total_notional", "venue_count", "top_venue_mpid"]
    assert snapshot[["as_of_date", *shown]].values.tolist() == [
        [date(2025, 11, 24), "AAA", 150_000_000, 5_000_000, 2, "7"],
        [date(2025, 12, 1), "BBB", 9_000_000, 2_500_000, 1, "7"],
    ]
    with store.read() as reader:
        manifest = reader.manifest(WEEK)
    assert manifest is not None
    assert manifest["expected_publication_date"] == date.fromisoformat(PUBLISHED)
    assert {path.name for path in (tmp_path / "archive").iterdir()} == {"third"}
    assert set(metadata(third).tables) == {f"third_{name}" for name in metadata(ATS).tables}
    for other in others:
        with other.read() as reader:
            assert not reader.slices()
        other.engine.dispose()
    before = content(store)
    run(store, third_folder, tmp_path / "archive", [WEEK], date(2025, 12, 3))
    assert content(store) == before
    store.engine.dispose()


def test_a_dataset_has_its_own_calendar():
    assert expected_publication_date(WEEK, THIRD) == date.fromisoformat(PUBLISHED)
    assert expected_publication_date(WEEK) == date(2025, 12, 15)
    due = due_weeks(Tier.OTC, date(2014, 5, 16), date(2025, 12, 1), THIRD)
    assert due == tuple(WEEK.shifted(n) for n in (-1, 0, 1))
    assert due_weeks(Tier.OTC, WEEK.week_ending, date(2025, 12, 14), ATS) == ()
    assert due_weeks(Tier.OTC, WEEK.week_ending, date(2025, 12, 22), ATS) == (
        WEEK,
        WEEK.shifted(1),
    )


def test_a_dataset_that_is_declared_has_assets_checks_and_runs(
    third: Dataset, third_folder: Path, tmp_path: Path
):
    platform = Platform(
        database_url=f"sqlite:///{tmp_path / 'otc.db'}",
        source_url=str(third_folder),
        archive_url=str(tmp_path / "archive"),
    )
    defs = build_defs([third], platform=platform)
    keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert keys >= {f"third/{table}" for table in TABLES}
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [dg.AssetKey(["third", table]) for table in TABLES]
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, asset_selection=selection, partition_key=f"OTC|{WEEK.week_ending}"
        )
        assert result.success
        done = [event.asset_key for event in result.get_asset_materialization_events()]
    assert set(selection) <= set(done)
    assert all(check.passed for check in result.get_asset_check_evaluations() if check.blocking)
    with Warehouse(platform.database_url, third).read() as reader:
        assert len(reader.frame("research_snapshot", WEEK)) == 2
