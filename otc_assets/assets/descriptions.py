"""What the UI says of each asset: what identifies a row, and what a second run does to it.

The idempotency levels are those of the design: L2, the same input gives the same records; L3, a
second run deletes, inserts, and leaves the same state.
"""

from collections.abc import Iterable

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.tables import Table
from otc_assets.operations.derive import reach_of

INPUT_IDEMPOTENT = "L2, input-idempotent: the same input gives the same records, by their hash"
STATE_IDEMPOTENT = "L3, state-idempotent: it leaves the same state, whatever was there before"

POLICY = (
    "A content that differs from the store's: VERSIONED adds it as a revision, "
    "OVERWRITE replaces the newest revision, SKIP leaves it, MERGE adds the records that the "
    "store lacks."
)
FORCE = "Write also what the store has already, and under skip."


def described(table: Table, dataset: Dataset) -> str:
    """Return the description of a table's asset, as markdown."""
    what = f"{table.description}\n\nOne row per {table.grain}, of {dataset.title} data."
    if table is dataset.raw:
        return promises(
            f"{what} `lag_days` counts the days from FINRA's publication of the "
            "newest content to our store.",
            key=table.key,
            level=INPUT_IDEMPOTENT,
            rerun=f"The source is read again; a content that the store has is skipped. `policy`: "
            f"{POLICY} `force`: {FORCE}",
            refreshed_by=after_weeks(0, dataset.grain.name),
        )
    return promises(
        what,
        key=table.key,
        level=STATE_IDEMPOTENT,
        rerun="The slice is computed from its inputs as they are now; its rows are deleted and "
        "inserted in one transaction. If an input is lacking or a blocking rule fails, they stay.",
        refreshed_by=after_weeks(reach_of(table.name), dataset.grain.name),
    )


def after_weeks(reach: int, period: str = "week") -> str:
    """Return which runs compute a slice, given how many periods before it may change it."""
    if reach == 0:
        return f"A run of this asset for its own {period} alone."
    return (
        f"A run of this asset for its own {period}, or for any of the {reach} {period}s "
        "before: then in that same run, if the slice is there already."
    )


def promises(what: str, *, key: Iterable[str], level: str, rerun: str, refreshed_by: str) -> str:
    """Return a description as markdown: what the asset is, and what holds for each of its runs."""
    names = ", ".join(f"`{name}`" for name in key)
    return "\n".join(
        [
            what,
            "",
            f"- **Natural key:** {names or 'none: it is one file'}",
            f"- **Idempotency:** {level}",
            f"- **A second run:** {rerun}",
            f"- **Refreshed by:** {refreshed_by}",
        ]
    )
