"""Who the venues are: a row for each venue and the weeks in which it was one and the same.

Derived from the weeks by rules (docs/venues.md), each claim with its evidence and a confidence, and
corrected by `corrections.csv`. Belongs here: the rules as pure functions (`naming`, `intervals`,
`succession`), what they read (`seen`), and the answers (`known`, `owners`). Does not belong here:
what venues traded (`venues_known`).
"""

from otc_assets.research.registry.known import venue_registry
from otc_assets.research.registry.owners import venue_share_by_owner

__all__ = ["venue_registry", "venue_share_by_owner"]
