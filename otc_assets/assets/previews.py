"""What we use of Dagster's preview and beta surface, and know that we do.

Dagster is pinned to the patch because of them; each other warning of Dagster's is left to be seen.
"""

import warnings

import dagster as dg

USED = {
    "backfill_policy": dg.BetaWarning,
    "partitions_def on an AssetCheckSpec": dg.PreviewWarning,
}
"""A part of the warning's message, and its class."""


def accept_previews() -> None:
    """Silence the warnings about what is in `USED`, by class and message."""
    for part, category in USED.items():
        warnings.filterwarnings("ignore", message=f".*{part}", category=category)
