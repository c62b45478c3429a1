"""What FINRA's sets list, asked for once by one run; all datasets of the run share it."""

import logging
from collections.abc import Callable, Mapping
from datetime import date

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.offers import Offers
from otc_assets.sources.dialects import API_TIERS
from otc_assets.sources.errors import NoSuchSetError
from otc_assets.sources.finra_client import FinraClient

Remember = Callable[[str, frozenset[AnySlice]], None]

log = logging.getLogger(__name__)


def forget(_set_name: str, _weeks: frozenset[AnySlice]) -> None:
    """Let a listing be of this run alone."""


class Listings:
    """The listings that a run has asked for."""

    def __init__(self, remember: Remember = forget) -> None:
        """Give each listing to ``remember`` when it comes."""
        self._remember = remember
        self._known: dict[str, frozenset[AnySlice]] = {}
        self._absent: set[str] = set()
        """Sets that what is asked does not have, such as a mirror of the newest weeks."""

    def of(self, client: FinraClient, dataset: Dataset, set_name: str) -> frozenset[AnySlice]:
        """Return the slices of a dataset that a set lists; none where there is no such set.

        Raises:
            SourceError: FINRA cannot be asked.

        """
        if not set_name:
            return frozenset()
        if set_name not in self._known:
            try:
                self._known[set_name] = _listed(client, dataset, set_name)
                self._remember(set_name, self._known[set_name])
            except NoSuchSetError as error:
                log.warning("%s: what it would list is not known", error)
                self._absent.add(set_name)
                self._known[set_name] = frozenset()
        return self._known[set_name]

    def offers(self, client: FinraClient, dataset: Dataset) -> Offers:
        """Return what both sets of a dataset list, or raise `SourceError`."""
        sets = dataset.set_name, dataset.historic_set
        current, historic = (self.of(client, dataset, name) for name in sets)
        return Offers(current, None if dataset.historic_set in self._absent else historic)


def _listed(client: FinraClient, dataset: Dataset, set_name: str) -> frozenset[AnySlice]:
    """Return a set's slices; its list does not tell weekly datasets apart."""
    listed = set()
    values = 2 if codes_of(dataset) else 1
    for start, *tier in client.partitions(set_name, values):
        try:
            period = date.fromisoformat(start) + dataset.grain.named_after
            listed.add(dataset.key(section_of(dataset, *tier), period))
        except (ValueError, KeyError, TypeError):
            what = ", ".join([start, *tier])
            log.warning("FINRA lists a partition that is none: %s", what)
    return frozenset(listed)


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
