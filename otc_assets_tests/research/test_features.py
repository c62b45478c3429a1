"""The feature files: each number by hand, and each row only from what was public by its day."""

import math
import shutil
import statistics
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from otc_assets.assets.platform import Platform
from otc_assets.calculations import output_tables
from otc_assets.definitions import build_defs
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.research.export import Stores, export, file_of, inspect, later_slices
from otc_assets.research.feature_columns import COLUMNS, LAYOUT, NAMES
from otc_assets.research.feature_files import (
    Exported,
    Inspected,
    faults_in,
    read_file,
    write_file,
)
from otc_assets.research.features import REACH_WEEKS, feature_history
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import RUN, TODAY
from otc_assets_tests.research.publications import Publication, known_slices

TIER = "NMS Tier 1"
WEEK = WeekKey(Tier.NMS_TIER_1, date(2025, 7, 4))
"""Of four trading days: its Friday is a holiday."""
PUBLIC = date(2025, 7, 21)


def published(back: int, records: dict[str, int], day: date | None = None, dataset: str = "ats"):
    """What FINRA made public of the week `back` weeks before WEEK; keys read ``SYMBOL VENUE``."""
    week = WEEK.shifted(-back)
    first = expected_publication_date(week)
    parted = {(*key.split(),): (shares, 1) for key, shares in records.items()}
    return Publication(dataset, TIER, week.week_ending, first, day or first, parted)


INPUTS = ["venue_volume", "symbol_summary"]
"""The tables that features are computed from; a file is written only if all tables are there."""
TABLES = [table.name for table in output_tables()]


class Desk:
    """A store of both datasets, a folder of files, and the exports that are made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = UPath(folder / "features")
        self.ats, self.non_ats = (
            Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset) for dataset in DATASETS
        )
        self._files = 0

    def load(self, *publications: Publication, tables: Sequence[str] = TABLES) -> None:
        slices = set()
        for each in publications:
            self._files += 1
            name = f"{each.dataset}_week_{each.week_ending}_{self._files:03}.json"
            each.write(self.folder / "source", name)
            slices.add((each.dataset, WeekKey(Tier(each.tier), each.week_ending)))
        for store in (self.ats, self.non_ats):
            mine = sorted(week for dataset, week in slices if dataset == store.dataset.name)
            index = FileSource(str(self.folder / "source")).index(TODAY, store.dataset)
            archive = Archive(str(self.folder / "archive"), store.dataset)
            for week in mine:
                ingest(store, archive, index, week, RUN, TODAY)
            for table in tables:
                for week in mine:
                    derive(store, table, week, RUN)

    def history(self) -> pd.DataFrame:
        """The rows of WEEK's file, without a file."""
        with self.ats.read() as ats, self.non_ats.read() as non_ats:
            return feature_history(ats, non_ats, WEEK)

    def export(self, week: WeekKey = WEEK) -> Exported:
        return export(Stores(self.ats, self.non_ats), self.root, week, RUN)

    def rows(self, week: WeekKey = WEEK) -> pd.DataFrame:
        return read_file(file_of(self.root, week))

    def exported(self, week: WeekKey = WEEK) -> pd.DataFrame:
        self.export(week)
        return self.rows(week)

    def close(self) -> None:
        self.ats.engine.dispose()
        self.non_ats.engine.dispose()


