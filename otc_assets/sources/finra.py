"""FINRA's Query API as a source: each slice fetched whole, or not at all."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.sources.dialects import API_TIERS, dialect_of
from otc_assets.sources.errors import SourceError
from otc_assets.sources.files import SourceFile
from otc_assets.sources.finra_client import Fault, FinraClient
from otc_assets.sources.outage import Outage
from otc_assets.tracing import current, traced

MAX_OFFSET = 500_000
"""FINRA's own limit; its largest slice has a third of that."""
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


class FinraIndex:
    """What FINRA has of one dataset."""

    source = "finra"
    follows_calendar = True

    def __init__(self, client: FinraClient, outage: Outage, today: date, dataset: Dataset) -> None:
        """Ask ``client`` when something is needed, and for no slice in an ``outage``."""
        self._client = client
        self._outage = outage
        self._today = today
        self._dataset = dataset

    @cached_property
    def _listed(self) -> frozenset[SliceKey]:
        """The slices in FINRA's list of partitions, which does not tell weekly datasets apart."""
        dataset, listed = self._dataset, set()
        values = 2 if codes_of(dataset) else 1
        for start, *tier in self._client.partitions(dataset.finra_set, values):
            try:
                period = date.fromisoformat(start) + dataset.grain.named_after
                listed.add(dataset.key(section_of(dataset, *tier), period))
            except (ValueError, KeyError, TypeError):
                what = ", ".join([start, *tier])
                log.warning("FINRA lists a partition that is none: %s", what)
        return frozenset(listed)

    def versions(self) -> Mapping[SliceKey, str]:
        """Return the slices that FINRA lists."""
        return dict.fromkeys(sorted(self._listed), PUBLISHED)

    def version_of(self, week: SliceKey) -> str:
        """Return the one version there is."""
        return PUBLISHED

    def strays(self) -> list[SourceFile]:
        """Return nothing: what FINRA sends is what it was asked for."""
        return []

    @traced("fetch")
    def files_of(self, week: SliceKey) -> list[FetchedFile]:
        """Fetch every row of a slice; nothing if FINRA has none.

        Raises:
            OutageError: FINRA does not answer.
            SourceError: it cannot be had whole.

        """
        if week.period > self._today:
            return []
        what = f"{self._dataset.title} {week}"
        with self._outage.guarding(what):
            records = self._rows_of(week, what)
        current().set(rows=len(records))
        if not records:
            return []
        # In the order of the text: the same rows give the same bytes, however they were paged.
        data = "[\n" + ",\n".join(sorted(records)) + "\n]\n"
        period = f"{self._dataset.grain.name}_{week.period}"
        name = f"finra_{self._dataset.name}_{week.slug}_{period}.json"
        return [FetchedFile(name, data.encode())]

    def _rows_of(self, week: SliceKey, what: str) -> list[str]:
        for _ in range(DOUBTS):
            records = self._client.patiently(lambda: self._all_rows(week, what), what)
            if records or week not in self._listed:
                return records
            log.warning("FINRA, %s: an empty answer, though it is in the list of partitions", what)
        return []

    def _all_rows(self, week: SliceKey, what: str) -> list[str]:
        """Page by the rows received (a page may be short), up to the total that FINRA names."""
        equal, of_set = filters_of(week, self._dataset), self._dataset.finra_set
        first = self._client.rows(equal, 0, what, expects_rows=False, of_set=of_set)
        records = list(first.records)
        while len(records) < first.total:
            if len(records) > MAX_OFFSET:
                raise SourceError("FINRA", f"{what}: has {first.total} rows, over {MAX_OFFSET}")
            page = self._client.rows(equal, len(records), what, expects_rows=True, of_set=of_set)
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


def section_of(dataset: Dataset, *tier: str) -> str:
    """Return the section of a tierIdentifier; of a set that has none, the only one (KeyError)."""
    if not tier:
        (section,) = dataset.slicing.sections
        return section
    return {code: section for section, code in codes_of(dataset).items()}[tier[0]]


def codes_of(dataset: Dataset) -> Mapping[str, str]:
    """Return the Query API's tierIdentifier of each section; none where there is one section."""
    if dataset.section_codes is not None:
        return dataset.section_codes
    return {tier.value: code for tier, code in API_TIERS.items()} if dataset.is_weekly else {}


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

    def __init__(self, client: FinraClient, outage: Outage) -> None:
        """Fetch through ``client``; all indexes share what is known of an ``outage``."""
        self._client = client
        self._outage = outage

    def index(self, today: date, dataset: Dataset) -> FinraIndex:
        """Return what FINRA has; nothing is asked for before it is needed."""
        return FinraIndex(self._client, self._outage, today, dataset)
