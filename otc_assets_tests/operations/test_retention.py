"""Pruned rows are in the archive alone: no answer tells, and they come back as they were."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.events import EventType
from otc_assets.domain.gaps import gaps
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.intake import VERSIONED
from otc_assets.operations.rebuild import Rebuild, rebuild_all
from otc_assets.operations.recall import Recall
from otc_assets.operations.replay import differing_facts, replay
from otc_assets.operations.retention import (
    POLICIES,
    RetentionError,
    SliceRows,
    expired,
    give_back,
    prune,
    pruned,
    restore,
)
from otc_assets.operations.revise import Treatment
from otc_assets.operations.verify import verify
from otc_assets.research import as_of, compare, facts, history, latest, why
from otc_assets.research.extract import table_batches
from otc_assets.research.features import feature_history
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.migrate import downgrade
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES, administer, database, empty_store
from otc_assets_tests.operations.test_events import stream
from otc_assets_tests.pipeline import RUN, TODAY, content, weeks

CORRECTION = "finra_otc_weekly_tier1_20250609_corrected_20250716.csv"
WEEKS = weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-05-30")
REJECTING = WeekKey(Tier.OTC, date(2025, 6, 6))
"""With twelve refused lines."""
SLICES = [*WEEKS, REJECTING]
CORRECTED, NEWEST = WEEKS
FAR = date(2040, 1, 1)
"""A day on which every week has expired."""
DAYS = ("2025-06-10", "2025-07-15", "2025-07-16", "2026-01-15")


@dataclass
class Home:
    """A store on one of the databases, with its archive and its source."""

    url: str
    folder: Path

    def store(self, dataset: Dataset = ATS) -> Warehouse:
        return Warehouse(self.url, dataset, Recall(str(self.archive)))

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def run(
        self,
        slices: list[WeekKey] = SLICES,
        dataset: Dataset = ATS,
        treatment: Treatment = VERSIONED,
    ) -> None:
        store = self.store(dataset)
        pipeline.run(store, self.source, self.archive, slices, treatment=treatment)

    def prune(self, *slices: WeekKey) -> list[SliceRows]:
        """Prune all that may be pruned (of some slices), in both datasets."""
        done = []
        for dataset in DATASETS:
            asked = [s for s in expired(self.store(dataset), FAR) if not slices or s.week in slices]
            done += prune(self.store(dataset), asked, RUN)
        assert all(isinstance(each, SliceRows) for each in done), done
        return done

    def restore(self) -> list[SliceRows | RetentionError]:
        return [
            done
            for dataset in DATASETS
            for done in restore(self.store(dataset), pruned(self.store(dataset)), RUN)
        ]

    def contents(self) -> list[str]:
        return [content(self.store(dataset)) for dataset in DATASETS]


@contextmanager
def copy_of(home: Home, folder: Path, server: str | None) -> Iterator[Home]:
    """Give a copy of a home that may be changed."""
    shutil.copytree(home.folder, folder, dirs_exist_ok=True)
    if server is None:
        yield Home(f"sqlite:///{folder / 'otc.db'}", folder)
        return
    template = str(sa.make_url(home.url).database)
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'"
    administer(server, end)  # a database that is in use cannot be copied
    with database(server, template) as url:
        yield Home(url, folder)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> str | None:
    """The PostgreSQL server, None for SQLite."""
    return request.getfixturevalue("postgres_server") if request.param == "postgres" else None


once = pytest.mark.parametrize("server", ["sqlite"], indirect=True)
"""Of claims on frames that `Recall` has given: what SQL does to rows, others claim on each."""


@pytest.fixture(scope="module")
def whole(
    request: pytest.FixtureRequest, server: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """A home of both datasets with a corrected week and refused lines; nothing is pruned."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(FIXTURES, folder / "source")
    with empty_store(request, "postgres" if server else "sqlite", folder) as url:
        home = Home(url, folder)
        for dataset in DATASETS:
            home.run(dataset=dataset)
        yield home


