"""Weeks in one of FINRA's sets, in both and in neither: the store is the truth, and asks once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.follow import reread
from otc_assets.operations.intake import ingest
from otc_assets.sources import history as historic_set
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.sources.finra import FinraSource, Means
from otc_assets.sources.history import History
from otc_assets.sources.listings import Listings
from otc_assets.sources.outage import Outage
from otc_assets.sources.volume import Volume
from otc_assets.warehouse.listings import remember_listing
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.finra import server as stand_in
from otc_assets_tests.finra import world as finra
from otc_assets_tests.finra.conftest import TODAY, quick
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import (
    DATA,
    HISTORIC_DATA,
    HISTORIC_PARTITIONS,
    PARTITIONS,
    FinraServer,
)
from otc_assets_tests.finra.truth import Truth
from otc_assets_tests.finra.world import HISTORIC, WEEKLY, Part, World
from otc_assets_tests.forked import exit_codes
from otc_assets_tests.pipeline import RUN

KINDS = {ATS: finra.ATS, NON_ATS: finra.NON_ATS}
SETS = [(), (HISTORIC,), (HISTORIC,), (HISTORIC, WEEKLY), (WEEKLY,)]
"""Which of FINRA's sets have each of the weeks, from the oldest on."""
WEEKS = [WeekKey(Tier.NMS_TIER_1, date(2025, 10, 17)).shifted(n) for n in range(len(SETS))]
DROPPED, FIRST, SECOND, IN_BOTH, NEW = WEEKS
STATIC = [FIRST, SECOND]


def part_of(week: WeekKey) -> Part:
    return Part(week.monday, "T1")


@pytest.fixture
def server() -> Iterator[FinraServer]:
    """The weeks of Tier 1, in pages of 100 rows."""
    world = World(seed=3, symbols=0)
    for week, sets in zip(WEEKS, SETS, strict=True):
        world.move(world.publish(week.monday, "T1"), *sets)
    with FinraServer(world, max_limit=100) as running:
        yield running


class Home:
    """A store and its archive, into which runs take what a server has."""

    def __init__(self, server: FinraServer, folder: Path, url: str) -> None:
        self.server = server
        self.archive_url = str(folder / "archive")
        self.stores = {dataset: Warehouse(url, dataset) for dataset in DATASETS}
        self.volume = Volume(lambda: 0, 2**63)

    def source(self) -> FinraSource:
        """FINRA, as a run of its own sees it."""
        engine = self.stores[ATS].engine
        means = Means(
            quick(self.server, attempts=10),
            Outage("FINRA"),
            History(self.archive),
            Listings(lambda name, weeks: remember_listing(engine, name, weeks)),
            self.volume,
        )
        return FinraSource(means)

    def archive(self, dataset: Dataset) -> Archive:
        return Archive(self.archive_url, dataset)

    def run(self, *datasets: Dataset, weeks=tuple(WEEKS)) -> dict[tuple[str, WeekKey], SliceStatus]:
        """Take slices of datasets in, as one run."""
        source, done = self.source(), {}
        for dataset in datasets:
            index = source.index(TODAY, dataset)
            for week in weeks:
                outcome = ingest(
                    self.stores[dataset], self.archive(dataset), index, week, RUN, TODAY
                )
                done[dataset.name, week] = outcome.status
        return done

    def manifest(self, dataset: Dataset, week: WeekKey) -> dict[str, object]:
        with self.stores[dataset].read() as reader:
            return reader.manifest(week) or {}

    def assert_is_truth(self, *weeks: WeekKey) -> None:
        """Each slice of both datasets has exactly the rows of the world."""
        columns = ["symbol", "mpid", "share_volume", "trade_count", "notional"]
        for dataset, kind in KINDS.items():
            truth = Truth(self.server.world, kind)
            for week in weeks:
                with self.stores[dataset].read() as reader:
                    rows = reader.frame("raw", week, columns)
                found = sorted(rows.itertuples(index=False, name=None))
                assert found == truth.raw(part_of(week)) != []

    def downloads(self) -> Counter[str]:
        """How often each week of the historic set was asked for, page by page."""
        return Counter(
            f"{f['fieldValue']} from {request.body['offset']}"
            for request in self.server.asked(HISTORIC_DATA)
            for f in request.body["compareFilters"]
            if f["fieldName"] == "historicalWeek"
        )

    def assert_asked_once(self, *weeks: WeekKey) -> None:
        assert set(self.downloads().values()) == {1}
        assert {each[:10] for each in self.downloads()} == {str(week.monday) for week in weeks}


@pytest.fixture
def home(server: FinraServer, unlimited: None, tmp_path: Path, sqlite_url: str) -> Home:
    return Home(server, tmp_path, sqlite_url)


