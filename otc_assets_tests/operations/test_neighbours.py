"""FINRA's monthly and block sets go the whole way, from files and from the API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from otc_assets.assets.partitions import partition_key_of, partitions_of
from otc_assets.assets.platform import Platform
from otc_assets.automation.ranges import END, START, ranges_of
from otc_assets.automation.sensors import publication_sensor
from otc_assets.calculations import tables_of
from otc_assets.definitions import build_defs
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import gaps
from otc_assets.domain.neighbours import ATS_BLOCKS, MONTHLY_NON_ATS, OTC_BLOCKS
from otc_assets.operations.follow import Reach, news
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.intake import ingest
from otc_assets.operations.rebuild import rebuild
from otc_assets.operations.verify import verify
from otc_assets.research.periods import periods
from otc_assets.sources.archive import Archive
from otc_assets.sources.finra import FinraSource, Means
from otc_assets.sources.finra_client import FinraClient
from otc_assets.sources.history import History
from otc_assets.sources.outage import Outage
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import empty_store
from otc_assets_tests.finra.neighbours import Traded, blocks, monthly, published_on, sets
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import Number, Record, World, as_json
from otc_assets_tests.pipeline import RUN

MONTHS = (MONTHLY_NON_ATS, ATS_BLOCKS, OTC_BLOCKS)
MAY, JUNE = date(2025, 5, 1), date(2025, 6, 1)
CORRECTED = date(2025, 8, 12)
TODAY = date(2025, 8, 20)
FIRMS = [
    ("AAA", 7059, "SAMPLE MARKETS INC.", "1200.5", 12),
    ("AAA", 149823, "EXAMPLE SECURITIES, LLC", 300, 3),
    ("BRK.B", 7059, "SAMPLE MARKETS INC.", 50, 1),
]
POOLS = {
    "AXMP": Traded(90_000, 300, {"10K": (40_000, 3), "200K": (25_000, 1)}),
    "BXMP": Traded(30_000, 200, {"10K": (20_000, 2), "200K": (0, 0)}),
    "CXMP": Traded(1_000, 10, {"10K": (0, 0), "200K": (0, 0)}),
}
DEALERS = {"SAMPLE MARKETS INC.": POOLS["AXMP"], "EXAMPLE SECURITIES, LLC": POOLS["BXMP"]}


def records(month: date) -> dict[str, list[Record]]:
    """What FINRA has of a month, by set."""
    nms = monthly(month, "NMS", FIRMS)
    totals = monthly(month, "NMS", [("AAA", 0, "", "1500.5", 15)], kind="OTC_M_SMBL")
    otc = monthly(month, "OTCE", [("QCMp", 0, "De Minimis Firms", 10, 2)])
    return {
        "monthlySummary": [*nms, *totals, *otc],
        "blocksSummary": blocks(month, POOLS),
        "otcBlocksSummary": blocks(month, DEALERS, "OTC"),
    }


def text(found: list[Record]) -> str:
    return "[" + ",\n".join(map(as_json, found)) + "]"


def filled(folder: Path) -> Path:
    """Files of May and June: the API's answers, one for each slice."""
    for month in (MAY, JUNE):
        for name, found in records(month).items():
            for tier in sorted({str(record.get("tierIdentifier")) for record in found}):
                mine = [record for record in found if str(record.get("tierIdentifier")) == tier]
                kept = [r for r in mine if r["summaryTypeCode"] != "OTC_M_SMBL"]
                (folder / f"{name}_{tier}_{month}.json").write_text(text(kept))
    return folder


@dataclass
class Done:
    """What a run over two months has left of each dataset."""

    url: str
    folder: Path
    results: dict[str, dg.ExecuteInProcessResult]

    def store(self, dataset: Dataset) -> Warehouse:
        return Warehouse(self.url, dataset)


