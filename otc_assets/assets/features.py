"""The asset of the weekly feature files: of ATS data, with dealers' and facilities' beside it."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.descriptions import STATE_IDEMPOTENT, after_weeks, promises
from otc_assets.assets.factory import OWNERS, tags_of
from otc_assets.assets.partitions import (
    SLICES,
    asset_key_of,
    backfill_policy,
    partition_key_of,
    slice_of,
)
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.assets.traces import slice_span, step
from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.neighbours import REG_SHO_DAILY
from otc_assets.research.export import Stores, export, export_again, later_slices
from otc_assets.research.feature_columns import LAYOUT, VERSION
from otc_assets.research.feature_files import Exported
from otc_assets.research.feature_layout import Layout
from otc_assets.research.features import REACH_WEEKS

FEATURES_KEY = dg.AssetKey(["features"])

WHAT = """\
Features of each symbol, as they were known: one Parquet file per tier and week (OTC_FEATURES_URL).

One row per (week, tier, symbol, event_timestamp): the first publication, and each day that changed
a feature. `docs/features.md` has the definitions, and how Feast serves them.

The daily short sale volume (`reg_sho_daily/short_volume`) is read too. It is no upstream asset,
because Dagster has no partition mapping from days to weeks of a tier. If days of a week arrive, or
are corrected, after its file was written, materialize `features` of that week again."""
KEY = ("week_ending", "tier", "symbol", "event_timestamp")
DESCRIPTION = promises(
    WHAT,
    key=KEY,
    level=STATE_IDEMPOTENT,
    rerun="The file of the slice is written anew, whole, with another `created_timestamp`. If its "
    "snapshot was not computed, the file stays.",
    refreshed_by=after_weeks(REACH_WEEKS),
)


def features_of(dataset: Dataset) -> list[dg.AssetKey]:
    """Return the asset of the features that are made of a dataset's slices."""
    if dataset.is_weekly:
        return [FEATURES_KEY]
    return [asset_key_of("features", dataset)] if dataset.features else []


def build_features(datasets: Sequence[Dataset]) -> list[dg.AssetsDefinition]:
    """Return the asset of the weekly features, if ATS is one of the datasets."""
    return [_features(datasets)] if ATS in datasets else []


def _features(datasets: Sequence[Dataset]) -> dg.AssetsDefinition:
    dealers = [asset_key_of("symbol_summary", NON_ATS)] if NON_ATS in datasets else []

    @dg.asset(
        key=FEATURES_KEY,
        # What else it reads is computed before the snapshot, which is not if any of it was blocked.
        deps=[asset_key_of("research_snapshot", ATS), *dealers],
        partitions_def=SLICES,
        backfill_policy=backfill_policy(),
        owners=OWNERS,
        group_name="research",
        tags=tags_of(ATS),
        kinds={"python", "pandas", "parquet"},
        code_version=VERSION,
        description=DESCRIPTION,
        metadata={"dagster/column_schema": schema_shown(LAYOUT)},
    )
    @step
    def features(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> dg.MaterializeResult[None]:
        stores, root, run = _stores(platform), platform.own_features(), run_ids(context.run)
        requested = export_each(context, ATS, LAYOUT, lambda week: export(stores, root, week, run))
        for week in later_slices(stores.ats, requested):
            with slice_span(ATS, "features", week) as span:
                again = export_again(stores, root, week, run)
                span.set(rows=again.rows if again else None)
            if again:
                # Not a partition of this run: logged as a materialization of its own.
                metadata = numbers_of(again, LAYOUT) | {"refreshed": "an earlier week has changed"}
                materialization = dg.AssetMaterialization(
                    FEATURES_KEY, metadata=metadata, partition=partition_key_of(week)
                )
                context.log_event(materialization)
        return dg.MaterializeResult()

    definition: dg.AssetsDefinition = features
    return definition


def export_each(
    context: dg.AssetExecutionContext,
    dataset: Dataset,
    layout: Layout,
    write: Callable[[AnySlice], Exported],
) -> list[AnySlice]:
    """Write the file of each slice of the run, and tell the UI and the log; return the slices."""
    slices = sorted(slice_of(key, dataset.slicing) for key in context.partition_keys)
    for each in slices:
        with slice_span(dataset, "features", each) as span:
            done = write(each)
            span.set(rows=done.rows, reason=done.reason)
        metadata = numbers_of(done, layout)
        context.add_asset_metadata(metadata, partition_key=partition_key_of(each))
        if done.reason:
            name = " ".join(context.asset_key.path)
            context.log.warning(f"{name} {each}: {done.reason}")
    return slices


def _stores(platform: Platform) -> Stores:
    """Return what the features are made of; in a store without days, no slice asks for them."""
    days = platform.warehouse(REG_SHO_DAILY)
    return Stores(
        platform.warehouse(ATS), platform.warehouse(NON_ATS), days if days.has_content() else None
    )


def schema_shown(layout: Layout) -> dg.TableSchema:
    """Return the columns of a file as the UI lists them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.type),
                column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in layout.columns
        ]
    )


def numbers_of(exported: Exported, layout: Layout) -> dict[str, Any]:
    """Return what the UI shows of the file of one slice."""
    if exported.reason:
        return {"dagster/partition_row_count": 0, "reason": exported.reason}
    return {
        "dagster/partition_row_count": exported.rows,
        "path": dg.MetadataValue.path(exported.path),
        "symbols" if layout.key == ["symbol"] else "records": exported.records,
        "bytes": exported.bytes,
        "features": ", ".join(layout.names),
    }
