"""Which symbols there are: found by how they begin, or by the name of the issue."""

from functools import lru_cache
from itertools import chain

import pandas as pd

from otc_assets.domain.weeks import WeekKey, oldest_first
from otc_assets.research.knowledge import plain_store, store_of
from otc_assets.research.state import State, state_of
from otc_assets.warehouse.store import Store

NAME_WEEKS = 4
"""Names are those of so many of the newest weeks of each tier: to read all would take minutes."""


def find_symbols(
    text: str = "", *, dataset: str = "ats", database_url: str | None = None
) -> pd.DataFrame:
    """Return the symbols that begin with a text, then those whose issue name has it.

    Upper and lower case count alike in the search; what is found is spelled as FINRA does.

    Args:
        text: the search; empty for every symbol.
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        One row per symbol: ``symbol``, ``issue_name`` and ``tier`` (of the newest of the
        `NAME_WEEKS` newest weeks of each tier in which it was reported, None if it was in none),
        and ``found_by`` (symbol or name). By ``found_by`` and symbol.

    Raises:
        StoreError: there is no store, it is of another version, or it has no week of the dataset.
        ValueError: there is no such dataset.

    """
    store = store_of(dataset, database_url)
    state = state_of(store)
    names, wanted = issue_names(store, state), text.casefold()
    rows = []
    for symbol in all_symbols(store, state):
        name, tier = names.get(symbol, (None, None))
        if symbol.casefold().startswith(wanted):
            rows.append((symbol, name, tier, "symbol"))
        elif name and wanted in name.casefold():
            rows.append((symbol, name, tier, "name"))
    found = pd.DataFrame(rows, columns=["symbol", "issue_name", "tier", "found_by"], dtype="str")
    return found.sort_values(["found_by", "symbol"], ascending=[False, True], ignore_index=True)


def all_symbols(store: Store, state: State) -> frozenset[str]:
    """Return every symbol of a store in some state, kept for as long as that lasts."""
    return _symbols(store, state.content)


def issue_names(store: Store, state: State) -> dict[str, tuple[str | None, str]]:
    """Return the newest issue name and tier of the symbols of the newest weeks."""
    found: dict[str, tuple[str | None, str]] = {}
    for week in _newest_weeks(state):
        names = _names(store, week, state.slices[week].content)
        found |= {symbol: (name, str(week.tier)) for symbol, name in names}
    return found


def slice_names(
    week: WeekKey, *, dataset: str = "ats", database_url: str | None = None
) -> dict[str, str]:
    """Return the issue name of each symbol of a slice that has one in the store."""
    store = plain_store(dataset, database_url)
    content = state_of(store).content_of([week])
    return {symbol: name for symbol, name in _names(store, week, content) if name}


def name_in(
    week: WeekKey, symbol: str, *, dataset: str = "ats", database_url: str | None = None
) -> str:
    """Return a symbol's issue name in a slice, empty if the store has none."""
    store = plain_store(dataset, database_url)
    return _name(store, week, symbol, state_of(store).content_of([week]))


def _newest_weeks(state: State) -> list[WeekKey]:
    """Return the newest slices with content of each tier, the oldest first."""
    tiers = {week.tier for week in state.known}
    newest = ([week for week in state.known if week.tier == tier][-NAME_WEEKS:] for tier in tiers)
    return oldest_first(chain.from_iterable(newest))


@lru_cache(maxsize=4)
def _symbols(store: Store, _content: bytes) -> frozenset[str]:
    with store.read() as reader:
        return frozenset(reader.symbols())


@lru_cache(maxsize=48)
def _names(store: Store, week: WeekKey, _content: bytes) -> list[tuple[str, str | None]]:
    """Return the symbols of a slice's newest revision and their names, if the store has them."""
    return _named(store, week)


@lru_cache(maxsize=256)
def _name(store: Store, week: WeekKey, symbol: str, _content: bytes) -> str:
    return dict(_named(store, week, symbol)).get(symbol) or ""


def _named(store: Store, week: WeekKey, symbol: str | None = None) -> list[tuple[str, str | None]]:
    with store.read() as reader:
        return reader.raw_names(week, "symbol", "issue_name", only=symbol)
