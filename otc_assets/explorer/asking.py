"""What the URL of a page asks for, and what the page depends on."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Query

from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import day_known
from otc_assets.research.knowledge import plain_store, spelling
from otc_assets.research.market import slices_known
from otc_assets.research.state import State, state_of
from otc_assets.research.symbols import all_symbols
from otc_assets.warehouse.store import Store

NEAR = 8
"""Spellings that are proposed instead of one that is not there."""


class NotThereError(Exception):
    """What a URL names is not in the store; ``near`` is what it may have meant."""

    def __init__(self, what: str, near: Iterable[tuple[Any, str]] = ()) -> None:
        """Say what is not there, and which paths, with their text, are near."""
        super().__init__(what)
        self.near = list(near)


@dataclass(frozen=True)
class Asked:
    """The day of knowledge, and the stores as they stand."""

    day: date | None
    """None: as known now."""

    @cached_property
    def states(self) -> dict[str, State]:
        """How the slices of each dataset that has a week stand, by its name."""
        found = {each.name: state_of(plain_store(each.name, None)) for each in DATASETS}
        return {name: state for name, state in found.items() if state.newest_day}

    @cached_property
    def stores(self) -> dict[str, Store]:
        """The stores of these datasets."""
        return {name: plain_store(name, None) for name in self.states}

    @property
    def newest_day(self) -> date:
        """The newest day on which anything in the store became public."""
        return max(state.newest_day for state in self.states.values() if state.newest_day)

    @property
    def known_on(self) -> date:
        """The day by which a page can be named for good."""
        return self.day or self.newest_day

    @property
    def depends(self) -> bytes:
        """The same as long as every page is; pages of operators show today's gaps."""
        states = self.states.values()
        written = [state.written_of(state.slices) + state.listed for state in states]
        return b"".join(written) + str(today()).encode()

    def slices(self, dataset: str) -> list[WeekKey]:
        """Return the slices of a dataset that were public by then."""
        return slices_known(dataset, self.day) if dataset in self.stores else []

    def symbols(self) -> set[str]:
        """Return every symbol of the store."""
        pairs = ((store, self.states[name]) for name, store in self.stores.items())
        return {symbol for store, state in pairs for symbol in all_symbols(store, state)}


def _asked(
    as_of: Annotated[str | None, Query(description="The day whose knowledge is shown.")] = None,
) -> Asked:
    return Asked(day_known(as_of) if as_of else None)


Ask = Annotated[Asked, Depends(_asked)]


def dataset_or_first(name: str | None) -> Dataset:
    """Return a dataset by its name, ATS for a name that is none."""
    return next((each for each in DATASETS if each.name == name), DATASETS[0])


def tier_or_first(slug: str | None) -> Tier:
    """Return a tier by its slug, Tier 1 for one that is none."""
    return next((tier for tier in Tier if tier.slug == slug), Tier.NMS_TIER_1)


def near(text: str, there: Iterable[str]) -> list[str]:
    """Return the names that are spelled like a text: the same letters first, then the nearest."""
    by_letters: dict[str, list[str]] = {}
    for name in sorted(there):
        by_letters.setdefault(spelling(name), []).append(name)
    wanted = spelling(text)
    begin = [letters for letters in by_letters if wanted and letters.startswith(wanted)]
    close = difflib.get_close_matches(wanted, by_letters, NEAR, 0.6) if len(wanted) < 50 else []
    order = dict.fromkeys([*([wanted] if wanted in by_letters else []), *begin[:NEAR], *close])
    return [name for letters in order for name in by_letters[letters]][:NEAR]
