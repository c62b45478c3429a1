"""The feature files of months and days: an asset for each dataset that declares features."""

from collections.abc import Sequence

import dagster as dg

from otc_assets.assets.descriptions import STATE_IDEMPOTENT, after_weeks, promises
from otc_assets.assets.factory import OWNERS, tags_of
from otc_assets.assets.features import export_each, features_of, schema_shown
from otc_assets.assets.partitions import asset_key_of, backfill_policy, partitions_of
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.assets.traces import step
from otc_assets.domain.datasets import Dataset
from otc_assets.research.period_export import calculation_of, export_period, layout_of


def build_period_features(datasets: Sequence[Dataset]) -> list[dg.AssetsDefinition]:
    """Return the asset of each dataset that has feature files of its own."""
    return [_features(dataset) for dataset in datasets if dataset.features]


def _described(dataset: Dataset) -> str:
    table, grain = asset_key_of(dataset.features, dataset), dataset.grain
    layout = layout_of(dataset)
    what = (
        f"`{table.to_user_string()}` as it was known: one Parquet file per {grain.name} "
        "(OTC_FEATURES_URL).\n\nOne row per row of the table and day that changed it: the first "
        "publication, then each change. `docs/features.md` says where the files are."
    )
    return promises(
        what,
        key=(*(column.name for column in layout.slice), *layout.key, "event_timestamp"),
        level=STATE_IDEMPOTENT,
        rerun="The file of the slice is written anew, whole, with another `created_timestamp`. If "
        "its table was not computed, the file stays.",
        refreshed_by=after_weeks(0, grain.name),
    )


def _features(dataset: Dataset) -> dg.AssetsDefinition:
    layout = layout_of(dataset)
    (key,) = features_of(dataset)

    @dg.asset(
        key=key,
        deps=[asset_key_of(dataset.features, dataset)],
        partitions_def=partitions_of(dataset.slicing),
        backfill_policy=backfill_policy(),
        owners=OWNERS,
        group_name=f"{dataset.name}_research",
        tags=tags_of(dataset),
        kinds={"python", "pandas", "parquet"},
        code_version=calculation_of(dataset).version,
        description=_described(dataset),
        metadata={"dagster/column_schema": schema_shown(layout)},
    )
    @step
    def features(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> dg.MaterializeResult[None]:
        store, root = platform.warehouse(dataset), platform.own_features()
        run = run_ids(context.run)
        export_each(context, dataset, layout, lambda each: export_period(store, root, each, run))
        return dg.MaterializeResult()

    definition: dg.AssetsDefinition = features
    return definition