@pytest.fixture
def desk(tmp_path: Path):
    opened = Desk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a desk with one symbol in WEEK; nobody may change it."""
    filled = Desk(tmp_path_factory.mktemp("filled"))
    filled.load(published(0, {"AAA VENA": 100}))
    filled.close()
    return filled.folder


@pytest.fixture
def filled_desk(filled: Path, tmp_path: Path):
    """A copy of that desk."""
    opened = Desk(shutil.copytree(filled, tmp_path, dirs_exist_ok=True))
    yield opened
    opened.close()


def values(rows: pd.DataFrame, symbol: str, day: date = PUBLIC) -> dict[str, Any]:
    """The features that a row has, None for null."""
    found = rows[(rows["symbol"] == symbol) & (rows["as_of_date"] == day)]
    (record,) = found[NAMES].to_dict("records")
    return {name: None if pd.isna(value) else value for name, value in record.items()}


SIX_WEEKS = [
    published(6, {"AAA VENA": 100, "CCC VENA": 50}),
    published(3, {"AAA VENA": 200, "CCC VENA": 50}),
    published(1, {"AAA VENA": 150, "AAA VENB": 150, "CCC VENA": 0}),
    published(0, {"AAA VENA": 300, "AAA VENC": 100, "BBB VENA": 10, "CCC VENA": 0}),
    published(0, {"AAA Xavier": 1200, "ZZZ Xavier": 7}, dataset="non_ats"),
]


NO_DAYS = dict.fromkeys(["short_share_pct", "facility_volume", "venues_vs_facilities_pct"])
"""The features that the days give: null, as all weeks here are without them."""


def test_every_feature_by_hand(desk: Desk):
    desk.load(*SIX_WEEKS, tables=INPUTS)
    rows = desk.history()
    assert values(rows, "AAA") == pytest.approx(
        {
            "volume": 400,
            "volume_per_day": 100,  # four days: 4 July is a Friday
            "trading_days": 4,
            "notional": 1000,
            "venue_count": 2,
            "top_venue_share": 75,
            # W-5..W: 650, 150 and 100 of 900
            "venue_concentration_hhi": round(1e4 * (650**2 + 150**2 + 100**2) / 900**2, 2),
            "venue_turnover_pct": 100 * 2 / 3,  # A stayed, of A, B and C
            "volume_vs_avg": 100 / 3,  # 400 against (200 + 300 + 400) / 3; W-6 does not count
            "weeks_in_window": 3,
            "volume_wow_change_pct": 100 / 3,
            "spike_ratio": 2,  # of (100 + 200 + 300) / 3; W-6 counts
            "volume_zscore": 2,
            "ats_share_pct": 25,
            **NO_DAYS,
        }
    )
    assert values(rows, "BBB") == {
        "volume": 10,
        "volume_per_day": 2.5,
        "trading_days": 4,
        "notional": 25,
        "venue_count": 1,
        "top_venue_share": 100,
        "venue_concentration_hhi": 10_000,
        "venue_turnover_pct": None,
        "volume_vs_avg": 0,
        "weeks_in_window": 1,
        "volume_wow_change_pct": None,
        "spike_ratio": None,
        "volume_zscore": None,
        "ats_share_pct": 100,
        **NO_DAYS,
    }


def test_where_nothing_traded_there_is_null_and_no_infinity(desk: Desk):
    desk.load(*SIX_WEEKS, tables=INPUTS)
    rows = desk.history()
    found = values(rows, "CCC")
    assert {n for n in NAMES if found[n] is None} == {
        "top_venue_share",
        "volume_wow_change_pct",
        "ats_share_pct",
        *NO_DAYS,
    }
    assert not rows[NAMES].isin([math.inf, -math.inf]).any(axis=None)


def test_equal_weeks_have_no_z_score(desk: Desk):
    third = {"AAA VENA": 33_333_333}  # whose mean is not exact in floating point
    weeks = [published(back, third) for back in range(1, 7)]
    desk.load(*weeks, published(0, {"AAA VENA": 99}), tables=INPUTS)
    assert values(desk.history(), "AAA")["volume_zscore"] is None


def test_dealers_count_from_the_day_on_which_they_were_public(filled_desk: Desk):
    late = date(2025, 8, 1)
    assert values(filled_desk.exported(), "AAA")["ats_share_pct"] is None
    filled_desk.load(published(0, {"AAA Xavier": 300}, late, "non_ats"))
    rows = filled_desk.exported()
    assert values(rows, "AAA")["ats_share_pct"] is None
    assert values(rows, "AAA", late)["ats_share_pct"] == 25


def test_a_correction_is_a_later_row_and_a_removal_is_one(desk: Desk):
    corrected = date(2025, 9, 2)
    desk.load(published(0, {"AAA VENA": 100, "BBB VENA": 5, "CCC VENA": 1}))
    desk.load(published(0, {"AAA VENA": 110, "CCC VENA": 1}, corrected))
    rows = desk.exported()
    late = rows[rows["as_of_date"] == corrected]
    assert list(zip(late["symbol"], late["is_removed"], strict=True)) == [
        ("AAA", False),
        ("BBB", True),
    ]
    assert values(rows, "AAA")["volume"] == 100
    assert values(rows, "AAA", corrected)["volume"] == 110
    assert set(values(rows, "BBB", corrected).values()) == {None}
    end_of_day = datetime(2025, 9, 3, tzinfo=ZoneInfo("America/New_York"))
    assert set(late["event_timestamp"]) == {pd.Timestamp(end_of_day)}


def without_stamp(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(columns="created_timestamp")


def test_twice_and_in_another_order_gives_the_same_rows(desk: Desk, tmp_path: Path):
    public = [*SIX_WEEKS[1:4:2], SIX_WEEKS[4], published(3, {"AAA VENB": 5}, date(2025, 7, 30))]
    desk.load(*public)
    once = without_stamp(desk.exported())
    pd.testing.assert_frame_equal(without_stamp(desk.exported()), once)
    other = Desk(tmp_path / "other")
    for each in reversed(public):
        other.load(each)
        other.export()  # what is there so far
    pd.testing.assert_frame_equal(without_stamp(other.exported()), once)
    other.close()


def naive(public: list[Publication], day: date) -> dict[str, dict[str, Any]]:
    """The features of each symbol by plain Python, from what was public by the end of a day."""
    known = known_slices(public, day)

    def week(back: int, dataset: str = "ats") -> dict[tuple[str, str], int] | None:
        found = known.get((dataset, TIER, WEEK.shifted(-back).week_ending))
        return found and {key: shares for key, (shares, _) in found.records.items()}

    def volume(back: int, symbol: str) -> int | None:
        mine = [v for (s, _), v in (week(back) or {}).items() if s == symbol]
        return sum(mine) if mine else None

    def venues(back: int, symbol: str) -> set[str]:
        return {venue for s, venue in week(back) or {} if s == symbol}

    answers = {}
    for symbol in {s for s, _ in week(0) or {}}:
        now, before = volume(0, symbol), volume(1, symbol)
        window = [v for back in range(6) if (v := volume(back, symbol)) is not None]
        trailing = [v for back in range(1, 7) if (v := volume(back, symbol)) is not None]
        pooled: dict[str, int] = {}
        for back in range(6):
            for (s, venue), shares in (week(back) or {}).items():
                if s == symbol:
                    pooled[venue] = pooled.get(venue, 0) + shares
        dealers = week(0, "non_ats")
        others = sum(v for (s, _), v in (dealers or {}).items() if s == symbol)
        here, there = venues(0, symbol), venues(1, symbol)
        average = sum(window) / len(window)
        spread = statistics.stdev(trailing) if len(trailing) > 1 else 0
        answers[symbol] = {
            "volume": now,
            "volume_per_day": now / 4,
            "trading_days": 4,
            "notional": now * 2.5,
            "venue_count": len(here),
            "top_venue_share": 100 * max(v for (s, _), v in week(0).items() if s == symbol) / now,
            "venue_concentration_hhi": round(
                sum((100 * v / sum(pooled.values())) ** 2 for v in pooled.values()), 2
            ),
            "venue_turnover_pct": 100 * (1 - len(here & there) / len(here | there))
            if there
            else None,
            "volume_vs_avg": 100 * (now - average) / average,
            "weeks_in_window": len(window),
            "volume_wow_change_pct": 100 * (now - before) / before if before else None,
            "spike_ratio": now / statistics.mean(trailing) if trailing else None,
            "volume_zscore": (now - statistics.mean(trailing)) / spread if spread else None,
            "ats_share_pct": 100 * now / (now + others) if dealers is not None else None,
            **NO_DAYS,
        }
    return answers


def nulls_as_nan(features: dict[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in features.items()}


Records = st.dictionaries(
    st.sampled_from(["A V", "A W", "B V", "B W", "C V"]), st.integers(1, 20), min_size=1
)
Correction = st.tuples(
    st.sampled_from([(0, "ats"), (1, "ats"), (2, "ats"), (6, "ats"), (0, "non_ats")]),
    st.dates(PUBLIC, date(2025, 9, 1)),
    Records,
)


@given(
    first=st.lists(Records, min_size=5, max_size=5),
    corrections=st.lists(Correction, max_size=3, unique_by=lambda c: (c[0], c[1])),
)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_known_on_a_day_is_what_was_public(
    tmp_path_factory: pytest.TempPathFactory, first: list[dict[str, int]], corrections: list
):
    whats = [(0, "ats"), (1, "ats"), (2, "ats"), (6, "ats"), (0, "non_ats")]
    public = [
        published(back, records, dataset=dataset)
        for (back, dataset), records in zip(whats, first, strict=True)
    ]
    for (back, dataset), day, records in corrections:
        if day > expected_publication_date(WEEK.shifted(-back)):  # of a day, the later arrival
            public.append(published(back, records, day, dataset))
    desk = Desk(tmp_path_factory.mktemp("case"))
    desk.load(*public, tables=INPUTS)
    rows = desk.history()
    days = {day for each in public for day in (each.day, each.day - timedelta(days=1))}
    for day in sorted({*days, date(2025, 12, 31)}):
        past = rows[rows["as_of_date"] <= day].sort_values("as_of_date")
        alive = past.drop_duplicates("symbol", keep="last")
        alive = alive[~alive["is_removed"]]
        found = {
            s: values(alive[alive["symbol"] == s], s, d)
            for s, d in zip(alive["symbol"], alive["as_of_date"], strict=True)
        }
        expected = naive(public, day)
        assert found.keys() == expected.keys()
        for symbol, features in expected.items():
            assert nulls_as_nan(found[symbol]) == pytest.approx(
                nulls_as_nan(features), abs=1e-9, nan_ok=True
            ), (day, symbol)
    desk.close()


def test_a_failed_write_leaves_the_old_file_whole(
    filled_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    before = filled_desk.exported()
    path = Path(str(file_of(filled_desk.root, WEEK)))

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(type(file_of(filled_desk.root, WEEK)), "replace", full)
    with pytest.raises(OSError, match="no space"):
        filled_desk.export()
    pd.testing.assert_frame_equal(filled_desk.rows(), before)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_a_kill_leaves_behind_is_no_file_to_a_reader(filled_desk: Desk):
    filled_desk.export()
    path = Path(str(file_of(filled_desk.root, WEEK)))
    (path.parent / ".features.parquet.part").write_bytes(b"PAR1 half")
    assert len(pd.read_parquet(str(filled_desk.root))) == 1
    filled_desk.export()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_bucket_gets_the_same_file(filled_desk: Desk):
    rows = filled_desk.exported()
    path = file_of(UPath("memory://features"), WEEK)
    assert write_file(path, rows, LAYOUT) == len(path.read_bytes())
    pd.testing.assert_frame_equal(read_file(path), rows)


def test_a_file_says_whose_data_it_is_and_what_each_column_means(filled_desk: Desk):
    done = filled_desk.export()
    schema = pq.read_schema(done.path)
    about = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert "FINRA" in about["attribution"]
    assert "terms of use" in about["licence"]
    assert [field.name for field in schema] == [column.name for column in COLUMNS]
    for field, column in zip(schema, COLUMNS, strict=True):
        assert field.metadata[b"description"].decode() == column.description
        assert field.type == column.type


def test_the_folder_reads_as_one_table(desk: Desk):
    desk.load(published(1, {"AAA VENA": 100}), published(0, {"AAA VENA": 100}))
    for week in (WEEK.shifted(-1), WEEK):
        desk.export(week)
    rows = pd.read_parquet(str(desk.root))
    assert sorted(rows["week_ending"]) == [date(2025, 6, 27), date(2025, 7, 4)]
    assert set(rows["tier"]) == {TIER}
    one = pd.read_parquet(str(desk.root), filters=[("week", "==", "2025-07-04")])
    assert list(one["week_ending"]) == [WEEK.week_ending]
    path = desk.root / "tier_slug=nms_tier_1/week=2025-07-04/features.parquet"
    assert path.exists()


def test_a_week_without_content_has_no_file(desk: Desk):
    assert desk.export().reason == "the week has no ATS content in the store"
    assert not file_of(desk.root, WEEK).exists()
    assert inspect(desk.ats, desk.root, WEEK) == Inspected([])


def test_a_week_reaches_the_six_after_it(desk: Desk):
    desk.load(*(published(back, {"AAA VENA": 100}) for back in range(9)), tables=[])
    for back in range(9):
        with desk.ats.write(WEEK.shifted(-back), RUN) as writer:
            writer.save_manifest(row_counts={"research_snapshot": 1})  # as if it were computed
    first = WEEK.shifted(-8)
    reached = [first.shifted(n) for n in range(1, 7)]
    assert later_slices(desk.ats, [first]) == reached
    assert later_slices(desk.ats, [first, first.shifted(2)]) == [
        *(week for week in reached if week != first.shifted(2)),
        *(first.shifted(n) for n in (7, 8)),
    ]
    assert REACH_WEEKS == 6


def test_the_check_sees_what_is_wrong_with_a_file(desk: Desk):
    desk.load(published(0, {"AAA VENA": 100, "BBB VENA": 1}))
    assert inspect(desk.ats, desk.root, WEEK).faults == [
        f"{file_of(desk.root, WEEK)} is missing: materialize features"
    ]
    rows = desk.exported()
    assert inspect(desk.ats, desk.root, WEEK).faults == []
    assert faults_in(rows, WEEK.shifted(1), PUBLIC, LAYOUT) == ["2 rows of another slice"]
    assert faults_in(rows.assign(symbol="AAA"), WEEK, PUBLIC, LAYOUT) == [
        "1 rows that repeat symbol and event_timestamp"
    ]
    (early,) = faults_in(rows, WEEK, PUBLIC + timedelta(days=1), LAYOUT)
    assert early.startswith("2 rows known before the week was public")
    (removed,) = faults_in(rows.assign(is_removed=True), WEEK, PUBLIC, LAYOUT)
    assert removed == "2 rows without volume that are not removals"


KEY = dg.AssetKey("features")
CHECK = dg.AssetCheckKey(KEY, "features_are_known_once_and_not_too_early")


class Station:
    """An ephemeral instance, and what features are made of, on a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.root = UPath(folder / "features")
        platform = Platform(
            database_url=f"sqlite:///{folder / 'otc.db'}",
            source_url=str(FIXTURES),
            archive_url=str(folder / "archive"),
            features_url=str(self.root),
        )
        defs = build_defs(DATASETS, platform=platform)
        graph = defs.resolve_asset_graph()
        made_of = dg.AssetSelection.assets(KEY).upstream().resolve(graph)
        self.wanted = list(made_of & graph.materializable_asset_keys)
        self.job = defs.resolve_implicit_global_asset_job_def()

    def run_range(self, first: str, last: str) -> bool:
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        done = self.job.execute_in_process(
            instance=self.instance, asset_selection=self.wanted, tags=tags, raise_on_error=False
        )
        return done.success

    def newest(self, partition: str) -> dict[str, Any]:
        wanted = dg.AssetRecordsFilter(KEY, asset_partitions=[partition])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return {k: v.value for k, v in record.asset_materialization.metadata.items()}

    def passed(self) -> dict[str, bool]:
        storage = self.instance.event_log_storage
        records = storage.get_asset_check_execution_history(CHECK, limit=100)
        return {
            r.partition: r.event.dagster_event.asset_check_evaluation_data.passed
            for r in reversed(records)
            if r.partition
        }


