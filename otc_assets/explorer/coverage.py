"""How complete and how good the store is, for those who run it."""

from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import DATASETS
from otc_assets.explorer.asking import Asked
from otc_assets.research.facts import EVERY_WEEK, State, coverage, standing
from otc_assets.research.maps import GRADES, LETTERS, coverage_map, quality_map
from otc_assets.research.market import newest_week
from otc_assets.research.standing import quality

LISTED = 60
"""Slices that are not as they should be, the newest."""
GOOD = {State.COMPLETE, State.CORRECTED, State.ARCHIVED, State.NOT_OFFERED}


def facts(asked: Asked) -> dict[str, Any]:
    """Return what the page shows; it is of today, and not of a day of knowledge."""
    parts = []
    for dataset in DATASETS:
        if dataset.name in asked.stores:
            store = asked.stores[dataset.name]
            rows = coverage(store, today(), EVERY_WEEK)
            more = "the tables say the same"
            parts.append(
                {
                    "dataset": dataset,
                    "standing": standing(store, today()).to_dict("records"),
                    "counts": rows["state"].value_counts().to_dict(),
                    "coverage": coverage_map(rows, f"Coverage of {dataset.title} weeks; {more}"),
                    "quality": quality_map(rows, f"Grades of {dataset.title} weeks; {more}"),
                    "lacking": _lacking(asked, dataset.name, rows),
                }
            )
    return {
        "today": today(),
        "datasets": parts,
        "states": list(State),
        "letters": LETTERS,
        "grades": GRADES,
    }


def _lacking(asked: Asked, dataset: str, rows: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the newest slices that are not as they should be, of weeks that others have."""
    known = asked.slices(dataset)
    newest = max(week for tier in {w.tier for w in known} if (week := newest_week(known, tier)))
    is_good = rows["state"].isin(GOOD) & rows["grade"].isin(["A", ""])
    shown = rows[~is_good & (rows["week_ending"] <= newest)]
    shown = shown.iloc[::-1].head(LISTED)
    rules = _broken_rules(dataset, shown)
    return [
        {**row, "rules": rules.get((row["tier"], row["week_ending"]), [])}
        for row in shown.to_dict("records")
    ]


def _broken_rules(dataset: str, rows: pd.DataFrame) -> dict[tuple[str, date], list[str]]:
    """Return the rules that do not hold, by tier and week."""
    found: dict[tuple[str, date], list[str]] = {}
    verdicts = quality(weeks=set(rows["week_ending"]), dataset=dataset)
    broken = verdicts[~(verdicts["passed"] | verdicts["is_expected"]).astype(bool)]
    for row in broken.to_dict("records"):
        week = pd.Timestamp(row["week_ending"]).date()
        found.setdefault((row["tier"], week), []).append(row["rule"])
    return found
