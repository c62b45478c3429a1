"""The daily short sale volume, from FINRA's files and from the API, and its week."""

from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import pytest

from otc_assets.assets.partitions import partition_key_of, partitions_of, slice_of
from otc_assets.automation.ranges import ranges_of
from otc_assets.domain.calendar import due_weeks, newest_due_week
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.gaps import gaps
from otc_assets.domain.neighbours import REG_SHO_DAILY
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.agreements import Agreement, facilities_hold_no_more_than_venues
from otc_assets.operations.derive import derive, later_weeks, refresh
from otc_assets.operations.intake import ingest
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.rebuild import rebuild
from otc_assets.operations.verify import verify
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.sources.finra import FinraSource, Means
from otc_assets.sources.finra_client import FinraClient
from otc_assets.sources.history import History
from otc_assets.sources.outage import Outage
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra.neighbours import SHORT, sets, short_sale_file, short_sales
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import World
from otc_assets_tests.operations.test_agreements import Scene
from otc_assets_tests.pipeline import RUN
from otc_assets_tests.sources.samples import api_json, dealer, row

FRIDAY = date(2025, 6, 20)
THURSDAY = date(2025, 6, 19)
"""Juneteenth: the market is closed."""
DAYS = [date(2025, 6, day) for day in (16, 17, 18, 20)]
TODAY = date(2025, 8, 20)
ROWS: list[SHORT] = [
    ("AAA", "B,Q,N", "100.25", 1, 400),
    ("BRK.B", "Q", 5, 0, 50),
    ("QUIET", "N", 0, 0, 0),
]


def key(day: date):
    return REG_SHO_DAILY.key("all", day)


def store_of(url: str) -> Warehouse:
    return Warehouse(url, REG_SHO_DAILY)


