"""A home is one store's: no other one writes there, and an old `.otc` is brought in."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from upath import UPath

from otc_assets import settings
from otc_assets.assets.platform import Platform
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.operations import homes, ownership
from otc_assets.operations.homes import bring_up
from otc_assets.operations.ownership import (
    MARKER,
    OwnershipError,
    claim_archive,
    claim_features,
    owner_of,
)
from otc_assets.research import as_of, history
from otc_assets.research.export import Stores, export
from otc_assets.research.page import write_page
from otc_assets.warehouse.migrate import downgrade
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES

WEEKS = pipeline.weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23")
TODAY = pipeline.TODAY
Claim = Callable[[Warehouse, UPath], None]


def fill(home: Path, source: Path = FIXTURES) -> Warehouse:
    """Fill a home as a run does: store, archive, features and page."""
    ats, non_ats = (Warehouse(f"sqlite:///{home / 'otc.db'}", dataset) for dataset in DATASETS)
    pipeline.run(ats, source, home / "archive", WEEKS)
    for week in WEEKS:
        export(Stores(ats, non_ats), UPath(home / "features"), week, pipeline.RUN)
    write_page(str(home / "research.html"), [ats, non_ats], TODAY)
    return ats


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, SQLite's own helpers aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a version without homes has left it, of the fixtures alone."""
    folder = tmp_path_factory.mktemp("filled")
    store = fill(folder)
    downgrade(store.engine, "0003")
    with store.engine.connect() as connection:  # so that the file alone may be copied
        connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.engine.dispose()
    page = folder / "research.html"
    page.write_text("\n".join(x for x in page.read_text().split("\n") if "otc-store" not in x))
    (folder / "dagster").mkdir()
    (folder / "dagster" / "runs").write_text("of Dagster")
    return folder


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout whose default home is used, with nothing in it."""
    for name in settings.DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    for module in (settings, homes):
        monkeypatch.setattr(module, "project", lambda: tmp_path)
    (tmp_path / "fixtures").symlink_to(FIXTURES)
    return tmp_path


def answers(url: str) -> tuple[str, str]:
    """What researchers get."""
    return as_of("2025-07-20", database_url=url).to_csv(), history(
        "XGON", database_url=url
    ).to_csv()


@pytest.fixture(scope="module")
def answers_before(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The answers that the old store gives, read from its tables without this version's code."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(filled / "otc.db", folder)
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    store.engine.dispose()
    return answers(store.url)


def test_every_part_follows_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    found = {name: settings.setting(name) for name, d in settings.DEFAULTS.items() if "{home}" in d}
    assert len(found) == 6
    assert all(str(tmp_path) in place for place in found.values())
    monkeypatch.setenv("OTC_ARCHIVE_URL", "s3://bucket/archive")
    assert settings.setting("OTC_ARCHIVE_URL") == "s3://bucket/archive"


def test_the_default_home_is_the_projects_wherever_python_was_started(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert settings.home() == str(checkout / ".otc/home")


def test_a_home_in_a_bucket_needs_a_server_and_a_folder_for_dagster(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("OTC_HOME", "s3://bucket/otc/")
    assert settings.setting("OTC_FEATURES_URL") == "s3://bucket/otc/features"
    for name in ("OTC_DATABASE_URL", "OTC_DAGSTER_DIR"):
        with pytest.raises(ValueError, match=f"OTC_HOME is s3://bucket/otc.*set {name}"):
            settings.setting(name)


class TestAnotherStore:
    """What belongs to one store is not written to by another."""

    @pytest.fixture
    def mine(self, tmp_path: Path) -> Warehouse:
        return Warehouse(f"sqlite:///{tmp_path / 'mine' / 'otc.db'}")

    @pytest.fixture
    def theirs(self, tmp_path: Path, filled: Path) -> Path:
        home = tmp_path / "theirs"
        shutil.copytree(filled, home)
        store = Warehouse(f"sqlite:///{home / 'otc.db'}")
        claim_archive(store, UPath(home / "archive"))
        claim_features(store, UPath(home / "features"))
        write_page(str(home / "research.html"), [store, Warehouse(store.url, NON_ATS)], TODAY)
        store.engine.dispose()
        return home

    def test_is_refused_with_both_and_the_setting(self, mine: Warehouse, theirs: Path):
        owner, before = owner_of(UPath(theirs / "archive")), contents(theirs)
        assert owner == owner_of(UPath(theirs / "features"))
        for claim, part, name in (
            (claim_archive, "archive", "OTC_ARCHIVE_URL"),
            (claim_features, "features", "OTC_FEATURES_URL"),
        ):
            with pytest.raises(OwnershipError, match=rf"{owner}.*{mine.store_id}.*set {name}"):
                claim(mine, UPath(theirs / part))
        with pytest.raises(OwnershipError, match=rf"{owner}.*{mine.store_id}.*set OTC_PAGE_URL"):
            write_page(str(theirs / "research.html"), [mine, mine], TODAY)
        assert contents(theirs) == before

    def test_is_refused_in_a_run_before_anything_is_written(
        self, mine: Warehouse, theirs: Path, tmp_path: Path
    ):
        platform = Platform(
            database_url=mine.url,
            source_url=str(FIXTURES),
            archive_url=str(theirs / "archive"),
            features_url=str(theirs / "features"),
        )
        before = contents(theirs)
        with pytest.raises(OwnershipError, match="set OTC_ARCHIVE_URL"):
            platform.archive(ATS)
        with pytest.raises(OwnershipError, match="set OTC_FEATURES_URL"):
            platform.own_features()
        assert contents(theirs) == before

    def test_may_be_read_as_a_source(self, mine: Warehouse, theirs: Path, tmp_path: Path):
        before = contents(theirs)
        pipeline.run(mine, theirs / "archive", tmp_path / "mine" / "archive", WEEKS)
        assert contents(theirs) == before
        assert answers(mine.url) == answers(f"sqlite:///{theirs / 'otc.db'}")

    def test_files_of_nobody_are_not_taken(self, mine: Warehouse, filled: Path, tmp_path: Path):
        shutil.copytree(filled, tmp_path / "old")
        for claim, part in ((claim_archive, "archive"), (claim_features, "features")):
            root = UPath(tmp_path / "old" / part)
            with pytest.raises(OwnershipError, match="nothing tells that they are of this store"):
                claim(mine, root)
            (root / MARKER).write_text(mine.store_id)  # as the message says
            claim(mine, root)

    @pytest.mark.parametrize("claim", [claim_archive, claim_features])
    def test_what_another_process_of_the_same_store_takes_first_is_taken(
        self, mine: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: Claim
    ):
        root, look = UPath(tmp_path / "new"), ownership._has_files

        def taken_and_filled_before_the_look(root: UPath) -> bool:
            monkeypatch.setattr(ownership, "_has_files", look)
            claim(mine, root)
            (root / "a file").write_text("of the other process")
            return look(root)

        monkeypatch.setattr(ownership, "_has_files", taken_and_filled_before_the_look)
        claim(mine, root)
        assert owner_of(root) == mine.store_id

    @pytest.mark.parametrize("left", [MARKER, ".17.part"])
    def test_what_a_kill_has_left_of_a_marker_is_nobodys(
        self, mine: Warehouse, tmp_path: Path, left: str
    ):
        (root := UPath(tmp_path / "new")).mkdir()
        (root / left).write_text("")
        claim_archive(mine, root)
        assert owner_of(root) == mine.store_id

    def test_an_archive_that_lacks_all_that_was_read_is_not_taken(
        self, filled: Path, tmp_path: Path
    ):
        shutil.copy(filled / "otc.db", tmp_path)
        store = Warehouse(f"sqlite:///{tmp_path / 'otc.db'}")
        with pytest.raises(OwnershipError, match="none of the files that this store has read"):
            claim_archive(store, UPath(tmp_path / "archive"))
        assert not (tmp_path / "archive").exists()

    def test_a_page_is_not_written_over_a_file_of_someones(self, mine: Warehouse, tmp_path: Path):
        page = tmp_path / "index.html"
        page.write_text("<title>Mine</title>")
        with pytest.raises(OwnershipError, match="is no page of this project"):
            write_page(str(page), [mine, mine], TODAY)
        assert page.read_text() == "<title>Mine</title>"

    def test_a_bucket_has_its_owner_too(self, mine: Warehouse, filled: Path, tmp_path: Path):
        root = UPath("memory://owned/archive")
        claim_archive(mine, root)
        assert owner_of(root) == mine.store_id
        shutil.copy(filled / "otc.db", tmp_path)
        other = Warehouse(f"sqlite:///{tmp_path / 'otc.db'}")
        with pytest.raises(OwnershipError, match=mine.store_id):
            claim_archive(other, root)


class TestAnOldFolder:
    """`.otc` of a version that had no homes."""

    def old(self, filled: Path, checkout: Path) -> Path:
        shutil.copytree(filled, checkout / ".otc")
        return checkout / ".otc"

    def test_is_not_passed_by_in_silence(self, filled: Path, checkout: Path):
        folder = self.old(filled, checkout)
        before = contents(folder)
        with pytest.raises(ValueError, match=r"otc.db, archive, .*run `otc migrate`"):
            settings.setting("OTC_DATABASE_URL")
        assert contents(folder) == before

    def test_of_the_demo_becomes_the_demos_home(
        self, filled: Path, checkout: Path, answers_before: tuple[str, str]
    ):
        files = contents(self.old(filled, checkout))
        (line,) = bring_up()
        assert str(checkout / ".otc/demo") in line
        assert contents(checkout / ".otc/demo") == files
        assert [path.name for path in (checkout / ".otc").iterdir()] == ["demo"]

    def test_of_a_user_becomes_the_home_and_answers_as_before(
        self,
        filled: Path,
        checkout: Path,
        answers_before: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ):
        (checkout / "fixtures").unlink()  # what was read is none of the demo's then
        files = contents(self.old(filled, checkout))
        (line,) = bring_up()
        home = checkout / ".otc/home"
        assert str(home) in line
        left = contents(home)
        assert {name: left[name] for name in files if name != "otc.db"} == {
            name: content for name, content in files.items() if name != "otc.db"
        }
        assert answers(settings.setting("OTC_DATABASE_URL")) == answers_before
        owner = Store(settings.setting("OTC_DATABASE_URL")).store_id
        assert owner_of(UPath(home / "archive")) == owner_of(UPath(home / "features")) == owner
        assert list(bring_up()) == []

    def test_is_moved_to_the_end_by_the_next_command_after_a_kill(
        self, filled: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ):
        files = contents(self.old(filled, checkout))
        rename, done = Path.rename, []

        def until_the_third(path: Path, target: Path) -> Path:
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(path)
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", until_the_third)
            with pytest.raises(KeyboardInterrupt):
                list(bring_up())
        with pytest.raises(ValueError, match="run `otc migrate`"):
            settings.home()
        list(bring_up())
        assert contents(checkout / ".otc/demo") == files

    def test_does_not_overwrite_a_demo_that_is_there(self, filled: Path, checkout: Path):
        files = contents(self.old(filled, checkout))
        (checkout / ".otc/demo").mkdir()
        (checkout / ".otc/demo/mine").touch()
        list(bring_up())
        assert contents(checkout / ".otc/demo-2") == files

    def test_gives_a_store_elsewhere_the_bytes_that_it_has_read(
        self, filled: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """As the README once told to do it: a store of one's own, and the archive in `.otc`."""
        folder = self.old(filled, checkout)
        (checkout / "data").mkdir()
        shutil.copy(filled / "otc.db", checkout / "data")
        monkeypatch.setenv("OTC_DATABASE_URL", f"sqlite:///{checkout / 'data' / 'otc.db'}")
        archived = contents(folder / "archive")
        moved, brought = bring_up()
        assert "demo" in moved
        assert f"{len(archived)} archived files" in brought
        assert contents(checkout / ".otc/demo/archive") == archived
        kept = contents(checkout / ".otc/home/archive")
        assert {k: v for k, v in kept.items() if k != MARKER} == archived


def test_nothing_is_created_where_there_is_nothing(checkout: Path):
    assert list(bring_up()) == []
    assert not (checkout / ".otc").exists()


def test_dagsters_runs_are_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    @dg.asset
    def nothing() -> None:
        """Give a run something to tell of."""

    for home in ("one", "other"):
        monkeypatch.setenv("OTC_HOME", str(tmp_path / home))
        with dg.DagsterInstance.from_config(str(settings.PACKAGE.parent)) as instance:
            assert instance.get_runs() == []
            dg.materialize([nothing], instance=instance)
            assert len(instance.get_runs()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other"}
