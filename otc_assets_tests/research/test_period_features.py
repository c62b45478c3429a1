"""The feature files of months and days: what was known of a table, and how the folder reads."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from upath import UPath

from otc_assets.assets.features import features_of
from otc_assets.assets.platform import Platform
from otc_assets.automation.jobs import tables_job
from otc_assets.definitions import build_defs, defs
from otc_assets.domain.datasets import DATASETS, Dataset, every_dataset
from otc_assets.domain.neighbours import (
    ATS_BLOCKS,
    MONTHLY_NON_ATS,
    NEIGHBOURS,
    OTC_BLOCKS,
    REG_SHO_DAILY,
)
from otc_assets.operations.derive import reach_of
from otc_assets.research.feature_files import read_file, write_file
from otc_assets.research.period_export import (
    export_period,
    inspect_period,
    layout_of,
    period_file_of,
)
from otc_assets.research.registry.files import FILE as REGISTRY
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.neighbours import (
    Traded,
    blocks,
    monthly,
    published_on,
    short_sale_file,
)
from otc_assets_tests.finra.world import as_json
from otc_assets_tests.pipeline import RUN
from otc_assets_tests.research.test_features import WEEK, Desk, published

MAY, JUNE = date(2025, 5, 1), date(2025, 6, 1)
FIRST, CORRECTED = published_on(MAY), date(2025, 8, 12)
AXMP = Traded(90_000, 300, {"10K": (40_000, 3), "200K": (25_000, 1)})
BXMP = Traded(30_000, 200, {"10K": (10_000, 2), "200K": (0, 0)})
SMALLER = Traded(60_000, 300, {"10K": (40_000, 3), "200K": (25_000, 1)})
FIRMS = [("AAA", 7059, "SAMPLE MARKETS INC.", "1200.5", 12)]
OVER_THE_COUNTER = [("QCMp", 0, "De Minimis Firms", 10, 2)]
DAYS = [date(2025, 6, 16), date(2025, 6, 17)]
HOLIDAY = date(2025, 6, 19)


def write(source: Path, name: str, found: list[Any]) -> None:
    (source / f"{name}.json").write_text("[" + ",\n".join(map(as_json, found)) + "]")


@dataclass
class Home:
    """A store of every dataset but the weekly ones, and its feature files."""

    folder: Path
    checks: dict[tuple[str, str | None], bool]

    @property
    def root(self) -> UPath:
        return UPath(self.folder / "features")

    @cached_property
    def defs(self) -> dg.Definitions:
        """Every asset of the datasets, on the platform of this home."""
        return build_defs(NEIGHBOURS, platform=self.platform)

    @property
    def platform(self) -> Platform:
        return Platform(
            database_url=f"sqlite:///{self.folder / 'otc.db'}",
            source_url=str(self.folder / "source"),
            archive_url=str(self.folder / "archive"),
            features_url=str(self.root),
        )

    def run(self, dataset: Dataset, *partitions: str) -> None:
        """Materialize every asset of a dataset over a range, as its sensor's job does."""
        job = self.defs.resolve_job_def(f"{dataset.name}_tables")
        tags = {
            "dagster/asset_partition_range_start": partitions[0],
            "dagster/asset_partition_range_end": partitions[-1],
        }
        done = job.execute_in_process(tags=tags)
        assert done.success
        for check in done.get_asset_check_evaluations():
            if check.asset_key.path[-1] == "features":
                self.checks[dataset.name, check.partition] = check.passed

    def rows(self, dataset: Dataset, period: date) -> pd.DataFrame:
        key = dataset.key(dataset.slicing.sections[0], period)
        return read_file(period_file_of(self.root, dataset, key))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """May of each set, June of the monthly one, and two days; May is corrected in two sets."""
    home = Home(tmp_path_factory.mktemp("periods"), {})
    source = home.folder / "source"
    source.mkdir()
    for month in (MAY, JUNE):
        write(source, f"nms_{month}", monthly(month, "NMS", FIRMS))
        write(source, f"otce_{month}", monthly(month, "OTCE", OVER_THE_COUNTER))
    write(source, "ats", blocks(MAY, {"AXMP": AXMP, "BXMP": BXMP}))
    write(source, "otc", blocks(MAY, {"SAMPLE MARKETS INC.": AXMP}, "OTC"))
    for day in DAYS:
        rows = [("AAA", "Q", 30, 5, 120), ("ZZZ", "N", 0, 0, "0.5")]
        (source / f"{day}.txt").write_bytes(short_sale_file(day, rows))
    write(source, "corrected", blocks(MAY, {"AXMP": SMALLER}, updated=CORRECTED))
    more = [*FIRMS, ("BBB", 7059, "SAMPLE MARKETS INC.", 5, 1)]
    write(source, "more", monthly(MAY, "NMS", more, updated=CORRECTED))
    home.run(ATS_BLOCKS, str(MAY))
    home.run(MONTHLY_NON_ATS, f"{MAY}|NMS", f"{JUNE}|OTC")
    home.run(OTC_BLOCKS, str(MAY))
    home.run(REG_SHO_DAILY, str(DAYS[0]), str(DAYS[1]))
    return home