def slices(dataset: Dataset) -> list[Any]:
    return [dataset.key(dataset.slicing.sections[0], month) for month in (MAY, JUNE)]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("months")
    source = folder / "source"
    source.mkdir()
    filled(source)
    with empty_store(request, request.param, folder) as url:
        platform = Platform(
            database_url=url, source_url=str(source), archive_url=str(folder / "archive")
        )
        job = build_defs(MONTHS, platform=platform).resolve_implicit_global_asset_job_def()
        results = {}
        with dg.DagsterInstance.ephemeral() as instance:
            for dataset in MONTHS:
                keys = [dg.AssetKey([dataset.name, table.name]) for table in tables_of(dataset)]
                (months,) = ranges_of(slices(dataset))
                results[dataset.name] = job.execute_in_process(
                    instance=instance, asset_selection=keys, tags=months.tags
                )
        yield Done(url, folder, results)


def test_a_month_is_a_partition_and_a_tier_where_there_is_one():
    assert partitions_of(ATS_BLOCKS.slicing).get_partition_keys()[0] == "2016-10-01"
    keys = partitions_of(MONTHLY_NON_ATS.slicing).get_partition_keys()
    assert {"2025-05-01|NMS", "2025-05-01|OTC"} <= set(keys)
    assert str(slices(ATS_BLOCKS)[0]) == "all:2025-05-01"


@pytest.mark.parametrize("month", [date(2025, n, 1) for n in range(1, 13)])
def test_a_month_is_published_on_the_first_monday_after_the_following_one(month: date):
    for dataset in MONTHS:
        section = dataset.slicing.sections[0]
        day = expected_publication_date(dataset.key(section, month), dataset)
        assert day == published_on(month)


def test_nobody_has_to_have_them_and_who_has_one_month_lacks_the_next():
    for dataset in MONTHS:
        may, june = slices(dataset)
        assert gaps(dataset, [], TODAY) == []
        lacking = {gap.week for gap in gaps(dataset, [may], TODAY)}
        assert june in lacking


def test_every_table_of_every_dataset_is_filled_and_judged(done: Done):
    for dataset in MONTHS:
        verdicts = [
            (check.asset_key.path[-1], check.check_name, check.partition, check.passed)
            for check in done.results[dataset.name].get_asset_check_evaluations()
            if check.partition
        ]
        assert all(passed for *_, passed in verdicts), dataset.name
        for table in tables_of(dataset):
            for month in slices(dataset):
                key = partition_key_of(month)
                assert (table.name, "rows_are_sound", key, True) in verdicts
        assert ("raw", "month_is_usual", key, True) in verdicts


def test_firms_are_told_by_number_and_name_and_symbols_are_summed(done: Done):
    with done.store(MONTHLY_NON_ATS).read() as reader:
        may = slices(MONTHLY_NON_ATS)[0]
        volume = reader.frame("venue_volume", may, ["symbol", "mpid", "share_volume"])
        summary = reader.frame("symbol_summary", may, ["symbol", "total_volume", "venue_count"])
    assert volume.values.tolist() == [
        ["AAA", "149823 EXAMPLE SECURITIES, LLC", 300_000_000],
        ["AAA", "7059 SAMPLE MARKETS INC.", 1_200_500_000],
        ["BRK.B", "7059 SAMPLE MARKETS INC.", 50_000_000],
    ]
    assert summary.values.tolist() == [["AAA", 1_500_500_000, 2], ["BRK.B", 50_000_000, 1]]


@pytest.mark.parametrize("dataset", [ATS_BLOCKS, OTC_BLOCKS], ids=lambda each: each.name)
def test_blocks_are_summed_over_the_market_for_each_kind_of_block(done: Done, dataset: Dataset):
    columns = ["block_type", "total_volume", "block_volume", "block_count", "avg_block_size"]
    with done.store(dataset).read() as reader:
        found = reader.frame("block_summary", slices(dataset)[0], columns)
    total = 121_000_000_000 if dataset is ATS_BLOCKS else 120_000_000_000
    assert found.values.tolist() == [
        ["10K", total, 60_000_000_000, 5, 12_000.0],
        ["200K", total, 25_000_000_000, 1, 25_000.0],
    ]


