"""What the facilities saw of a week, as features: by hand, by plain Python, and as it was known."""

import math
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.assets.features import FEATURES_KEY
from otc_assets.assets.platform import Platform
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.neighbours import REG_SHO_DAILY
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.research.export import Stores, export
from otc_assets.research.features import feature_history
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.neighbours import SHORT, short_sale_file
from otc_assets_tests.pipeline import RUN, TODAY
from otc_assets_tests.research.publications import Publication
from otc_assets_tests.research.test_features import (
    INPUTS,
    NO_DAYS,
    PUBLIC,
    WEEK,
    Desk,
    published,
    values,
    without_stamp,
)

DAYS = [date(2025, 6, 30), date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]
"""The trading days of WEEK; on its Friday the market is closed."""
ROWS: list[SHORT] = [("AAA", "Q", 30, 5, 100), ("AAA", "N", 0, 0, 25), ("QUIET", "Q", 0, 0, 0)]
POOLS = published(0, {"AAA VENA": 300, "BBB VENA": 10, "QUIET VENA": 1})
DEALERS = published(0, {"AAA Xavier": 150}, dataset="non_ats")


class FullDesk(Desk):
    """A desk that has the days too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.days = Warehouse(self.ats.url, REG_SHO_DAILY)

    def load_days(self, rows: Mapping[date, list[SHORT]], name: str = "first") -> None:
        """Take files of some days in; what is in the store of a day already is corrected."""
        source = self.folder / f"days_{name}"
        source.mkdir()
        for day, mine in rows.items():
            (source / f"CNMSshvol{day:%Y%m%d}.txt").write_bytes(short_sale_file(day, mine))
        index = FileSource(str(source)).index(TODAY, REG_SHO_DAILY)
        archive = Archive(str(self.folder / "archive"), REG_SHO_DAILY)
        for day in rows:
            key = REG_SHO_DAILY.key("all", day)
            ingest(self.days, archive, index, key, RUN, TODAY)
            assert derive(self.days, "short_volume", key, RUN).written

    def history(self, week: WeekKey = WEEK) -> pd.DataFrame:
        with self.ats.read() as ats, self.non_ats.read() as non_ats, self.days.read() as days:
            return feature_history(ats, non_ats, week, days)

    def close(self) -> None:
        super().close()
        self.days.engine.dispose()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FullDesk]:
    opened = FullDesk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a desk that has WEEK and its days; nobody may change it."""
    filled = FullDesk(tmp_path_factory.mktemp("days"))
    filled.load(POOLS, DEALERS)
    filled.load_days(dict.fromkeys(DAYS, ROWS))
    filled.close()
    return filled.folder


@pytest.fixture
def filled_desk(filled: Path, tmp_path: Path) -> Iterator[FullDesk]:
    """A copy of that desk."""
    opened = FullDesk(shutil.copytree(filled, tmp_path, dirs_exist_ok=True))
    yield opened
    opened.close()


def of_days(rows: pd.DataFrame, symbol: str, day: date = PUBLIC) -> dict[str, float | None]:
    """The three features that the days give."""
    found = values(rows, symbol, day)
    return {name: found[name] for name in NO_DAYS}


def test_the_week_of_a_symbol_by_hand(filled_desk: FullDesk):
    """Four days of 125 shares in two facilities, 30 of them sold short; venues report 450."""
    rows = filled_desk.history()
    assert of_days(rows, "AAA") == {
        "short_share_pct": 24,
        "facility_volume": 500,
        "venues_vs_facilities_pct": 90,
    }
    nothing = {"short_share_pct": None, "facility_volume": 0, "venues_vs_facilities_pct": None}
    assert of_days(rows, "QUIET") == nothing  # of which the facilities saw no trade
    assert of_days(rows, "BBB") == nothing  # which they do not name
    assert set(rows["as_of_date"]) == {PUBLIC}


def test_a_week_is_not_known_in_part_and_days_change_no_other_feature(desk: FullDesk):
    desk.load(POOLS, tables=INPUTS)
    without = without_stamp(Desk.history(desk))
    desk.load_days(dict.fromkeys(DAYS[:3], ROWS))
    pd.testing.assert_frame_equal(without_stamp(desk.history()), without)
    desk.load_days({DAYS[3]: ROWS}, "rest")
    rows = desk.history()
    assert of_days(rows, "AAA") == {
        "short_share_pct": 24,
        "facility_volume": 500,
        "venues_vs_facilities_pct": None,  # dealers' week is not known
    }
    others = [name for name in without if name not in NO_DAYS]
    pd.testing.assert_frame_equal(rows[others], without[others])


def test_the_tier_otc_has_none(filled_desk: FullDesk):
    """The consolidated daily files are of NMS stocks."""
    first = date(2025, 8, 4)
    symbols = {("AAA", "VENA"): (10, 1)}
    over = Publication("ats", "OTC", WEEK.week_ending, first, first, symbols)
    filled_desk.load(over, tables=INPUTS)
    rows = filled_desk.history(WeekKey(Tier.OTC, WEEK.week_ending))
    assert of_days(rows, "AAA", first) == NO_DAYS


