"""The check that tells what the newest weeks have changed of who the venues are."""

from collections.abc import Sequence

import dagster as dg

from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.assets.venues import REGISTRY
from otc_assets.checks.watch import table_of
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.research.registry.news import KINDS, NEWS_WEEKS, of_ats, venue_news

NAME = "no_ats_is_new_gone_renamed_or_used_again"


def build_venue_checks(datasets: Sequence[Dataset]) -> list[dg.AssetChecksDefinition]:
    """Return the check of the registry, if ATS is one of the datasets."""
    return [_check()] if ATS in datasets else []


def _check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=NAME,
        asset=REGISTRY,
        description=f"In the newest {NEWS_WEEKS} weeks no MPID is new, gone, renamed, back after "
        "a long absence (returned) or in use by another (reused). A warning: that is news, and no "
        "fault. Dealers come and go with what FINRA folds into one row; they are counted only.",
    )
    @step
    def check(platform: Platform) -> dg.AssetCheckResult:
        store = platform.warehouse(ATS)
        if not store.has_content():
            return dg.AssetCheckResult(passed=True, description="the store has no week yet")
        news = venue_news(store.url)
        ats = of_ats(news)
        told = [f"{row.venue} is {row.event}" for row in ats.itertuples()]
        rows = [
            {str(name): str(value) for name, value in row.items()}
            for row in news.assign(week_ending=news["week_ending"].dt.date).to_dict("records")
        ]
        counts = {f"ats_{kind}": int((ats["event"] == kind).sum()) for kind in KINDS}
        return dg.AssetCheckResult(
            passed=ats.empty,
            severity=dg.AssetCheckSeverity.WARN,
            description=", ".join(told) or f"no news of an ATS in {NEWS_WEEKS} weeks",
            metadata={"news": table_of(rows), **counts, "dealer_news": len(news) - len(ats)},
        )

    return check