def take_in(store: Warehouse, source: Path, days: list[date]) -> list[SliceOutcome]:
    """Do what a range run does."""
    index = FileSource(str(source)).index(TODAY, REG_SHO_DAILY)
    archive = Archive(str(source.parent / "archive"), REG_SHO_DAILY)
    slices = [key(day) for day in days]
    found = [ingest(store, archive, index, day, RUN, TODAY) for day in slices]
    for name in ("short_volume", "week_to_date"):
        found += [derive(store, name, day, RUN) for day in slices]
        for day in later_weeks(store, name, slices):
            refresh(store, name, day, RUN)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The files of a week that has a holiday."""
    folder = tmp_path / "source"
    folder.mkdir()
    for day in DAYS:
        (folder / f"CNMSshvol{day:%Y%m%d}.txt").write_bytes(short_sale_file(day, ROWS))
    return folder


def test_weekdays_are_partitions_and_a_holiday_is_never_due():
    listed = partitions_of(REG_SHO_DAILY.slicing).get_partition_keys()
    assert {str(day) for day in (*DAYS, THURSDAY)} <= set(listed)
    assert "2025-06-21" not in listed
    assert slice_of("2025-06-19", REG_SHO_DAILY.slicing) == key(THURSDAY)
    due = due_weeks("all", DAYS[0], FRIDAY, REG_SHO_DAILY)
    assert [day.period for day in due] == DAYS
    assert newest_due_week("all", THURSDAY, REG_SHO_DAILY) == key(DAYS[2])
    assert [gap.week for gap in gaps(REG_SHO_DAILY, [key(DAYS[0])], FRIDAY)] == [
        key(day) for day in DAYS[1:]
    ]


def test_days_are_shifted_over_weekends():
    monday = key(date(2025, 6, 23))
    assert monday.shifted(-1) == key(FRIDAY)
    assert monday.shifted(-1).shifted(1) == monday
    assert key(DAYS[0]).shifted(7) == key(date(2025, 6, 25))
    assert REG_SHO_DAILY.grain.between(DAYS[0], date(2025, 6, 25)) == 7
    (span,) = ranges_of([key(FRIDAY), monday])
    assert str(span) == "2025-06-20...2025-06-23"
    with pytest.raises(ValueError, match="2025-06-21 names no day"):
        key(date(2025, 6, 21))


def test_a_week_of_files_goes_the_whole_way(database_url: str, source: Path):
    store = store_of(database_url)
    outcomes = take_in(store, source, DAYS)
    assert {(each.status, each.written) for each in outcomes} == {(SliceStatus.LOADED, True)}
    assert all(verdict.passed for each in outcomes for verdict in each.verdicts)
    columns = ["symbol", "total_volume", "short_volume", "short_share_pct", "days_in_week"]
    with store.read() as reader:
        week = reader.frame("week_to_date", key(FRIDAY), columns)
        manifest = reader.manifest(key(FRIDAY)) or {}
    assert week.drop(columns="short_share_pct").values.tolist() == [
        ["AAA", 1_600_000_000, 401_000_000, 4],
        ["BRK.B", 200_000_000, 20_000_000, 4],
        ["QUIET", 0, 0, 4],
    ]
    assert week["short_share_pct"].tolist()[:2] == [25.0625, 10.0]
    assert week["short_share_pct"].isna().tolist() == [False, False, True]
    assert manifest["revision_date"] == FRIDAY
    archive = Archive(str(source.parent / "archive"), REG_SHO_DAILY)
    assert rebuild(store, archive, key(FRIDAY), RUN).differences == ()
    assert [each.findings for each in verify(store, archive, [key(FRIDAY)])] == [[]]
    store.engine.dispose()


def test_a_corrected_day_refreshes_the_days_after_it_in_its_week(sqlite_url: str, source: Path):
    store = store_of(sqlite_url)
    take_in(store, source, DAYS)
    rows = [("AAA", "B,Q,N", 0, 0, 500), *ROWS[1:]]
    (source / "again.txt").write_bytes(short_sale_file(DAYS[1], rows))
    take_in(store, source, [DAYS[1]])
    with store.read() as reader:
        totals = [
            int(reader.frame("week_to_date", key(day), ["total_volume"])["total_volume"].iloc[0])
            for day in DAYS
        ]
    assert [total // 10**6 for total in totals] == [400, 900, 1300, 1700]
    store.engine.dispose()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (short_sale_file(FRIDAY, ROWS, said=4), "its last line says 4 rows, and there are 3"),
        (short_sale_file(FRIDAY, ROWS)[:-6], "its last line is not the number of rows"),
    ],
)
def test_a_file_whose_number_of_rows_does_not_agree_is_refused(
    sqlite_url: str, source: Path, data: bytes, says: str
):
    (source / f"CNMSshvol{FRIDAY:%Y%m%d}.txt").write_bytes(data)
    store = store_of(sqlite_url)
    outcome = take_in(store, source, [FRIDAY])[0]
    assert outcome.status is SliceStatus.REFUSED
    assert says in str(outcome.reason)
    store.engine.dispose()


def test_a_holiday_is_not_due_and_says_why(sqlite_url: str, source: Path):
    store = store_of(sqlite_url)
    outcome = take_in(store, source, [THURSDAY])[0]
    assert outcome.status is SliceStatus.NOT_DUE
    assert outcome.reason == "the market is closed on 2025-06-19"
    store.engine.dispose()


def test_the_api_gives_what_the_file_gives(sqlite_url: str, source: Path):
    world = World()
    world.others = sets(regShoDaily=[r for day in DAYS for r in short_sales(day, ROWS)])
    store, columns = store_of(sqlite_url), [column.name for column in REG_SHO_DAILY.content]
    with FinraServer(world) as server:
        client = FinraClient(server.url, requests_per_second=20)
        history = History(lambda dataset: Archive(str(source / "history"), dataset))
        index = FinraSource(Means(client, Outage("FINRA"), history)).index(TODAY, REG_SHO_DAILY)
        assert set(index.versions()) == {key(day) for day in DAYS}
        archive = Archive(str(source.parent / "archive"), REG_SHO_DAILY)
        ingest(store, archive, index, key(FRIDAY), RUN, TODAY)
    with store.read() as reader:
        from_api = reader.frame("raw", key(FRIDAY), columns)
    again = take_in(store, source, [FRIDAY])[0]
    assert again.status is SliceStatus.LOADED
    with store.read() as reader:
        assert len(reader.records("revisions", key(FRIDAY))) == 1  # the same content
    assert from_api.sort_values("symbol")["symbol"].tolist() == ["AAA", "BRK.B", "QUIET"]
    store.engine.dispose()


def judged(scene: Scene, day: date) -> Agreement:
    stores: dict[Dataset, Warehouse] = {**scene.stores}
    with ExitStack() as stack:
        readers = {each: stack.enter_context(store.read()) for each, store in stores.items()}
        return facilities_hold_no_more_than_venues(lambda wanted: readers[wanted], key(day))


def test_facilities_see_no_more_than_venues_report(database_url: str, source: Path, tmp_path: Path):
    """Venues have AAA of 1,600 shares in the week, as facilities; of BRK.B they have 195 of 200."""
    (tmp_path / "scene").mkdir()
    scene = Scene(tmp_path / "scene", url=database_url)
    later = FRIDAY + timedelta(days=40)
    how = {
        "monday": str(DAYS[0]),
        "friday": str(FRIDAY),
        "published": str(later),
        "updated": str(later),
    }
    for tier in Tier:
        symbol, ours, theirs = {
            Tier.NMS_TIER_1: ("AAA", 600, 1000),
            Tier.NMS_TIER_2: ("BRK.B", 95, 100),
            Tier.OTC: ("QCMp", 7, 7),
        }[tier]
        pool = row(symbol, tier=tier.value, shares=ours, **how)
        firm = dealer(symbol, tier=tier.value, shares=theirs, **how)
        (scene.source / f"ats_{tier.slug}.json").write_bytes(api_json([pool]))
        (scene.source / f"non_ats_{tier.slug}.json").write_bytes(api_json([firm]))
    weeks = [WeekKey(tier, FRIDAY) for tier in Tier]
    for dataset in DATASETS:
        scene._take_in(dataset, weeks, ("venue_volume", "symbol_summary"))
    take_in(scene.stores[REG_SHO_DAILY], source, DAYS)
    assert judged(scene, DAYS[0]).said.endswith("this is not its last trading day")
    found = judged(scene, FRIDAY)
    assert [(line["symbol"], line["month"], line["most"]) for line in found.off] == [
        ("BRK.B", "200", "196.95")
    ]
    assert partition_key_of(key(FRIDAY)) == "2025-06-20"
    assert {ATS, NON_ATS} == set(DATASETS)
    scene.close()
