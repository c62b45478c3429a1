"""The market of the newest week: volume by tier, the venues' league, what moved."""

from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.explorer.asking import Asked
from otc_assets.research.market import (
    league,
    movers,
    newest_week,
    overview,
    tier_volumes,
    volume_pictures,
)
from otc_assets.research.symbols import slice_names

SHOWN = 12
"""Movers of each list."""


def facts(asked: Asked, tier: Tier, dataset: Dataset, floor: int) -> dict[str, Any]:
    """Return what the home page shows, its league and movers of one tier and dataset."""
    volumes = tier_volumes(asked.day)
    week, dealers = (_newest(asked, each, tier) for each in (dataset, NON_ATS))
    return {
        "tier": tier,
        "dataset": dataset,
        "datasets": DATASETS,
        "floor": floor,
        "overview": overview(volumes),
        "figures": volume_pictures(volumes),
        "week": week,
        "dealers_week": dealers,
        "league": _records(league(week, asked.day, dataset=dataset.name) if week else None),
        "by_shares": _movers(asked, week, "total_volume", dataset, floor),
        "by_dollars": _movers(asked, dealers, "total_notional", NON_ATS, floor),
        "names": _names(week, dataset) | _names(dealers, NON_ATS),
        "ats": ATS,
    }


def _names(week: WeekKey | None, dataset: Dataset) -> dict[str, str]:
    return slice_names(week, dataset=dataset.name) if week else {}


def _newest(asked: Asked, dataset: Dataset, tier: Tier) -> WeekKey | None:
    week: date | None = newest_week(asked.slices(dataset.name), tier)
    return WeekKey(tier, week) if week else None


def _movers(
    asked: Asked, week: WeekKey | None, by: str, dataset: Dataset, floor: int
) -> list[dict[Any, Any]]:
    if week is None:
        return []
    return _records(movers(week, asked.day, by, floor, dataset=dataset.name).head(SHOWN))


def _records(rows: pd.DataFrame | None) -> list[dict[Any, Any]]:
    return [] if rows is None else rows.to_dict("records")