def test_a_correction_of_a_month_is_a_revision_and_the_day_before_is_still_known(
    sqlite_url: str, tmp_path: Path
):
    """And the archive gives both again."""
    source = filled(tmp_path / "source") if (tmp_path / "source").mkdir() is None else tmp_path
    changed = POOLS | {"CXMP": Traded(2_000, 10, {"10K": (0, 0), "200K": (0, 0)})}
    (source / "corrected.json").write_text(text(blocks(MAY, changed, updated=CORRECTED)))
    platform = Platform(
        database_url=sqlite_url, source_url=str(source), archive_url=str(tmp_path / "archive")
    )
    job = build_defs([ATS_BLOCKS], platform=platform).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey([ATS_BLOCKS.name, table.name]) for table in tables_of(ATS_BLOCKS)]
    assert job.execute_in_process(asset_selection=keys, partition_key=str(MAY)).success
    store, may = Warehouse(sqlite_url, ATS_BLOCKS), slices(ATS_BLOCKS)[0]
    with store.read() as reader:
        totals = [
            int(Knowledge(reader, may, day)["block_summary"]["total_volume"].iloc[0])
            for day in (published_on(MAY), CORRECTED)
        ]
    assert totals == [121_000_000_000, 122_000_000_000]
    days = (published_on(MAY) - timedelta(days=1), published_on(MAY), CORRECTED)
    known = [periods("ats_blocks", "block_summary", day, database_url=sqlite_url) for day in days]
    assert [frame["total_volume"].tolist() for frame in known] == [
        [],
        [121_000.0, 121_000.0],
        [122_000.0, 122_000.0],
    ]
    assert known[1].columns[:3].tolist() == ["month", "tier", "block_type"]
    archive = Archive(str(tmp_path / "archive"), ATS_BLOCKS)
    assert rebuild(store, archive, may, RUN).differences == ()
    assert [each.findings for each in verify(store, archive, [may])] == [[]]
    store.engine.dispose()


WRONG: dict[str, dict[str, Any]] = {
    "blocks_are_part_of_the_total": {"ATSBlockQuantity": 95_000},
    "averages_fit_the_quantities": {"averageTradeSize": 350},
    "percentages_fit_the_quantities": {"ATSBlockBusinessTradePercent": "2.5"},
    "ranks_follow_the_blocks": {"ATSBlockShareRank": 2},
    "totals_do_not_depend_on_the_block_type": {"totalShareQuantity": 90_010},
    "blocks_have_shares": {"ATSBlockCount": 0},
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_planted_error_breaks_the_rule_that_is_about_it(
    sqlite_url: str, tmp_path: Path, rule: str
):
    found = blocks(MAY, POOLS)
    found[0] |= {name: Number(value) for name, value in WRONG[rule].items()}
    if rule == "ranks_follow_the_blocks":
        found[1] |= {"ATSBlockShareRank": Number(1)}
    verdicts = judged(sqlite_url, tmp_path, found)
    assert verdicts[rule] == [False]


def judged(url: str, folder: Path, found: list[Record]) -> dict[str, list[bool]]:
    """Take a month of ATS blocks in, and return the verdicts of each rule."""
    source = folder / "source"
    source.mkdir()
    (source / "some.json").write_text(text(found))
    platform = Platform(
        database_url=url, source_url=str(source), archive_url=str(folder / "archive")
    )
    job = build_defs([ATS_BLOCKS], platform=platform).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey([ATS_BLOCKS.name, name]) for name in ("raw", "block_volume")]
    job.execute_in_process(asset_selection=keys, partition_key=str(MAY), raise_on_error=False)
    verdicts: dict[str, list[bool]] = {}
    with Warehouse(url, ATS_BLOCKS).read() as reader:
        for row in reader.records("quality_checks", slices(ATS_BLOCKS)[0]):
            if row["table_name"] == "block_volume":
                verdicts.setdefault(row["rule"], []).append(row["passed"])
    return verdicts


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ATSBlockSharePercent", "-1.5", "negative_number"),
        ("ATSBlockSharePercent", "much", "invalid_number"),
        ("ATSBlockShareRank", "1.5", "invalid_trades"),
        ("ATSBlockQuantity", "-1", "negative_volume"),
        ("MPID", "", "empty_mpid"),
    ],
)
def test_a_bad_line_of_a_month_is_kept_with_its_reason(
    sqlite_url: str, tmp_path: Path, field: str, value: str, reason: str
):
    found: list[Any] = blocks(MAY, POOLS)
    found[0] |= {field: value}
    source = tmp_path / "source"
    source.mkdir()
    (source / "some.json").write_text(text(found))
    platform = Platform(
        database_url=sqlite_url, source_url=str(source), archive_url=str(tmp_path / "archive")
    )
    store, archive = platform.warehouse(ATS_BLOCKS), platform.archive(ATS_BLOCKS)
    may = slices(ATS_BLOCKS)[0]
    ingest(store, archive, platform.source_index(ATS_BLOCKS), may, RUN, TODAY)
    with store.read() as reader:
        assert reader.frame("rejects", may, ["reason_code"])["reason_code"].tolist() == [reason]
        assert len(reader.frame("raw", may)) == len(found) - 1
    store.engine.dispose()


