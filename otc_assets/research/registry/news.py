"""What the newest weeks tell of venues that was not so before: for the check, and for people."""

from datetime import timedelta

import pandas as pd

from otc_assets.domain.datasets import ATS
from otc_assets.research.registry.known import venue_registry

NEWS_WEEKS = 4
"""Newest weeks in which something is news: tiers are public two weeks apart, and a venue is gone
only after a silent week or two."""
KINDS = ("new", "gone", "renamed", "returned", "reused")
COLUMNS = ["dataset", "venue", "kind", "name", "event", "week_ending", "confidence", "evidence"]


def venue_news(database_url: str | None = None) -> pd.DataFrame:
    """Return what happened to venues in the newest weeks: one row per venue and event.

    ``event`` is one of `KINDS`; ``week_ending`` is the first week of what began, the last of what
    is gone. Raises what `venue_registry` raises.
    """
    rows = venue_registry(database_url=database_url)
    began = _told(rows, "began", "valid_from")
    ended = _told(rows, "ended", "last_week")
    told = pd.concat([began, ended[ended["event"] == "gone"]], ignore_index=True)
    newest = rows.groupby("dataset")["last_week"].max()
    since = told["dataset"].map(newest) - timedelta(weeks=NEWS_WEEKS)
    news = told[told["event"].isin(KINDS) & (told["week_ending"] > since)]
    order = news.sort_values(["dataset", "week_ending", "venue", "event"], ignore_index=True)
    return order[COLUMNS]


def _told(rows: pd.DataFrame, what: str, week: str) -> pd.DataFrame:
    return rows.assign(
        event=rows[f"{what}_as"],
        week_ending=rows[week],
        confidence=rows[f"{what}_confidence"],
        evidence=rows[f"{what}_evidence"],
    )


def of_ats(news: pd.DataFrame) -> pd.DataFrame:
    """Return the news of ATSs: dealers come and go with what FINRA folds into one row."""
    return news[news["dataset"] == ATS.name].reset_index(drop=True)
