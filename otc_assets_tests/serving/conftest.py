"""The server on a free port, in a thread of this process, over a store that is filled."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.export import file_of
from otc_assets.research.feature_columns import LAYOUT
from otc_assets.research.feature_files import write_file
from otc_assets.research.features import feature_history
from otc_assets.serving.app import create_app
from otc_assets.serving.server import options
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES, database, made_once

WEEKS = pipeline.weeks([Tier.NMS_TIER_1, Tier.OTC], "2025-05-16", "2025-05-23")


@contextmanager
def serving(**settings: str) -> Iterator[httpx.Client]:
    """Serve with some settings, and give a client of the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_DATABASE_URL", "")  # of a server that another fixture has started
        for name, value in settings.items():
            patch.setenv(name, value)
        config = uvicorn.Config(create_app(), port=0, log_config=None, **options())
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def judged_home(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`filled_home` with feature files; nobody may change it."""

    def make(folder: Path) -> None:
        shutil.copytree(filled_home, folder, dirs_exist_ok=True)
        url = f"sqlite:///{folder / 'otc.db'}"
        ats, non_ats = (Warehouse(url, dataset) for dataset in DATASETS)
        with ats.read() as reader, non_ats.read() as dealers:
            for week in WEEKS[:2]:
                rows = feature_history(reader, dealers, week)
                path = file_of(_features(folder), week)
                path.parent.mkdir(parents=True)
                write_file(path, rows, LAYOUT)
        for warehouse in (ats, non_ats):
            warehouse.engine.dispose()

    return made_once(tmp_path_factory, "judged", make)


def _features(home: Path) -> Any:
    from upath import UPath

    return UPath(home / "features")


@pytest.fixture(scope="session")
def filled_server(request: pytest.FixtureRequest, judged_home: Path) -> Iterator[str]:
    """The URL of a PostgreSQL database with the same slices; nobody may change it."""
    server, template = map(request.getfixturevalue, ("postgres_server", "migrated_database"))
    with database(server, template) as url:
        for dataset in DATASETS:
            warehouse = Warehouse(url, dataset)
            pipeline.run(warehouse, FIXTURES, judged_home / "archive", WEEKS)
            warehouse.engine.dispose()
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, judged_home: Path) -> str:
    """The URL of the filled store, once on each database."""
    if request.param == "postgres":
        return str(request.getfixturevalue("filled_server"))
    return f"sqlite:///{judged_home / 'otc.db'}"


@pytest.fixture(scope="module")
def api(store_url: str, judged_home: Path) -> Iterator[httpx.Client]:
    """A client of a server, once on each database."""
    with serving(OTC_HOME=str(judged_home), OTC_DATABASE_URL=store_url) as client:
        yield client


@pytest.fixture(scope="module")
def sqlite_api(judged_home: Path) -> Iterator[httpx.Client]:
    """The same on SQLite, where the database makes no difference."""
    with serving(OTC_HOME=str(judged_home)) as client:
        yield client


@pytest.fixture
def own_home(judged_home: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    home = tmp_path / "own"
    shutil.copytree(judged_home, home)
    return home


def slice_of(tier: str, week: str) -> WeekKey:
    """A slice by its names."""
    return WeekKey.from_string(f"{tier}:{week}")
