"""FINRA's Query API as a source: each slice fetched whole, or not at all."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.offers import Offers
from otc_assets.sources.dialects import dialect_of
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import SourceFile
from otc_assets.sources.finra_client import PAGE_BYTES, Fault, FinraClient, Page
from otc_assets.sources.history import History, as_file, file_name, turn
from otc_assets.sources.listings import Listings, codes_of
from otc_assets.sources.outage import Outage
from otc_assets.sources.source import File
from otc_assets.sources.volume import Volume, endless
from otc_assets.tracing import current, traced

MAX_OFFSET = 500_000
"""FINRA's own limit; its largest slice has a third of that, half with all its summary types."""
PUBLISHED = "published"
"""The version of every slice that FINRA lists: the list does not tell a correction."""
DOUBTS = 3
"""How often to ask for a slice that FINRA lists, before an empty answer is believed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchedFile:
    """The rows of a slice, as one JSON array with a record in each line."""

    name: str
    data: bytes
    known_on: date | None = None

    def read(self) -> bytes:
        """Return the array."""
        return self.data


@dataclass(frozen=True)
class Means:
    """What all indexes of a run share: how FINRA is asked, and what the run knows of it."""

    client: FinraClient
    outage: Outage
    history: History
    listings: Listings = field(default_factory=Listings)
    volume: Volume = field(default_factory=endless)


class FinraIndex:
    """What FINRA has of one dataset."""

    source = "finra"
    follows_calendar = True

    def __init__(self, means: Means, today: date, dataset: Dataset) -> None:
        """Ask by ``means`` when something is needed, and for no slice in an outage."""
        self._means = means
        self._today = today
        self._dataset = dataset

    def _listed(self, set_name: str) -> frozenset[SliceKey]:
        return self._means.listings.of(self._means.client, self._dataset, set_name)

    def versions(self) -> Mapping[SliceKey, str]:
        """Return the slices that FINRA lists as its newest; older ones are history."""
        return dict.fromkeys(sorted(self._listed(self._dataset.set_name)), PUBLISHED)

    def version_of(self, week: SliceKey) -> str:
        """Return the one version there is."""
        return PUBLISHED

    def strays(self) -> list[SourceFile]:
        """Return nothing: what FINRA sends is what it was asked for."""
        return []

    def no_longer_has(self, week: SliceKey) -> bool:
        """Tell whether FINRA has dropped a slice from both its sets."""
        return self._set_of(week) is None

    def _set_of(self, week: SliceKey) -> str | None:
        """Return the set to ask for a slice: the newest weeks' if it lists it, or may do so soon.

        The other set's list is asked for only where that is not so.
        """
        newest, dataset = self._listed(self._dataset.set_name), self._dataset
        if week in newest or self._is_to_come(week):
            return dataset.set_name
        if week in self._listed(dataset.historic_set):
            return dataset.historic_set
        return None if self._offers.no_longer_have(week) else dataset.set_name

    def _is_to_come(self, week: SliceKey) -> bool:
        last = self._last.get(week.section)
        return last is not None and week.period > last

    @cached_property
    def _last(self) -> dict[str, date]:
        """The newest period that is listed of each section."""
        return {week.section: week.period for week in sorted(self._listed(self._dataset.set_name))}

    @cached_property
    def _offers(self) -> Offers:
        return self._means.listings.offers(self._means.client, self._dataset)

    @traced("fetch")
    def files_of(self, week: SliceKey) -> Sequence[File]:
        """Fetch every row of a slice; nothing if FINRA has none.

        Raises:
            OutageError: FINRA does not answer.
            VolumeError: the month's volume would be passed.
            SourceError: it cannot be had whole.

        """
        if not self._dataset.first_period <= week.period <= self._today:
            return []
        what = f"{self._dataset.title} {week}"
        with self._means.outage.guarding(what):
            set_name = self._set_of(week)
            if set_name is None:
                return []
            if set_name == self._dataset.historic_set:
                return self._historic(week, what)
            equal = filters_of(week, self._dataset)
            records = self._rows_of(week, set_name, equal, what)
        if not records:
            return []
        return [FetchedFile(file_name(self._dataset, week), as_file(records))]

    def _historic(self, week: SliceKey, what: str) -> Sequence[File]:
        """Return a slice of the historic set from the archive, where it is put if it is not there.

        The set refuses every filter but these two.
        """
        history, dataset = self._means.history, self._dataset
        kept = history.kept(dataset, week)
        if kept is not None:
            return kept
        equal = {
            "historicalWeek": week.first_day.isoformat(),
            "tierIdentifier": codes_of(dataset)[week.section],
        }
        with turn():
            kept = history.kept(dataset, week)
            if kept is not None:
                return kept
            what = f"{what} (all summary types)"
            records = self._rows_of(week, dataset.historic_set, equal, what)
            return history.keep(dataset, week, records) if records else []

    def _rows_of(
        self, week: SliceKey, set_name: str, equal: Mapping[str, str], what: str
    ) -> list[str]:
        for _ in range(DOUBTS):
            records = self._means.client.patiently(
                lambda: self._all_rows(set_name, equal, what), what
            )
            current().set(rows=len(records))
            if records or week not in self._listed(set_name):
                return records
            log.warning("FINRA, %s: an empty answer, though it is in the list of partitions", what)
        return []

    def _page(self, set_name: str, equal: Mapping[str, str], offset: int, what: str) -> Page:
        is_history = set_name == self._dataset.historic_set
        self._means.volume.claim(PAGE_BYTES, what, is_history=is_history)
        return self._means.client.rows(
            equal, offset, what, expects_rows=offset > 0, set_name=set_name
        )

    def _all_rows(self, set_name: str, equal: Mapping[str, str], what: str) -> list[str]:
        """Page by the rows received (a page may be short), up to the total that FINRA names."""
        first = self._page(set_name, equal, 0, what)
        records = list(first.records)
        while len(records) < first.total:
            if len(records) > MAX_OFFSET:
                raise SourceError("FINRA", f"{what}: has {first.total} rows, over {MAX_OFFSET}")
            page = self._page(set_name, equal, len(records), what)
            if page.total != first.total:
                change = f"from {first.total} to {page.total} rows"
                raise Fault(f"the total changed {change} while paging: starting again")
            records += page.records
            if len(page.records) < len(first.records) and len(records) < first.total:
                rows = len(page.records)
                log.warning("FINRA, %s: a short page, %d rows; paging goes on", what, rows)
        if len(records) > first.total:
            raise Fault(f"{len(records)} rows where {first.total} were named: starting again")
        return records


def filters_of(week: SliceKey, dataset: Dataset) -> dict[str, str]:
    """Return the fields that pick the rows of a slice from its set, and their values."""
    grain, fields = dataset.grain, dialect_of(dataset).renames
    starts = (grain.start_column, grain.column.name)
    equal = {next(f for f, ours in fields.items() if ours in starts): week.first_day.isoformat()}
    if week.section in codes_of(dataset):
        equal["tierIdentifier"] = codes_of(dataset)[week.section]
    if dataset.summary_type:
        equal["summaryTypeCode"] = dataset.summary_type
    return equal


class FinraSource:
    """The Query API, for one run."""

    def __init__(self, means: Means) -> None:
        """Ask by ``means``, which all indexes share."""
        self._means = means

    def index(self, today: date, dataset: Dataset) -> FinraIndex:
        """Return what FINRA has; nothing is asked for before it is needed."""
        return FinraIndex(self._means, today, dataset)
