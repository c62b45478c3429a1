"""What FINRA's sets listed when they were last asked, kept for those who may not ask.

Belongs here: keeping it. Does not belong here: asking (`otc_assets.sources.listings`), and what
follows from it (`otc_assets.domain.offers`).
"""

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.offers import Offers
from otc_assets.warehouse.impatient import execute_impatiently, insert_of
from otc_assets.warehouse.schema import SET_LISTINGS

log = logging.getLogger(__name__)


def remember_listing(engine: sa.Engine, set_name: str, weeks: Iterable[AnySlice]) -> None:
    """Keep what a set lists, unless the store has it from today; no run fails for it."""
    by_tier: dict[str, list[str]] = {}
    for week in sorted(weeks):
        by_tier.setdefault(str(week.section), []).append(week.period.isoformat())
    row = {"set_name": set_name, "weeks": by_tier, "asked_on": datetime.now(UTC).date()}
    insert = insert_of(SET_LISTINGS, engine)
    changed = {name: insert.excluded[name] for name in ("weeks", "asked_on")}
    keep = insert.on_conflict_do_update(index_elements=["set_name"], set_=changed)
    with engine.connect() as connection:
        known = connection.execute(sa.select(SET_LISTINGS)).mappings().all()
    if row in map(dict, known):
        return
    try:
        execute_impatiently(engine, keep, [row])
    except sa.exc.DatabaseError as error:
        log.info("FINRA's listing will be kept the next time: %s", type(error).__name__)


def offers_of(connection: sa.Connection, dataset: Dataset) -> Offers:
    """Return what the store knows of the two listings of a dataset."""
    rows = connection.execute(sa.select(SET_LISTINGS)).all()
    kept = {row.set_name: row.weeks for row in rows}

    def listed(set_name: str) -> frozenset[AnySlice] | None:
        by_tier = kept.get(set_name) if set_name else {}
        return None if by_tier is None else _slices(dataset, by_tier)

    return Offers(listed(dataset.set_name), listed(dataset.historic_set))


def _slices(dataset: Dataset, by_tier: dict[str, Any]) -> frozenset[AnySlice]:
    return frozenset(
        dataset.key(tier, date.fromisoformat(day)) for tier, days in by_tier.items() for day in days
    )
