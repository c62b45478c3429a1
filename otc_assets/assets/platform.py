"""The one resource: where the rows, the source files, their archive, features and page are."""

from functools import cache
from typing import Any

import dagster as dg
from pydantic import PrivateAttr
from upath import UPath

from otc_assets.assets.traces import close_run_span, open_run_span
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.offers import Offers
from otc_assets.operations.follow import Reach
from otc_assets.operations.ownership import claim_archive, claim_features
from otc_assets.operations.recall import Recall
from otc_assets.settings import number_setting, setting
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.sources.finra import FinraSource, Means
from otc_assets.sources.finra_client import (
    Credentials,
    FinraClient,
    finra_address,
    finra_credentials,
)
from otc_assets.sources.history import History
from otc_assets.sources.listings import Listings
from otc_assets.sources.outage import Outage
from otc_assets.sources.source import Index, Source
from otc_assets.sources.volume import Volume, bytes_per_month
from otc_assets.tracing import NOTHING, Span
from otc_assets.warehouse.listings import remember_listing
from otc_assets.warehouse.requests import RequestLog
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


@cache
def _warehouse(url: str, dataset: Dataset, archive_url: str) -> Warehouse:
    # One engine in a process, however many steps use it.
    return Warehouse(url, dataset, Recall(archive_url))


@cache
def _files(url: str) -> FileSource:
    return FileSource(url)  # remembers which files it has looked into


@cache
def _request_log(warehouse: Warehouse) -> RequestLog:
    return RequestLog(warehouse)


@cache
def _client(
    url: str,
    credentials: Credentials | None,
    requests_per_second: float,
    requests: RequestLog,
    *,
    is_poll: bool,
) -> FinraClient:
    patience: dict[str, Any] = {"attempts": 1, "timeout_seconds": 20} if is_poll else {}
    # Remembers its token.
    return FinraClient(
        url,
        credentials,
        requests_per_second=requests_per_second,
        observe=requests.add,
        **patience,
    )


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where all is kept; what is empty here comes from the environment at run time."""

    database_url: str = ""
    """Default: OTC_DATABASE_URL."""
    source: str = ""
    """files or finra. Default: OTC_SOURCE."""
    source_url: str = ""
    """Default: OTC_SOURCE_URL."""
    archive_url: str = ""
    """Default: OTC_ARCHIVE_URL."""
    features_url: str = ""
    """Default: OTC_FEATURES_URL."""
    page_url: str = ""
    """Where the page for researchers is written. Default: OTC_PAGE_URL."""
    _outage: Outage = PrivateAttr(default_factory=lambda: Outage("FINRA"))
    _listings: Listings | None = PrivateAttr(default=None)
    _span: Span = PrivateAttr(default=NOTHING)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Begin a run, or a sensor's tick: what an earlier one knew of FINRA is forgotten."""
        self._outage, self._listings = Outage("FINRA"), None
        self._span = open_run_span(context, run_ids)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End a run, or a tick: its requests are counted, and its spans sent if it is traced."""
        self.store_counts()
        close_run_span(self._span, context)

    def warehouse(self, dataset: Dataset) -> Warehouse:
        """Return the tables of a dataset, migrated."""
        url = self.database_url or setting("OTC_DATABASE_URL")
        return _warehouse(url, dataset, self.archive_url or setting("OTC_ARCHIVE_URL"))

    def archive(self, dataset: Dataset) -> Archive:
        """Return the archive of a dataset's bytes.

        Raises:
            OwnershipError: it is another store's.

        """
        archive = Archive(self.archive_url or setting("OTC_ARCHIVE_URL"), dataset)
        claim_archive(self.warehouse(dataset), archive.root)
        return archive

    def features(self) -> UPath:
        """Return the folder of the feature files, to read."""
        return UPath(self.features_url or setting("OTC_FEATURES_URL"))

    def own_features(self) -> UPath:
        """Return the same to write to.

        Raises:
            OwnershipError: it is another store's.

        """
        claim_features(self.warehouse(ATS), root := self.features())
        return root

    def source_index(self, dataset: Dataset) -> Index:
        """Return what the source has of a dataset today."""
        return self._source().index(today(), dataset)

    def poll(self, dataset: Dataset) -> Index:
        """Return the same for a sensor, which has little time, and whose next tick comes soon."""
        return self._source(is_poll=True).index(today(), dataset)

    def offers(self, dataset: Dataset, *, is_poll: bool = False) -> Offers:
        """Ask FINRA what it lists of a dataset, and remember it in the store.

        Raises:
            SourceError: it cannot be asked.
            ValueError: the source is not FINRA.

        """
        means = self._means(is_poll=is_poll)
        return means.listings.offers(means.client, dataset)

    def store_counts(self) -> None:
        """Store what was counted of FINRA's requests, as the end of a run does."""
        if self.asks_finra:
            self._requests().flush()

    @property
    def asks_finra(self) -> bool:
        """Whether the source is FINRA's Query API."""
        return self._kind() == "finra"

    def _source(self, *, is_poll: bool = False) -> Source:
        kind = self._kind()
        if kind == "files":
            return _files(self.source_url or setting("OTC_SOURCE_URL"))
        if kind == "finra":
            return FinraSource(self._means(is_poll=is_poll))
        raise ValueError(f"OTC_SOURCE must be files or finra, and is {kind!r}")

    def _means(self, *, is_poll: bool) -> Means:
        url, requests = self.source_url or finra_address(), self._requests()
        rate = number_setting("OTC_REQUESTS_PER_SECOND")
        if self._listings is None:
            engine = self.warehouse(ATS).engine
            self._listings = Listings(lambda name, weeks: remember_listing(engine, name, weeks))
        return Means(
            _client(url, finra_credentials(), rate, requests, is_poll=is_poll),
            self._outage,
            History(self.archive),
            self._listings,
            Volume(requests.received_this_month, bytes_per_month()),
        )

    def _kind(self) -> str:
        return self.source or setting("OTC_SOURCE")

    def _requests(self) -> RequestLog:
        return _request_log(self.warehouse(ATS))


def reach() -> Reach:
    """Return how far back the automation looks."""
    return Reach(
        follow_weeks=int(number_setting("OTC_FOLLOW_WEEKS")),
        reread_weeks=int(number_setting("OTC_REREAD_WEEKS")),
    )


def run_ids(run: dg.DagsterRun) -> RunIds:
    """Return the lineage ids of a run: itself, and the backfill or root run that it is part of."""
    correlation = run.tags.get("dagster/backfill") or run.root_run_id or run.run_id
    return RunIds(run.run_id, correlation)