@pytest.fixture(scope="module")
def kept(
    whole: Home, server: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """The same with every row pruned that may be; nobody may change it."""
    with copy_of(whole, tmp_path_factory.mktemp("kept"), server) as home:
        home.prune()
        yield home


@pytest.fixture
def home(whole: Home, server: str | None, tmp_path: Path) -> Iterator[Home]:
    """A copy of the home without pruned rows."""
    with copy_of(whole, tmp_path / "home", server) as copy:
        yield copy


def stored(home: Home, dataset: Dataset = ATS) -> dict[str, int]:
    """Return how many rows each table has, as SQL counts them."""
    store = home.store(dataset)
    with store.engine.connect() as connection:
        return {
            name: connection.execute(
                sa.select(sa.func.count()).select_from(store.sql_table(name))
            ).scalar_one()
            for name in ("raw", "rejects", *(table.name for table in output_tables()))
        }


def test_what_is_pruned_is_gone_from_the_tables_and_nothing_else_is(whole: Home, kept: Home):
    for dataset in DATASETS:
        before, after = stored(whole, dataset), stored(kept, dataset)
        assert before["raw"]
        assert {name: 0 if name in POLICIES else count for name, count in before.items()} == after


def test_coverage_and_gaps_show_an_archived_week_as_one_that_is_there(whole: Home, kept: Home):
    before, after = (facts.coverage(home.store(), TODAY) for home in (whole, kept))
    pd.testing.assert_frame_equal(before.drop(columns="state"), after.drop(columns="state"))
    there = before["state"].isin(["complete", "corrected"])
    assert there.sum() == len(WEEKS)  # the third slice has too many refused lines
    assert (after["state"] == before["state"].mask(there, "archived")).all()
    with kept.store().read() as reader:
        loaded = reader.loaded_slices()
        statuses = {reader.manifest(week)["status"] for week in SLICES}
    assert statuses == {SliceStatus.ARCHIVED}
    assert {gap.week for gap in gaps(ATS, loaded, TODAY)}.isdisjoint(SLICES)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_as_of_latest_and_history_answer_alike(whole: Home, kept: Home, dataset: Dataset):
    for day in DAYS:
        pd.testing.assert_frame_equal(
            *(as_of(day, dataset=dataset.name, database_url=h.url) for h in (whole, kept))
        )
    answers = [latest(dataset=dataset.name, database_url=home.url) for home in (whole, kept)]
    pd.testing.assert_frame_equal(*answers)
    symbol = answers[0]["symbol"].iloc[0]
    pd.testing.assert_frame_equal(
        *(history(symbol, dataset=dataset.name, database_url=h.url) for h in (whole, kept))
    )


@once
def test_features_are_the_same(whole: Home, kept: Home):
    """They are computed from venue_volume, whose rows the archive alone keeps."""
    for week in WEEKS:
        found = []
        for home in (whole, kept):
            with home.store(ATS).read() as ats, home.store(NON_ATS).read() as non_ats:
                found.append(feature_history(ats, non_ats, week))
        assert len(found[0])
        pd.testing.assert_frame_equal(*(f.drop(columns="created_timestamp") for f in found))


@pytest.mark.parametrize("name", ["raw", "rejects", "venue_volume", "symbol_summary"])
def test_export_and_the_walk_to_the_lines_are_the_same(
    whole: Home, kept: Home, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_ARCHIVE_URL", str(kept.archive))
    tables = [
        [batch.to_pandas() for batch in table_batches(name, database_url=home.url)]
        for home in (whole, kept)
    ]
    assert sum(map(len, tables[0]))
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)
    contents = [
        why("PXDT", CORRECTED.week_ending, database_url=home.url)[0].contents
        for home in (whole, kept)
    ]
    assert contents[0] == contents[1]
    assert contents[0][-1].lines


@once
def test_two_versions_compare_alike(whole: Home, kept: Home):
    found = [compare("concentration", "v1", "v2", database_url=home.url) for home in (whole, kept)]
    pd.testing.assert_frame_equal(found[0].columns, found[1].columns)
    pd.testing.assert_frame_equal(found[0].differences, found[1].differences)


def test_verify_finds_it_equal(kept: Home):
    for dataset in DATASETS:
        found = list(verify(kept.store(dataset), Archive(str(kept.archive), dataset), WEEKS))
        assert [each.findings for each in found] == [[]] * len(WEEKS)
        assert all(each.rows["raw"] and each.rows["venue_volume"] for each in found)


@once
def test_rebuild_finds_it_equal(kept: Home, server: str | None, tmp_path: Path):
    with copy_of(kept, tmp_path / "copy", server) as home:
        store = home.store()
        rebuilt = list(rebuild_all(store, Archive(str(home.archive)), RUN))
        assert all(isinstance(each, Rebuild) and not each.differences for each in rebuilt), rebuilt
        assert len(rebuilt) == len(SLICES)


@once
def test_a_run_over_archived_weeks_changes_nothing_and_leaves_them_archived(
    whole: Home, home: Home
):
    """Its tables are computed from the archive's rows; the next retention run prunes them."""
    home.prune()
    home.run()
    with home.store().read() as reader:
        assert {reader.manifest(week)["status"] for week in SLICES} == {SliceStatus.ARCHIVED}
    assert stored(home)["raw"] == 0
    home.restore()
    assert home.contents() == whole.contents()


def test_restored_rows_are_the_same_and_under_the_lineage_that_they_had(whole: Home, home: Home):
    def lineage(home: Home) -> list[tuple[object, ...]]:
        with home.store().engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text("SELECT * FROM lineage"))]

    before = sorted(lineage(home), key=str)
    removed, restored = home.prune(), home.restore()
    assert [each.rows for each in removed] == [each.rows for each in restored]
    assert sorted(lineage(home), key=str) == before
    assert home.contents() == whole.contents()
    with home.store().read() as reader:
        assert {reader.manifest(week)["status"] for week in SLICES} == {SliceStatus.LOADED}
        prints = {week: reader.manifest(week)["fingerprints"] for week in SLICES}
    with whole.store().read() as reader:
        assert prints == {week: reader.manifest(week)["fingerprints"] for week in SLICES}