def test_the_api_gives_the_same_rows_as_the_files(sqlite_url: str, tmp_path: Path, done: Done):
    world = World()
    both = {name: [*found, *records(JUNE)[name]] for name, found in records(MAY).items()}
    world.others = sets(**both)
    with FinraServer(world) as server:
        client = FinraClient(server.url, requests_per_second=20)
        history = History(lambda dataset: Archive(str(tmp_path / "history"), dataset))
        source = FinraSource(Means(client, Outage("FINRA"), history))
        for dataset in MONTHS:
            index, store = source.index(TODAY, dataset), Warehouse(sqlite_url, dataset)
            offered = news(store, index, Reach(2, 2), TODAY)
            assert set(slices(dataset)) <= set(offered)
            for month in slices(dataset):
                ingest(store, Archive(str(tmp_path), dataset), index, month, RUN, TODAY)
            columns = [column.name for column in dataset.content]
            with store.read() as here, done.store(dataset).read() as there:
                for month in slices(dataset):
                    ours, theirs = (each.frame("raw", month, columns) for each in (here, there))
                    by = list(dataset.record)
                    ours, theirs = (
                        each.sort_values(by, ignore_index=True) for each in (ours, theirs)
                    )
                    assert ours.equals(theirs)
            store.engine.dispose()


@pytest.mark.parametrize(
    ("dataset", "corners"),
    [
        (MONTHLY_NON_ATS, ("2025-05-01|NMS", "2025-06-01|OTC")),
        (OTC_BLOCKS, ("2025-05-01", "2025-06-01")),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_the_sensor_requests_the_months_that_the_source_has_as_one_range(
    sqlite_url: str, tmp_path: Path, dataset: Dataset, corners: tuple[str, str]
):
    (tmp_path / "source").mkdir()
    platform = Platform(
        database_url=sqlite_url,
        source_url=str(filled(tmp_path / "source")),
        archive_url=str(tmp_path / "archive"),
    )
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"platform": platform}) as context,
    ):
        result: Any = publication_sensor(dataset)(context)
    (request,) = result.run_requests
    assert (request.tags[START], request.tags[END]) == corners


def test_the_records_of_one_set_are_of_its_dataset_alone(tmp_path: Path):
    (tmp_path / "source").mkdir()
    platform = Platform(source_url=str(filled(tmp_path / "source")), archive_url=str(tmp_path))
    for dataset in MONTHS:
        index = platform.source_index(dataset) if False else _index(platform, dataset)
        listed = {str(week) for week in index.versions()}
        wanted = {str(dataset.key(s, m)) for s in dataset.slicing.sections for m in (MAY, JUNE)}
        assert listed == wanted


def _index(platform: Platform, dataset: Dataset) -> Any:
    from otc_assets.sources.files import FileSource

    return FileSource(platform.source_url).index(TODAY, dataset)


def test_a_json_of_no_known_set_is_refused_with_the_known_ones(tmp_path: Path):
    (tmp_path / "some.json").write_text(json.dumps([{"monthStartDate": "2025-05-01"}]))
    from otc_assets.sources.files import FileSource

    index = FileSource(str(tmp_path)).index(TODAY)
    (stray,) = index.strays()
    assert "blocksSummary" in str(stray.error)
