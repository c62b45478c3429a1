"""What a text in the search box means: a symbol, a venue, or a list of what it may be."""

from dataclasses import dataclass

import pandas as pd

from otc_assets.explorer.asking import Asked, near
from otc_assets.research.registry import find_venues
from otc_assets.research.symbols import find_symbols

SHOWN = 100


@dataclass(frozen=True)
class Found:
    """The symbol or the venue that is meant, if it is one, and what else there is."""

    symbol: str | None
    venue: str | None
    rows: pd.DataFrame
    venues: pd.DataFrame
    near: list[str]


def find(asked: Asked, text: str) -> Found:
    """Look a text up: as a symbol or a venue, as the beginning of one, as a part of a name.

    A symbol written exactly is meant; one in another case is, if no other has that spelling. A
    venue is meant if no symbol is.
    """
    there = asked.symbols()
    alike = [symbol for symbol in there if symbol.casefold() == text.casefold()]
    symbol = text if text in there else alike[0] if len(alike) == 1 else None
    parts = [find_symbols(text, dataset=name) for name in asked.stores] if text else []
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if len(rows):
        order = rows.sort_values(["found_by", "symbol"], ascending=[False, True])
        rows = order.drop_duplicates("symbol")
    venues = find_venues(text) if text and asked.stores else pd.DataFrame({"venue": []})
    exact = venues.loc[venues["venue"].str.casefold() == text.casefold(), "venue"].tolist()
    venue = exact[0] if exact and not symbol else None
    nothing = rows.empty and venues.empty
    return Found(symbol, venue, rows, venues, near(text, there) if nothing else [])
