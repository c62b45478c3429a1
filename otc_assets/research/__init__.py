"""What a researcher asks: what was known of a symbol on a day, and what has changed since.

    >>> from otc_assets.research import as_of
    >>> as_of("2025-01-15", symbols="AAPL")

Belongs here: answers as frames, features, the page for researchers. Does not belong here: how a
slice is written. May import what stands below it, never Dagster.
"""

from otc_assets.research.events import chain, get_events
from otc_assets.research.knowledge import as_of, history, latest
from otc_assets.research.registry import find_venues, venue_registry, venue_share_by_owner
from otc_assets.research.versions import compare
from otc_assets.research.why import why

__all__ = [
    "as_of",
    "chain",
    "compare",
    "find_venues",
    "get_events",
    "history",
    "latest",
    "venue_registry",
    "venue_share_by_owner",
    "why",
]
