"""The registry of venues as an asset; it is of all slices at once, so it has no partitions."""

from collections.abc import Sequence

import dagster as dg

from otc_assets.assets.descriptions import STATE_IDEMPOTENT, promises
from otc_assets.assets.factory import OWNERS
from otc_assets.assets.partitions import asset_key_of
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.weeks import WEEK
from otc_assets.research.registry.files import write_registry

REGISTRY = dg.AssetKey("venue_registry")
DESCRIPTION = promises(
    "Who the venues are, as known now: a CSV file beside the feature files (OTC_FEATURES_URL).\n\n"
    "One row per (dataset, venue, valid_from): the venue's name in that time and before, first and "
    "last week, successor and predecessor, each with evidence and a confidence. `docs/venues.md` "
    "has the rules, and how to correct them.",
    key=("dataset", "venue", "valid_from"),
    level=STATE_IDEMPOTENT,
    rerun="The file is written anew, whole: the same store gives the same bytes.",
    refreshed_by="A run of its own, which the schedule of `research_page` asks for each day, or of "
    "all assets.",
)


def build_venues(datasets: Sequence[Dataset]) -> list[dg.AssetsDefinition]:
    """Return the asset of the registry, if ATS is one of the datasets, as of the features."""
    return [_registry(datasets)] if ATS in datasets else []


def _registry(datasets: Sequence[Dataset]) -> dg.AssetsDefinition:
    @dg.asset(
        key=REGISTRY,
        deps=[asset_key_of("venue_share", each) for each in (ATS, NON_ATS) if each in datasets],
        # The command refuses a range of assets of which one has another policy.
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        group_name="research",
        tags={"grain": WEEK.name},
        kinds={"python", "pandas", "csv"},
        code_version="v1",
        description=DESCRIPTION,
    )
    @step
    def venue_registry(platform: Platform) -> dg.MaterializeResult[None]:
        path, rows = write_registry(platform.warehouse(ATS), platform.own_features())
        return dg.MaterializeResult(
            metadata={"dagster/row_count": rows, "path": dg.MetadataValue.path(path)}
        )

    definition: dg.AssetsDefinition = venue_registry
    return definition
