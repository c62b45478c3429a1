"""A store with the invented history, once on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otc_assets_tests.conftest import empty_store, made_once
from otc_assets_tests.research.registry import history


@pytest.fixture(scope="session")
def venue_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history in a SQLite store; nobody may change it."""
    return made_once(
        tmp_path_factory,
        "venues",
        lambda folder: history.load(f"sqlite:///{folder / 'otc.db'}", folder),
    )


@pytest.fixture(scope="module")
def sqlite_history(venue_home: Path) -> str:
    return f"sqlite:///{venue_home / 'otc.db'}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def history_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same on each database, for what is claimed of all that is read from one."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_history")
        return
    folder = tmp_path_factory.mktemp("venues")
    with empty_store(request, "postgres", folder) as url:
        history.load(url, folder)
        yield url
