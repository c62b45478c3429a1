"""Stores behind the explorer, and a browser before it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import made_once
from otc_assets_tests.explorer.browser import CHROMIUM, Browser, browsing
from otc_assets_tests.explorer.tables import Page
from otc_assets_tests.serving.conftest import filled_server, judged_home, serving, store_url

__all__ = ["filled_server", "judged_home", "store_url"]  # fixtures of the server's tests

ODD = ("<script>alert(1)</script>", "a/b", "brk.b", "BRK.B", "ABR$D", "A&B?c=d#e", "%2F")
"""Symbols that a URL or a page could take for something else."""


@pytest.fixture(scope="module")
def site(judged_home: Path, store_url: str) -> Iterator[httpx.Client]:
    """A client of the explorer over two weeks of two tiers, one corrected; on each database.

    What tests compare it with is read from SQLite, which has the same weeks.
    """
    with serving(OTC_HOME=str(judged_home), OTC_DATABASE_URL=store_url) as client:
        yield client


@pytest.fixture(scope="module")
def page(site: httpx.Client) -> Callable[..., Page]:
    """What a path shows."""

    def read(path: str, status: int = 200) -> Page:
        answer = site.get(path)
        assert answer.status_code == status, answer.text[:500]
        return Page(answer.text)

    return read


@pytest.fixture(scope="session")
def odd_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one week of odd symbols; nobody may change it."""

    def make(folder: Path) -> None:
        source = folder / "source"
        source.mkdir()
        lines = [f"2025-05-23|NMS Tier 1|{symbol}|<b>V|100|{n}" for n, symbol in enumerate(ODD, 1)]
        head = "WeekEnding|Tier|Symbol|MPID|TotalShares|TotalTrades"
        (source / "week_2025-05-23.psv").write_text("\n".join([head, *lines]))
        warehouse = Warehouse(f"sqlite:///{folder / 'otc.db'}")
        slices = pipeline.weeks([Tier.NMS_TIER_1], "2025-05-23", "2025-05-23")
        pipeline.run(warehouse, source, folder / "archive", slices)
        warehouse.engine.dispose()

    return made_once(tmp_path_factory, "odd", make)


@pytest.fixture(scope="module")
def odd_site(odd_home: Path) -> Iterator[httpx.Client]:
    """The explorer over odd symbols, of a store without a week of dealers."""
    with serving(OTC_HOME=str(odd_home)) as client:
        yield client


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, which the tests of a module share."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found
