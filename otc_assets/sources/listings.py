"""What FINRA's sets list, asked for once by one run; all datasets of the run share it."""

import logging
from collections.abc import Callable
from datetime import date, timedelta

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.offers import Offers
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.dialects import API_TIERS
from otc_assets.sources.errors import NoSuchSetError
from otc_assets.sources.finra_client import FinraClient

Remember = Callable[[str, frozenset[WeekKey]], None]

log = logging.getLogger(__name__)


def forget(_set_name: str, _weeks: frozenset[WeekKey]) -> None:
    """Let a listing be of this run alone."""


class Listings:
    """The listings that a run has asked for."""

    def __init__(self, remember: Remember = forget) -> None:
        """Give each listing to ``remember`` when it comes."""
        self._remember = remember
        self._known: dict[str, frozenset[WeekKey]] = {}
        self._absent: set[str] = set()
        """Sets that what is asked does not have, such as a mirror of the newest weeks."""

    def of(self, client: FinraClient, set_name: str) -> frozenset[WeekKey]:
        """Return the slices that a set lists; none where there is no such set.

        Raises:
            SourceError: FINRA cannot be asked.

        """
        if not set_name:
            return frozenset()
        if set_name not in self._known:
            try:
                self._known[set_name] = _listed(client, set_name)
                self._remember(set_name, self._known[set_name])
            except NoSuchSetError as error:
                log.warning("%s: what it would list is not known", error)
                self._absent.add(set_name)
                self._known[set_name] = frozenset()
        return self._known[set_name]

    def offers(self, client: FinraClient, dataset: Dataset) -> Offers:
        """Return what both sets of a dataset list, or raise `SourceError`."""
        sets = dataset.set_name, dataset.historic_set
        current, historic = (self.of(client, name) for name in sets)
        return Offers(current, None if dataset.historic_set in self._absent else historic)


def _listed(client: FinraClient, set_name: str) -> frozenset[WeekKey]:
    """Return a set's slices; its list does not tell the datasets apart."""
    tiers = {identifier: tier for tier, identifier in API_TIERS.items()}
    listed = set()
    for monday, identifier in client.partitions(set_name):
        try:
            week_ending = date.fromisoformat(monday) + timedelta(days=4)
            listed.add(WeekKey(tiers[identifier], week_ending))
        except (ValueError, KeyError):
            log.warning("FINRA lists a partition that is none: %s, %s", monday, identifier)
    return frozenset(listed)
