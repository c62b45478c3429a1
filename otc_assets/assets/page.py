"""The page for researchers as an asset; it is of all slices at once, so it has no partitions."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from otc_assets.assets.descriptions import STATE_IDEMPOTENT, promises
from otc_assets.assets.factory import OWNERS
from otc_assets.assets.partitions import asset_key_of
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.weeks import WEEK
from otc_assets.research.facts import Facts, State
from otc_assets.settings import setting

PAGE = dg.AssetKey("research_page")
DESCRIPTION = promises(
    "One HTML file of what the store tells: the market, venues, movers, a symbol with its "
    "corrections, coverage and quality. Nothing in it is loaded from elsewhere.",
    key=(),
    level=STATE_IDEMPOTENT,
    rerun="The file is written anew, whole: the same store gives the same bytes on the same day.",
    refreshed_by="A run of its own, which its schedule asks for each day, or of all assets.",
)


class Page(dg.Config):
    """What a reader may choose."""

    symbol: str = Field(
        "",
        description="Symbol of the chart, exactly as FINRA writes it; by default the one with the "
        "most shares in the newest Tier 1 week.",
    )


def build_page(datasets: Sequence[Dataset]) -> dg.AssetsDefinition:
    """Return the asset that writes the page of some datasets."""

    @dg.asset(
        key=PAGE,
        deps=[asset_key_of("research_snapshot", dataset) for dataset in datasets],
        # The command refuses a range of assets of which one has another policy.
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        group_name="research",
        tags={"grain": WEEK.name},
        kinds={"python", "html"},
        code_version="v2",
        description=DESCRIPTION,
    )
    @step
    def research_page(
        context: dg.AssetExecutionContext, platform: Platform, config: Page
    ) -> dg.MaterializeResult[None]:
        # Here: templates would cost every process that loads the definitions.
        from otc_assets.research.page import write_page  # noqa: PLC0415

        destination = platform.page_url or setting("OTC_PAGE_URL")
        stores = [platform.warehouse(dataset) for dataset in datasets]
        facts = write_page(destination, stores, today(), config.symbol)
        context.log.info(f"the page is {destination}")
        return dg.MaterializeResult(
            metadata={"page": _link(destination), "preview": dg.MetadataValue.md(_preview(facts))}
        )

    definition: dg.AssetsDefinition = research_page
    return definition


def _link(destination: str) -> dg.MetadataValue[str]:
    is_address = "://" in destination
    return dg.MetadataValue.url(destination) if is_address else dg.MetadataValue.path(destination)


def _preview(facts: Facts) -> str:
    """Return the counts of each state, and the newest weeks, as markdown tables."""
    titles = [each.dataset.title for each in facts.datasets]
    lines = [_row(["slices", *titles]), "|" + " --- |" * (1 + len(titles))]
    lines += [_row([state, *(each.counts[state] for each in facts.datasets)]) for state in State]
    lines += ["", _row(["newest week", "tier", "lag, days"]), "| --- | --- | --- |"]
    for each in facts.datasets:
        for row in each.standing.itertuples():
            tier = f"{each.dataset.title}, {row.tier}"
            lines.append(_row([row.newest_week or "none", tier, row.lag_days]))
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
