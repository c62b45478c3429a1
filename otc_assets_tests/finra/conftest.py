"""A server with a week of each tier, clients for it, and what the log says of its faults."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources import finra_client
from otc_assets.sources.archive import Archive
from otc_assets.sources.finra import FinraIndex, Means
from otc_assets.sources.finra_client import Credentials, FinraClient
from otc_assets.sources.history import History
from otc_assets.sources.listings import Listings
from otc_assets.sources.outage import Outage
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import FinraServer
from otc_assets_tests.finra.world import Part, World

MONDAY = date(2025, 11, 10)
WEEK = WeekKey(Tier.NMS_TIER_1, date(2025, 11, 14))
PART = Part(MONDAY, "T1")
TODAY = date(2026, 1, 15)
TIERS = {Tier.NMS_TIER_1: "T1", Tier.NMS_TIER_2: "T2", Tier.OTC: "OTCE"}
ID, SECRET = "an-id-of-mine", "a:secret of mine"

LOGGERS = tuple(f"otc_assets.sources.{name}" for name in ("finra_client", "finra", "listings"))
SIGNS = {
    Fault.TOO_MANY_SECONDS: r"429 Too Many Requests: The message of a 429 .*Retry-After: [\d.]+",
    Fault.TOO_MANY_DATE: r"429 Too Many Requests: The message of a 429 .*Retry-After: \w+, .* GMT",
    Fault.SERVER_ERROR: "500 Internal Server Error: The message of a 500",
    Fault.BAD_GATEWAY: "502 Bad Gateway",
    Fault.UNAVAILABLE: "503 Service Unavailable: The message of a 503",
    Fault.GATEWAY_TIMEOUT: "504 Gateway Timeout: The message of a 504",
    Fault.HANGS: "ReadTimeout: timed out",
    Fault.RESET: "ReadError: .*Connection reset by peer",
    Fault.CUT_BODY: "RemoteProtocolError: peer closed connection without sending complete",
    Fault.CUT_JSON: "truncated or broken JSON",
    Fault.HTML: "content type text/html instead of JSON",
    Fault.WRONG_TYPE: "content type text/plain instead of JSON",
    Fault.EXPIRED: "401 Unauthorized: The message of a 401",
    Fault.FORBIDDEN: "403 Forbidden: The message of a 403",
    Fault.BAD_REQUEST: "400 Bad Request: The message of a 400",
    Fault.SHORT_PAGE: r"a short page, \d+ rows; paging goes on",
    Fault.EMPTY_PAGE: "an empty answer, where there are rows",
    Fault.OTHER_TOTAL: r"the total changed from \d+ to \d+ rows while paging: starting again",
    Fault.EMPTY_SLICE: "an empty answer, though it is in the list of partitions",
}
"""How each fault is named."""


class NoLimit:
    """In place of the limiter, where many requests are no matter of time."""

    def wait(self) -> None:
        """Let everyone pass."""


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients ask as fast as they can."""
    monkeypatch.setattr(finra_client, "RateLimit", lambda requests_per_second: NoLimit())


@pytest.fixture
def own_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the limiter's file apart from that of other tests and programs."""
    monkeypatch.setenv("OTC_RATE_LIMIT_URL", str(tmp_path / "bucket.sqlite"))
    return tmp_path


@pytest.fixture
def server() -> Iterator[FinraServer]:
    """One week of Tier 1, in pages of 50 rows."""
    world = World(seed=7)
    world.publish(MONDAY, "T1")
    with FinraServer(world, max_limit=50, credentials=(ID, SECRET)) as running:
        running.retry_after_seconds = 0.2
        yield running


@pytest.fixture
def client(request: pytest.FixtureRequest, server: FinraServer, unlimited: None) -> FinraClient:
    """A client of the server, which asks anonymously."""
    is_about_silence = Fault.HANGS.value in request.node.name
    return quick(server, timeout_seconds=0.3 if is_about_silence else 20)


class Client(FinraClient):
    """A client that knows its server."""

    server: FinraServer


class Known(Listings):
    """What a server lists, without a request: for tests of what comes after it."""

    def of(self, client: FinraClient, dataset: Dataset, set_name: str) -> frozenset[AnySlice]:
        """Look into the server's world; of its other sets, ask for the list."""
        if not dataset.is_weekly:
            return super().of(client, dataset, set_name)
        assert isinstance(client, Client)
        names = {identifier: tier for tier, identifier in TIERS.items()}
        return frozenset(
            WeekKey(names[part.tier], part.monday + timedelta(days=4))
            for part in client.server.world.parts_of(set_name)
        )


def quick(server: FinraServer, credentials: Credentials | None = None, **changes: Any) -> Client:
    """A client of a server, with short waits."""
    settings = {"timeout_seconds": 20, "first_wait_seconds": 0.001, "attempts": 4} | changes
    client = Client(server.url, credentials, **settings)
    client.server = server
    return client


def means_of(client: FinraClient, **changes: Any) -> Means:
    """What a run asks by, with archives of its own."""
    folder = mkdtemp()
    history = History(lambda dataset: Archive(folder, dataset))
    return Means(client, Outage("FINRA"), **{"history": history} | changes)


def index_of(
    client: FinraClient,
    dataset: Dataset = ATS,
    today: date = TODAY,
    listings: type[Listings] = Known,
) -> FinraIndex:
    """What the server has of a dataset, for a run of its own."""
    return FinraIndex(means_of(client, listings=listings()), today, dataset)


def told(caplog: pytest.LogCaptureFixture, *also: object) -> list[str]:
    """What the sources logged, and the errors that ended it."""
    logged = [r.getMessage() for r in caplog.records if r.name in LOGGERS]
    return [*logged, *map(str, also)]


def named(lines: Iterable[str]) -> Counter[Fault]:
    """How often each fault is named; each line must name exactly one."""
    found = [[fault for fault, sign in SIGNS.items() if re.search(sign, line)] for line in lines]
    assert all(len(faults) == 1 for faults in found), (found, list(lines))
    return Counter(fault for faults in found for fault in faults)


def most_in_a_second(server: FinraServer) -> int:
    """The most requests that came within any one second."""
    times = sorted(request.at for request in server.requests)
    return max(sum(start <= at < start + 1 for at in times) for start in times)