@pytest.fixture
def each_home(server: FinraServer, unlimited: None, tmp_path: Path, database_url: str) -> Home:
    return Home(server, tmp_path, database_url)


def test_each_week_is_the_truth_and_one_that_was_dropped_is_not_missing(each_home: Home):
    done = each_home.run(*DATASETS)
    assert {status for (_, week), status in done.items() if week != DROPPED} == {"loaded"}
    each_home.assert_is_truth(*WEEKS[1:])
    for dataset in DATASETS:
        row = each_home.manifest(dataset, DROPPED)
        assert row["status"] == "no_longer_offered"
        assert "it can only come from files" in str(row["reason"])
        assert row["quality_score"] is None


def test_one_download_of_a_static_week_serves_both_datasets(home: Home):
    home.run(*DATASETS)
    home.assert_asked_once(*STATIC)
    assert {str(r.body["compareFilters"]) for r in home.server.asked(DATA)} == {
        str(
            [
                {"compareType": "EQUAL", "fieldName": name, "fieldValue": value}
                for name, value in (
                    ("weekStartDate", str(week.monday)),
                    ("tierIdentifier", "T1"),
                    ("summaryTypeCode", kind),
                )
            ]
        )
        for week in (IN_BOTH, NEW)
        for kind in KINDS.values()
    }


def test_each_list_is_asked_for_once_a_run_and_the_historic_one_only_if_it_is_needed(home: Home):
    home.run(*DATASETS, weeks=[NEW, IN_BOTH])
    asked = len(home.server.asked(PARTITIONS)), len(home.server.asked(HISTORIC_PARTITIONS))
    assert asked == (1, 0)
    home.run(*DATASETS)
    asked = len(home.server.asked(PARTITIONS)), len(home.server.asked(HISTORIC_PARTITIONS))
    assert asked == (2, 1)


@pytest.mark.parametrize("order", [(ATS, NON_ATS), (NON_ATS, ATS)])
def test_a_later_run_takes_static_weeks_from_the_archive(home: Home, order: tuple[Dataset, ...]):
    for dataset in (*order, *order):
        home.run(dataset)
    home.assert_asked_once(*STATIC)
    home.assert_is_truth(*WEEKS[1:])


def test_another_store_takes_them_from_the_same_archive(home: Home, tmp_path: Path):
    home.run(ATS)
    again = Home(home.server, tmp_path, f"sqlite:///{tmp_path / 'another.db'}")
    again.run(*DATASETS)
    home.assert_asked_once(*STATIC)
    again.assert_is_truth(*WEEKS[1:])


def test_a_week_that_became_static_is_not_asked_for_if_the_archive_has_it(home: Home):
    home.run(*DATASETS)
    for week in (IN_BOTH, NEW):
        home.server.world.move(part_of(week), HISTORIC)
    home.server.world.move(part_of(world_newest(home)), WEEKLY)
    home.run(*DATASETS)
    home.assert_asked_once(*STATIC)
    with home.stores[ATS].read() as reader:
        assert len(reader.records("revisions", NEW)) == 1


def world_newest(home: Home) -> WeekKey:
    """Publish one more week, so that the list of the newest is not empty."""
    home.server.world.publish(NEW.shifted(1).monday, "T1")
    return NEW.shifted(1)


def test_reading_again_for_corrections_asks_for_no_static_week(home: Home):
    home.run(*DATASETS)
    index = home.source().index(TODAY, ATS)
    assert not any(reread(home.stores[ATS], index, week, RUN, TODAY) for week in WEEKS[1:])
    home.assert_asked_once(*STATIC)


def test_two_runs_at_once_do_not_both_ask(home: Home, tmp_path: Path):
    waiting = threading.Barrier(2)
    home.server.before_rows = lambda _: time.sleep(0.02)  # time enough to ask as well

    def run(dataset: Dataset) -> None:
        mine = Home(home.server, tmp_path, home.stores[ATS].url)
        waiting.wait()
        mine.run(dataset)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, DATASETS))
    home.assert_asked_once(*STATIC)
    home.assert_is_truth(*WEEKS[1:])


def die_while_writing(server_url: str, folder: Path, url: str) -> None:
    """Take the first static week in, and be killed before it is in the store."""

    class Elsewhere:
        url = server_url

    home = Home(Elsewhere(), folder, url)  # type: ignore[arg-type]
    home.stores[ATS].write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore
    home.run(ATS, weeks=[FIRST])


def test_after_a_kill_what_was_downloaded_is_in_the_archive(home: Home, tmp_path: Path):
    home.stores[ATS].engine.dispose()
    url = home.stores[ATS].url
    assert exit_codes(die_while_writing, (home.server.url, tmp_path, url)) == [-9]
    assert home.downloads()
    assert home.manifest(ATS, FIRST) == {}
    home.run(*DATASETS)
    home.assert_asked_once(*STATIC)
    home.assert_is_truth(*WEEKS[1:])