def test_a_month_of_blocks_by_hand(home: Home):
    """At first two venues; then one has less, and the other is gone: all parts are others."""
    rows = home.rows(ATS_BLOCKS, MAY)
    names = ["block_type", "mpid", "as_of_date", "is_removed", "share_volume", "block_volume"]
    none = float("nan")
    found = rows[[*names, "block_market_pct"]].astype(object)
    wanted = [
        ["10K", "AXMP", FIRST, False, 90_000.0, 40_000.0, 80.0],
        ["10K", "AXMP", CORRECTED, False, 60_000.0, 40_000.0, 100.0],
        ["10K", "BXMP", FIRST, False, 30_000.0, 10_000.0, 20.0],
        ["10K", "BXMP", CORRECTED, True, none, none, none],
        ["200K", "AXMP", FIRST, False, 90_000.0, 25_000.0, 100.0],
        ["200K", "AXMP", CORRECTED, False, 60_000.0, 25_000.0, 100.0],
        ["200K", "BXMP", FIRST, False, 30_000.0, 0.0, 0.0],
        ["200K", "BXMP", CORRECTED, True, none, none, none],
    ]
    pd.testing.assert_frame_equal(found, pd.DataFrame(wanted, columns=found.columns, dtype=object))
    assert set(rows["as_of_source"]) == {"finra"}
    end_of_day = pd.Timestamp(f"{FIRST} 00:00", tz="America/New_York") + pd.Timedelta(days=1)
    assert rows["event_timestamp"].min() == end_of_day


def test_what_a_correction_leaves_as_it_was_has_no_further_row(home: Home):
    rows = home.rows(MONTHLY_NON_ATS, MAY)
    found = rows[["month", "tier", "symbol", "as_of_date", "total_volume", "venue_count"]]
    assert found.values.tolist() == [
        [MAY, "NMS", "AAA", FIRST, 1200.5, 1],
        [MAY, "NMS", "BBB", CORRECTED, 5.0, 1],
    ]
    assert set(rows["total_trades"]) == {12, 1}


def test_a_day_is_known_at_its_own_end(home: Home):
    rows = home.rows(REG_SHO_DAILY, DAYS[0])
    found = rows[["trade_date", "symbol", "as_of_date", "short_volume", "short_share_pct"]]
    assert found.values.tolist() == [
        [DAYS[0], "AAA", DAYS[0], 30.0, 25.0],
        [DAYS[0], "ZZZ", DAYS[0], 0.0, 0.0],
    ]
    assert rows["total_volume"].tolist() == [120.0, 0.5]


def test_each_file_is_judged_on_its_partition(home: Home):
    keys = {
        ATS_BLOCKS: [str(MAY)],
        MONTHLY_NON_ATS: [f"{month}|{tier}" for month in (MAY, JUNE) for tier in ("NMS", "OTC")],
        OTC_BLOCKS: [str(MAY)],
        REG_SHO_DAILY: [str(day) for day in DAYS],
    }
    wanted = {(each.name, key): True for each, mine in keys.items() for key in mine}
    assert {of: passed for of, passed in home.checks.items() if of[1]} == wanted