@pytest.fixture(scope="module")
def uncorrected(
    request: pytest.FixtureRequest, server: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """Two weeks, before the first of them is corrected."""
    folder = tmp_path_factory.mktemp("uncorrected")
    shutil.copytree(FIXTURES, folder / "source")
    (folder / "source" / CORRECTION).unlink()
    with empty_store(request, "postgres" if server else "sqlite", folder) as url:
        home = Home(url, folder)
        home.run(WEEKS)
        yield home


@pytest.mark.parametrize(
    ("server", "policy"),
    [
        ("sqlite", RevisionPolicy.VERSIONED),
        ("sqlite", RevisionPolicy.OVERWRITE),
        ("sqlite", RevisionPolicy.MERGE),
        ("postgres", RevisionPolicy.MERGE),
    ],
    indirect=["server"],
)
def test_a_correction_of_an_archived_week_ripples_as_if_it_were_there(
    uncorrected: Home, server: str | None, tmp_path: Path, policy: RevisionPolicy
):
    """Its window and those of the weeks after it are read back from the archive.

    On PostgreSQL with the policy of which most rows are read back: it is the same code that asks.
    """
    with (
        copy_of(uncorrected, tmp_path / "there", server) as there,
        copy_of(uncorrected, tmp_path / "archived", server) as archived,
    ):
        archived.prune()
        for home in (there, archived):
            shutil.copy(FIXTURES / CORRECTION, home.source)
            home.run([CORRECTED], treatment=Treatment(policy))
        answers = [
            [as_of(day, database_url=home.url) for day in DAYS] for home in (there, archived)
        ]
        for one, other in zip(*answers, strict=True):
            pd.testing.assert_frame_equal(one, other)
        found = verify(archived.store(), Archive(str(archived.archive)), WEEKS)
        assert [each.findings for each in found] == [[], []]
        archived.prune()  # of a merged revision, rows of two files
        assert all(isinstance(each, SliceRows) for each in archived.restore())
        assert content(archived.store()) == content(there.store())


def test_nothing_is_pruned_that_the_archive_does_not_give(home: Home):
    """A changed byte, a lacking file and a changed row each keep the rows of their slice."""
    store = home.store()
    keys = {}
    with store.read() as reader:
        for week in SLICES:
            keys[week] = home.archive / reader.revision(week, 1)["archive_key"]
    keys[CORRECTED].write_bytes(keys[CORRECTED].read_bytes().replace(b"PXDT", b"PXDU", 1))
    keys[NEWEST].unlink()
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE venue_volume_rows SET trade_count = trade_count + 1 "
            f"WHERE slice = {REJECTING.number}"
        )
    before = stored(home)
    done = list(prune(store, expired(store, FAR), RUN))
    refused = [each for each in done if isinstance(each, RetentionError)]
    assert len(refused) == 3
    changed, lacking, other = sorted(map(str, refused))
    assert "the bytes are not those that were archived" in changed
    assert "No such file" in lacking
    assert "materialize raw of this week" in lacking
    assert "venue_volume, calc_version v1: the store has other rows than were written" in other
    assert "otc verify --tier 'OTC' --week 2025-06-06" in other
    assert stored(home) == before
    assert pruned(store) == []


