"""Who the venues are: a row for each venue and the weeks in which it was one and the same.

Derived from the weeks by rules (docs/venues.md), each claim with its evidence and a confidence, and
corrected by `corrections.csv`. Belongs here: the rules as pure functions (`naming`, `intervals`,
`succession`), what they read (`seen`), and the answers (`known`, `owners`, `finding`). Does not
belong here: what venues traded (`venues_known`).
"""

from otc_assets.research.registry.finding import find_venues
from otc_assets.research.registry.known import venue_registry
from otc_assets.research.registry.owners import venue_share_by_owner

__all__ = ["find_venues", "venue_registry", "venue_share_by_owner"]