def test_a_dataset_reads_as_one_table(home: Home):
    rows = pd.read_parquet(str(home.root / "_monthly_non_ats"))
    assert set(rows["tier"]) == {"NMS", "OTC"}
    june = pd.read_parquet(
        str(home.root / "_monthly_non_ats"), filters=[("period", "==", "2025-06-01")]
    )
    assert set(june["month"]) == {JUNE}
    assert sorted(june["symbol"]) == ["AAA", "QCMp"]


def test_the_weekly_files_above_read_as_before(home: Home, tmp_path: Path):
    """As `docs/features.md` reads them."""
    desk = Desk(tmp_path)
    desk.load(published(0, {"AAA VENA": 100}))
    desk.export()
    desk.close()
    alone = pd.read_parquet(str(desk.root))
    source = home.folder / "features"
    for file in source.glob("_*/**/*.parquet"):
        place = tmp_path / "features" / file.relative_to(source)
        place.parent.mkdir(parents=True)
        place.write_bytes(file.read_bytes())
    (desk.root / REGISTRY).write_text("dataset,venue\n")
    pd.testing.assert_frame_equal(pd.read_parquet(str(desk.root)), alone)
    filters = [("week", ">=", str(WEEK.week_ending))]
    assert len(pd.read_parquet(str(desk.root), filters=filters)) == 1


def test_a_file_says_whose_data_it_is_and_what_each_column_means(home: Home):
    key = OTC_BLOCKS.key("all", MAY)
    schema = pq.read_schema(str(period_file_of(home.root, OTC_BLOCKS, key)))
    about = {name.decode(): value.decode() for name, value in schema.metadata.items()}
    assert about["source"] == "FINRA non-ATS block data (otcBlocksSummary)"
    assert "terms of use" in about["licence"]
    assert about["features_version"] == "block_volume_v1"
    assert all(field.metadata[b"description"] for field in schema)
    assert schema.field("share_volume").type == "double"
    assert schema.field("trade_count").type == "int64"


def test_a_bucket_gets_the_same_file(home: Home):
    rows = home.rows(ATS_BLOCKS, MAY)
    place = UPath("memory://periods")
    path = period_file_of(place, ATS_BLOCKS, ATS_BLOCKS.key("all", MAY))
    write_file(path, rows, layout_of(ATS_BLOCKS))
    pd.testing.assert_frame_equal(read_file(path), rows)


def test_what_is_not_there_has_no_file_and_is_no_fault(home: Home):
    store = Warehouse(home.platform.database_url, REG_SHO_DAILY)
    key = REG_SHO_DAILY.key("all", HOLIDAY)
    done = export_period(store, home.root, key, RUN)
    assert done.reason == "the day has no daily short sale content in the store"
    assert not period_file_of(home.root, REG_SHO_DAILY, key).exists()
    assert inspect_period(store, home.root, key).faults == []
    elsewhere = UPath(home.folder / "elsewhere")
    day = REG_SHO_DAILY.key("all", DAYS[0])
    path = period_file_of(elsewhere, REG_SHO_DAILY, day)
    assert inspect_period(store, elsewhere, day).faults == [
        f"{path} is missing: materialize features"
    ]
    store.engine.dispose()


@pytest.mark.parametrize("dataset", NEIGHBOURS, ids=lambda each: each.name)
def test_features_belong_to_the_job_and_to_the_backfills_of_their_dataset(dataset: Dataset):
    (key,) = features_of(dataset)
    assert key.path == [dataset.name, "features"]
    graph = defs.resolve_asset_graph()
    assert key in tables_job(dataset).selection.resolve(graph)
    checks = graph.get_check_keys_for_assets({key})
    assert [each.name for each in checks] == ["features_are_known_once_and_not_too_early"]
    assert graph.get(key).parent_keys == {dg.AssetKey([dataset.name, dataset.features])}


def test_features_are_of_tables_that_look_at_no_earlier_period():
    """Nothing writes the files of later periods again."""
    assert [each for each in every_dataset() if not each.features] == list(DATASETS)
    for dataset in NEIGHBOURS:
        assert reach_of(dataset.features) == 0