def test_the_part_of_a_dataset_waits_in_its_archive_as_a_file_that_any_store_can_read(home: Home):
    home.run(ATS, weeks=[FIRST])
    (key,) = home.archive(NON_ATS).keys_of(FIRST)
    assert key.startswith("non_ats/nms_tier_1/2025-10-24/refused/")
    placed = FileSource(home.archive_url).index(TODAY, NON_ATS).versions()
    assert list(placed) == [FIRST]
    home.run(NON_ATS, weeks=[FIRST])
    (key,) = home.archive(NON_ATS).keys_of(FIRST)
    assert "/refused/" not in key


def test_a_dataset_without_rows_in_a_download_is_not_asked_for_again(home: Home):
    world = home.server.world
    world.firms[part_of(FIRST)] = world.records(part_of(FIRST), finra.ATS)
    for _ in range(2):
        done = home.run(*DATASETS, weeks=[FIRST])
        assert list(done.values()) == ["loaded", "missing"]
    home.assert_asked_once(FIRST)
    assert FileSource(home.archive_url).index(TODAY, NON_ATS).versions() == {}


@pytest.mark.parametrize("seed", [1])
def test_whatever_goes_wrong_on_the_way_the_store_is_the_truth(home: Home, seed: int):
    home.server.retry_after_seconds, home.server.max_limit = 0.01, 25
    slow, for_good = {Fault.HANGS, Fault.TOO_MANY_DATE}, {Fault.FORBIDDEN, Fault.BAD_REQUEST}
    faults = sorted(set(Fault) - slow - for_good - {Fault.EXPIRED})
    home.server.faults.at_random(0.3, seed, faults)
    home.run(*DATASETS)
    assert len(home.server.faults.served) > 5
    home.server.faults.stop()
    home.run(*DATASETS)
    home.assert_is_truth(*WEEKS[1:])


def test_an_archive_that_fails_costs_nothing_and_the_next_run_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(historic_set, "as_file", lambda records: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            home.run(ATS, weeks=[FIRST])
    assert home.manifest(ATS, FIRST) == {}
    home.run(*DATASETS, weeks=[FIRST])
    home.assert_is_truth(FIRST)


def test_a_bad_file_of_the_archive_is_named_and_not_replaced(home: Home, tmp_path: Path):
    home.run(ATS, weeks=[FIRST])
    (key,) = home.archive(NON_ATS).keys_of(FIRST)
    (tmp_path / "archive" / key).write_text("[]")
    assert home.run(NON_ATS, weeks=[FIRST]) == {("non_ats", FIRST): "refused"}
    assert "the bytes are not those that were archived" in str(home.manifest(NON_ATS, FIRST))


def test_without_a_historic_set_what_is_not_listed_is_missing_and_not_dropped(
    home: Home, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stand_in, "HISTORIC_PARTITIONS", "/elsewhere")
    done = home.run(ATS)
    assert [done["ats", week] for week in WEEKS] == ["missing"] * 3 + ["loaded"] * 2


class TestTheMonthsVolume:
    """FINRA is not asked once a month's volume could be passed."""

    @pytest.fixture
    def stopped(self, home: Home) -> Home:
        """A home whose month has room for the new weeks, and not for history."""
        home.volume = Volume(lambda: 85_000_000, 100_000_000)
        home.done = home.run(*DATASETS)  # type: ignore[attr-defined]
        return home

    def test_history_waits_and_new_weeks_do_not(self, stopped: Home):
        assert stopped.downloads() == Counter()
        stopped.assert_is_truth(IN_BOTH, NEW)
        for dataset in DATASETS:
            row = stopped.manifest(dataset, FIRST)
            assert row["status"] == "missing"
            assert "0.09 of 0.1 GB were received this month (history may take 80%" in str(row)
            assert "-01 on (OTC_GIGABYTES_PER_MONTH)" in str(row["reason"])

    def test_what_waits_is_no_dead_letter(self, stopped: Home):
        with stopped.stores[ATS].read() as reader:
            assert reader.dead_letters() == []

    def test_it_goes_on_when_there_is_room_again(self, stopped: Home):
        stopped.volume = Volume(lambda: 0, 100_000_000)
        stopped.run(*DATASETS)
        stopped.assert_asked_once(*STATIC)
        stopped.assert_is_truth(*WEEKS[1:])

    def test_a_slice_that_is_there_stays_as_it_is(self, home: Home):
        home.run(ATS, weeks=[NEW])
        before = home.manifest(ATS, NEW)
        home.volume = Volume(lambda: 99_000_000, 100_000_000)
        assert home.run(ATS, weeks=[NEW]) == {("ats", NEW): "loaded"}
        after = home.manifest(ATS, NEW)
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"batch_id", "updated_at"}
        assert after["source_version"] == "published"
