"""The three tiers, in their one canonical spelling."""

from enum import StrEnum


class Tier(StrEnum):
    """A FINRA tier; the value is the spelling of every partition key, table and message."""

    NMS_TIER_1 = "NMS Tier 1"
    NMS_TIER_2 = "NMS Tier 2"
    OTC = "OTC"

    @property
    def slug(self) -> str:
        """The tier in the names of files and folders: ``nms_tier_1``."""
        return self.lower().replace(" ", "_")