@once
def test_a_damaged_archive_is_named_for_rows_that_only_it_has(home: Home):
    home.prune(CORRECTED)
    store = home.store()
    with store.read() as reader:
        key = reader.revision(CORRECTED, 2)["archive_key"]
    path = home.archive / key
    path.write_bytes(path.read_bytes() + b"\n")
    archive = Archive(str(home.archive))
    found = {each.week: each.findings for each in verify(home.store(), archive, WEEKS)}
    assert [(f.table, f.key, f.column) for f in found[CORRECTED]] == [("archive", key, "sha256")]
    assert [f.cause[:12] for f in found[NEWEST]] == ["not verified"]
    (refused,) = restore(home.store(), pruned(home.store()), RUN)
    assert isinstance(refused, RetentionError)
    assert key in str(refused)
    assert stored(home)["raw"] < stored_rows(home)
    outcomes = pipeline.run(home.store(), home.folder, home.archive, [NEWEST])
    left = [each for each in outcomes if each.table == "rolling_6w"]
    assert [(each.written, "is kept in the archive alone" in (each.reason or "")) for each in left]


def stored_rows(home: Home) -> int:
    with home.store().read() as reader:
        return sum(reader.count("raw", week) for week in SLICES)


@once
def test_the_policies_say_what_expires(home: Home, monkeypatch: pytest.MonkeyPatch):
    store = home.store()

    def tables(day: date) -> dict[str, list[str]]:
        return {str(each.week.week_ending): sorted(each.rows) for each in expired(store, day)}

    assert tables(date(2026, 1, 15)) == {}
    # 104 weeks after Friday 2025-05-23 is 2027-05-21; the week has expired on the day after.
    assert tables(date(2027, 5, 21)) == {}
    assert tables(date(2027, 5, 22)) == {"2025-05-23": ["raw"]}
    monkeypatch.setenv("OTC_RETAIN_VENUE_VOLUME_WEEKS", "52")
    assert tables(date(2027, 5, 22))["2025-05-23"] == ["raw", "venue_volume"]
    monkeypatch.setenv("OTC_RETAIN_RAW_WEEKS", "forever")
    assert tables(date(2027, 5, 22))["2025-05-23"] == ["venue_volume"]
    for wrong in ("0", "-1", "2 years", "1.5"):
        monkeypatch.setenv("OTC_RETAIN_RAW_WEEKS", wrong)
        with pytest.raises(ValueError, match=f"OTC_RETAIN_RAW_WEEKS must be .* '{wrong}'"):
            expired(store, FAR)


def test_room_is_given_back_or_it_is_said_how(home: Home, server: str | None):
    store = home.store()
    assert not list(give_back(store))
    home.prune()
    lines = list(give_back(store))
    if server is None:
        (line,) = lines
        assert "MB of sqlite:///" in line
        assert "VACUUM" in line
        return
    assert [line.split()[2] for line in lines] == [f"{name}_rows_y2025" for name in POLICIES]
    with store.engine.connect() as connection:
        size = connection.exec_driver_sql("SELECT pg_relation_size('raw_rows_y2025')").scalar_one()
    assert size == 0
    assert all(isinstance(each, SliceRows) for each in home.restore())


def test_it_is_told_once_with_its_cause(home: Home):
    done = home.prune(CORRECTED)
    home.prune(CORRECTED)
    told = [event for event in stream(home.store()) if event.event_type == EventType.ROWS_PRUNED]
    assert [event.payload for event in told] == [{"rows": dict(each.rows)} for each in done]
    assert all(event.causation_id for event in told)


@once
def test_the_stream_done_again_prunes_and_restores_alike(home: Home, tmp_path: Path):
    home.prune(REJECTING)
    home.restore()
    home.prune(CORRECTED)
    archive, told = Archive(str(home.archive)), stream(home.store())
    again = Warehouse(f"sqlite:///{tmp_path / 'again.db'}", ATS, Recall(str(home.archive)))
    replay(again, archive, told, RUN)
    mine = [event for event in told if event.aggregate_id.startswith("ats ")]
    assert len([event for event in mine if event.event_type.startswith("ROWS_")]) == 3
    assert content(again) == content(home.store())
    facts_again = [event for event in stream(again) if event.aggregate_id.startswith("ats ")]
    assert differing_facts(mine, facts_again) == []


@once
def test_rows_that_no_archive_is_known_for_are_named(kept: Home):
    """A store that knows no archive says so, rather than give nothing."""
    with (
        Store(kept.url).read() as reader,
        pytest.raises(RuntimeError, match="the archive alone keeps the rows of raw"),
    ):
        reader.frame("raw", CORRECTED, fresh=True)


def test_an_older_schema_is_refused_while_rows_are_pruned(home: Home):
    """It could not tell them from rows that are lost."""
    home.prune(CORRECTED)
    with pytest.raises(ValueError, match="otc restore"):
        downgrade(home.store().engine, "0006")
    home.restore()
    downgrade(home.store().engine, "0006")