def test_a_range_exports_each_partition_and_refreshes_those_after_it(tmp_path: Path):
    station = Station(tmp_path)
    weeks = ["NMS Tier 1|2025-05-16", "NMS Tier 1|2025-05-23"]
    assert station.run_range(*weeks)
    assert station.instance.get_materialized_partitions(KEY) == set(weeks)
    assert station.passed() == dict.fromkeys(weeks, True)
    shown = station.newest(weeks[1])
    path = file_of(station.root, WeekKey(Tier.NMS_TIER_1, date(2025, 5, 23)))
    rows = read_file(path)
    assert shown["dagster/partition_row_count"] == len(rows)
    assert shown["bytes"] == len(path.read_bytes())
    assert shown["path"] == str(path)
    assert shown["features"] == ", ".join(NAMES)
    assert rows["weeks_in_window"].max() == 2
    late = rows[rows["as_of_date"] == date(2025, 7, 16)]
    assert len(late) == 8
    assert list(late.loc[late["is_removed"], "symbol"]) == ["XGON"]
    assert (rows["ats_share_pct"].dropna() < 100).any()

    assert station.run_range("NMS Tier 1|2025-05-09", "NMS Tier 1|2025-05-09")
    assert station.newest(weeks[1])["refreshed"] == "an earlier week has changed"
    assert read_file(path)["weeks_in_window"].max() == 3
    assert station.passed() == dict.fromkeys(["NMS Tier 1|2025-05-09", *weeks], True)


def test_the_version_is_that_of_the_asset(desk: Desk):
    (spec,) = (s for s in build_defs().resolve_all_asset_specs() if s.key == KEY)
    assert spec.code_version == LAYOUT.about["features_version"]
