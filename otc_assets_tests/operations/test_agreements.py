"""Months against weeks: what was made to agree does, and a planted error is named exactly."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from otc_assets.assets.platform import Platform
from otc_assets.calculations import tables_of
from otc_assets.definitions import build_defs
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.months import weeks_of
from otc_assets.domain.neighbours import (
    ATS_BLOCKS,
    MONTHLY_NON_ATS,
    NEIGHBOURS,
    OTC_BLOCKS,
)
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.agreements import CLAIMS, Agreement
from otc_assets.operations.derive import derive
from otc_assets.operations.intake import ingest
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.neighbours import BLOCK_TYPES, Traded, blocks, monthly
from otc_assets_tests.finra.world import as_json
from otc_assets_tests.pipeline import RUN
from otc_assets_tests.sources.samples import api_json, dealer, row

MONTHS = (MONTHLY_NON_ATS, ATS_BLOCKS, OTC_BLOCKS)
WHOLE, STRADDLED = date(2021, 2, 1), date(2025, 5, 1)
"""A month of four whole weeks, and one whose first two trading days are of a week of April."""
TODAY = date(2026, 1, 15)
POOLS = {"AXMP": 1000, "BXMP": 400}
FIRMS = {"SAMPLE MARKETS INC.": (7059, 600), "EXAMPLE SECURITIES, LLC": (149823, 90)}
FOLDED = "De Minimis Firms"
NAMES = {"NMS Tier 1": "AAA", "NMS Tier 2": "BBB", "OTC": "QCMp"}
NEEDED = {
    ATS: ("venue_volume", "venue_share"),
    NON_ATS: ("venue_volume", "venue_share", "symbol_summary"),
}
"""The weekly tables that the claims read."""


def fridays(month: date) -> list[date]:
    """The weeks that touch a month."""
    return list(weeks_of(ATS_BLOCKS.key("all", month)).touching)


def weekly(friday: date, tier: str) -> dict[Dataset, list[Any]]:
    """What is reported of a week of a tier. In it the small firm is folded every other week."""
    monday, later = friday - timedelta(days=4), friday + timedelta(days=40)
    how = {
        "tier": tier,
        "monday": str(monday),
        "friday": str(friday),
        "published": str(later),
        "updated": str(later),
    }
    symbol = NAMES[tier]
    pools = [row(symbol, mpid=mpid, shares=n, **how) for mpid, n in POOLS.items()]
    dealers = []
    for name, (crd, shares) in FIRMS.items():
        is_folded = shares < 100 and friday.day % 2 == 0
        firm = {"name": FOLDED, "crd": 0} if is_folded else {"name": name, "crd": crd}
        dealers.append(dealer(symbol, shares=shares, **firm, **how))
    return {ATS: pools, NON_ATS: dealers}


@dataclass
class Months:
    """What FINRA's other sets say of a month: the sums of its weeks, and changes of them."""

    month: date
    weeks: float
    """How many of the weeks' volume the month holds."""
    more: Counter[str] = field(default_factory=Counter)
    """Shares that a venue, a firm or a symbol has more than its weeks."""

    def write(self, folder: Path) -> None:
        pools = {
            name: self._traded(int(3 * self.weeks * n) + self.more[name])
            for name, n in POOLS.items()
        }
        firms = {
            name: self._traded(int(3 * self.weeks * n) + self.more[name])
            for name, (_, n) in FIRMS.items()
        }
        self._write(folder, "ats", blocks(self.month, pools))
        self._write(folder, "otc", blocks(self.month, firms, "OTC"))
        nms, otc = (
            [
                (symbol, crd, name, int(self.weeks * n) + self.more[f"{symbol} {name}"], 9)
                for symbol in symbols
                for name, (crd, n) in FIRMS.items()
            ]
            for symbols in (("AAA", "BBB"), ("QCMp",))
        )
        self._write(folder, "nms", monthly(self.month, "NMS", nms))
        self._write(folder, "otce", monthly(self.month, "OTCE", otc))

    def _traded(self, shares: int) -> Traded:
        return Traded(shares, 100, dict.fromkeys(BLOCK_TYPES, (shares // 2, 1)))

    def _write(self, folder: Path, stem: str, found: list[Any]) -> None:
        text = "[" + ",\n".join(map(as_json, found)) + "]"
        (folder / f"{stem}_{self.month}.json").write_text(text)


class Scene:
    """A store with weeks and months, and the claims that join them."""

    def __init__(self, folder: Path, like: "Scene | None" = None, url: str = "") -> None:
        """Begin without anything, or with what another one has taken in; on SQLite by default."""
        self.folder, self.source = folder, folder / "source"
        self.source.mkdir()
        if like:
            with sqlite3.connect(like.folder / "otc.db") as store:
                store.execute("VACUUM INTO ?", [str(folder / "otc.db")])
        self.files = FileSource(str(self.source))
        self.url = url or f"sqlite:///{folder / 'otc.db'}"
        self.stores = {each: Warehouse(self.url, each) for each in (*DATASETS, *NEIGHBOURS)}

    def take_weeks_in(self, weeks: list[date]) -> None:
        for friday in weeks:
            for tier in Tier:
                for dataset, lines in weekly(friday, tier).items():
                    name = f"{dataset.name}_{tier.slug}_week_{friday}.json"
                    (self.source / name).write_bytes(api_json(lines))
        for dataset in DATASETS:
            keys = [WeekKey(tier, friday) for friday in weeks for tier in Tier]
            self._take_in(dataset, keys, NEEDED[dataset])

    def take_month_in(self, said: Months) -> None:
        said.write(self.source)
        for dataset in MONTHS:
            keys = [dataset.key(section, said.month) for section in dataset.slicing.sections]
            self._take_in(dataset, keys, [table.name for table in tables_of(dataset)][1:])

    def _take_in(self, dataset: Dataset, keys: Any, names: Any) -> None:
        store = self.stores[dataset]
        index = self.files.index(TODAY, dataset)
        archive = Archive(str(self.folder / "archive"), dataset)
        for key in keys:
            ingest(store, archive, index, key, RUN, TODAY)
            for name in names:
                assert derive(store, name, key, RUN).written

    def found(self, dataset: Dataset, month: date) -> dict[str, Agreement]:
        """What each claim says of a month, in the first tier."""
        with ExitStack() as stack:
            readers: dict[Dataset, SliceReader] = {
                each: stack.enter_context(store.read()) for each, store in self.stores.items()
            }
            key = dataset.key(dataset.slicing.sections[0], month)
            return {
                claim.name: claim.find(lambda wanted: readers[wanted], key)
                for claim in CLAIMS[dataset]
            }

    def close(self) -> None:
        for store in self.stores.values():
            store.engine.dispose()

    def off(self, month: date) -> dict[str, list[dict[str, str]]]:
        """What is out of bounds, by claim."""
        return {
            name: each.off
            for dataset in MONTHS
            for name, each in self.found(dataset, month).items()
            if each.off
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("agreements"))
    for month in (WHOLE, STRADDLED):
        scene.take_weeks_in(fridays(month))
    scene.take_month_in(Months(WHOLE, 4))
    scene.take_month_in(Months(STRADDLED, 4.5))
    yield scene
    scene.close()


def test_a_month_of_whole_weeks_is_told_from_one_that_cuts_a_week():
    whole, straddled = (weeks_of(ATS_BLOCKS.key("all", each)) for each in (WHOLE, STRADDLED))
    assert whole.is_whole
    assert len(whole.inside) == 4
    assert not straddled.is_whole
    # Memorial Day, 2025-05-26, has no trade: its week is of May alone.
    assert [str(day) for day in straddled.inside] == [
        "2025-05-09",
        "2025-05-16",
        "2025-05-23",
        "2025-05-30",
    ]
    assert set(straddled.touching) - set(straddled.inside) == {date(2025, 5, 2)}


def test_a_week_of_which_the_month_has_no_trading_day_does_not_touch_it():
    """2021-07-31 is a Saturday, and 2021-08-01 a Sunday."""
    weeks = weeks_of(ATS_BLOCKS.key("all", date(2021, 8, 1)))
    assert weeks.touching[0] == date(2021, 8, 6)


@pytest.mark.parametrize("month", [WHOLE, STRADDLED])
def test_sets_that_were_made_to_agree_do(scene: Scene, month: date):
    assert scene.off(month) == {}
    for dataset in MONTHS:
        assert all(each.lacking == () for each in scene.found(dataset, month).values())


def test_whole_weeks_of_the_same_tiers_leave_no_room(scene: Scene):
    found = {each: scene.found(MONTHLY_NON_ATS, each) for each in (WHOLE, STRADDLED)}
    assert found[WHOLE]["symbols_hold_their_weeks"].said == "equal"
    said = found[STRADDLED]["symbols_hold_their_weeks"].said
    assert said == "within the bounds of the weeks"


PLANTED = {
    "a venue has too much": (
        {"AXMP": 1},
        {"venues_hold_their_weeks": {"mpid": "AXMP", "off": "1"}},
    ),
    "a venue has too little": (
        {"BXMP": -1700},
        {"venues_hold_their_weeks": {"mpid": "BXMP", "off": "100"}},
    ),
    "a firm has too much of a symbol": (
        {"BBB SAMPLE MARKETS INC.": 7},
        {"symbols_hold_their_weeks": {"symbol": "BBB", "off": "7"}},
    ),
    "a firm has less than its own weeks, and another more": (
        {"AAA SAMPLE MARKETS INC.": -5, "AAA EXAMPLE SECURITIES, LLC": 5},
        {"firms_hold_their_weeks": {"symbol": "AAA", "short by": "5"}},
    ),
    "the blocks' firms have too much": (
        {"EXAMPLE SECURITIES, LLC": 3},
        {
            "market_holds_its_weeks": {"of": "all firms", "off": "3"},
            "market_is_that_of_the_monthly_set": {"of": "all firms", "off": "3"},
        },
    ),
}


@pytest.mark.parametrize("error", PLANTED)
def test_a_planted_error_is_named_exactly(scene: Scene, error: str, tmp_path: Path):
    more, wanted = PLANTED[error]
    scene = Scene(tmp_path, like=scene)
    scene.take_month_in(Months(WHOLE, 4, Counter(more)))
    found = scene.off(WHOLE)
    assert found.keys() == wanted.keys()
    for name, said in wanted.items():
        (line,) = found[name]
        assert said.items() <= line.items()
    assert scene.off(STRADDLED) == {}


def test_postgres_finds_what_sqlite_finds(sqlite_url: str, postgres_url: str, tmp_path: Path):
    """One week of a month, which has too little of it in every sum, and least of all in blocks."""
    found = []
    for number, url in enumerate((sqlite_url, postgres_url)):
        (tmp_path / str(number)).mkdir()
        scene = Scene(tmp_path / str(number), url=url)
        scene.take_weeks_in(fridays(WHOLE)[:1])
        scene.take_month_in(Months(WHOLE, 0.5, Counter({"SAMPLE MARKETS INC.": -400})))
        found.append([scene.found(dataset, WHOLE) for dataset in MONTHS])
        scene.close()
    assert all(claim.off for each in found[0] for claim in each.values())
    assert found[0] == found[1]


def test_of_a_straddling_week_a_month_may_hold_all_or_nothing_and_no_more(
    scene: Scene, tmp_path: Path
):
    scene = Scene(tmp_path, like=scene)
    for weeks in (4.0, 5.0):
        scene.take_month_in(Months(STRADDLED, weeks))
        assert scene.off(STRADDLED) == {}
    scene.take_month_in(Months(STRADDLED, 5.5))
    assert {"venues_hold_their_weeks", "symbols_hold_their_weeks"} <= scene.off(STRADDLED).keys()


def test_the_check_shows_it_on_the_months_partition(scene: Scene, tmp_path: Path):
    scene = Scene(tmp_path, like=scene)
    scene.take_month_in(Months(WHOLE, 4, Counter({"AXMP": 1})))
    platform = Platform(
        database_url=scene.url,
        source_url=str(scene.source),
        archive_url=str(scene.folder / "archive"),
    )
    job = build_defs([ATS_BLOCKS], platform=platform).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(
        asset_selection=[dg.AssetKey(["ats_blocks", "block_volume"])], partition_key=str(WHOLE)
    )
    (check,) = (
        each
        for each in done.get_asset_check_evaluations()
        if each.check_name == "venues_hold_their_weeks"
    )
    assert not check.passed
    assert "mpid AXMP" in str(check.description)


def test_weeks_that_are_not_in_the_store_are_named_and_accuse_nobody(
    tmp_path: Path,
):
    alone = Scene(tmp_path)
    alone.take_month_in(Months(WHOLE, 4))
    assert alone.off(WHOLE) == {}
    found = alone.found(ATS_BLOCKS, WHOLE)["venues_hold_their_weeks"]
    assert len(found.lacking) == 12
    assert found.said.startswith("nothing is out of bounds; not in the store: ats NMS Tier 1:")
    assert json.dumps(found.off) == "[]"