def test_a_corrected_day_is_a_later_row_that_says_what_it_rests_on(filled_desk: FullDesk):
    """A daily file has no date of its own: a second content is known from when it was read."""
    before = filled_desk.history()
    filled_desk.load_days({DAYS[1]: [("AAA", "Q", 30, 5, 75), *ROWS[1:]]}, "corrected")
    rows = filled_desk.history()
    pd.testing.assert_frame_equal(
        without_stamp(rows[rows["as_of_date"] == PUBLIC]).reset_index(drop=True),
        without_stamp(before),
    )
    late = rows[rows["as_of_date"] != PUBLIC]
    assert late[["symbol", "as_of_date", "as_of_source"]].values.tolist() == [
        ["AAA", TODAY, "captured"]
    ]
    assert of_days(rows, "AAA", TODAY) == pytest.approx(
        {
            "short_share_pct": 100 * 120 / 475,
            "facility_volume": 475,
            "venues_vs_facilities_pct": 100 * 450 / 475,
        }
    )


def test_random_days_are_summed_as_plain_python_sums_them(desk: FullDesk):
    random_of = random.Random(11)
    symbols = ["AAA", "BBB", "CCC", "DDD"]

    def some() -> list[SHORT]:
        pairs = [(s, market) for s in symbols for market in "QN" if random_of.random() < 0.7]
        traded = [(s, market, random_of.randint(0, 900)) for s, market in pairs]
        return [(s, m, random_of.randint(0, n), 0, f"{n}.25") for s, m, n in traded]

    first, second = {day: some() for day in DAYS}, {day: some() for day in DAYS[::2]}
    pools, dealers = ({s: random_of.randint(1, 2000) for s in symbols} for _ in range(2))
    desk.load(
        published(0, {f"{s} VENA": n for s, n in pools.items()}),
        published(0, {f"{s} Xavier": n for s, n in dealers.items()}, dataset="non_ats"),
        tables=INPUTS,
    )
    desk.load_days(first)
    desk.load_days(second, "corrected")
    rows = desk.history()
    for known, day in ((first, PUBLIC), (first | second, TODAY)):
        every = [row for mine in known.values() for row in mine]
        for symbol in symbols:
            total = sum(float(n) for s, _, _, _, n in every if s == symbol)
            short = sum(n for s, _, n, _, _ in every if s == symbol)
            wanted = {
                "short_share_pct": 100 * short / total,
                "facility_volume": total,
                "venues_vs_facilities_pct": 100 * (pools[symbol] + dealers[symbol]) / total,
            }
            assert of_days(rows, symbol, day) == pytest.approx(wanted), (symbol, day)


@contextmanager
def statements(about: str) -> Iterator[list[str]]:
    """Collect the statements of this process that read the rows of some tables."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if f"FROM {about}" in statement:
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_a_store_without_days_is_asked_once_a_run(tmp_path: Path):
    desk = Desk(tmp_path)
    weeks = [WEEK.shifted(-1), WEEK]
    desk.load(published(1, {"AAA VENA": 1}), published(0, {"AAA VENA": 2}))
    desk.close()
    platform = Platform(
        database_url=desk.ats.url,
        archive_url=str(tmp_path / "archive"),
        features_url=str(tmp_path / "features"),
    )
    job = build_defs(DATASETS, platform=platform).resolve_implicit_global_asset_job_def()
    first, last = (f"{week.tier.value}|{week.week_ending}" for week in weeks)
    tags = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    with statements("reg_sho_daily_") as asked:
        done = job.execute_in_process(asset_selection=[FEATURES_KEY], tags=tags)
    assert done.success
    assert len(asked) == 1
    for week in weeks:
        assert desk.rows(week)[list(NO_DAYS)].isna().all(axis=None)


def test_the_export_reads_the_days(filled_desk: FullDesk):
    stores = Stores(filled_desk.ats, filled_desk.non_ats, filled_desk.days)
    export(stores, filled_desk.root, WEEK, RUN)
    rows = filled_desk.rows()
    assert of_days(rows, "AAA")["venues_vs_facilities_pct"] == 90
    assert math.isnan(rows.set_index("symbol").loc["BBB", "short_share_pct"])


def test_the_dagster_asset_is_downstream_of_no_day():
    """A run over weeks, or over all that is upstream of the features, would ask for days."""
    (spec,) = (s for s in build_defs().resolve_all_asset_specs() if s.key == FEATURES_KEY)
    assert not any(dep.asset_key.path[0] == "reg_sho_daily" for dep in spec.deps)
    assert "materialize `features` of that week again" in str(spec.description)
    upstream = dg.AssetSelection.assets(FEATURES_KEY).upstream()
    graph = build_defs().resolve_asset_graph()
    assert not any(key.path[0] == "reg_sho_daily" for key in upstream.resolve(graph))
