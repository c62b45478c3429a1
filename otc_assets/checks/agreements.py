"""Checks that join datasets: sums of a month that must agree with those of another set."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import dagster as dg

from otc_assets.assets.partitions import asset_key_of, partition_key_of, partitions_of, slice_of
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.checks.evaluations import evaluations, of_all, partition_keys
from otc_assets.checks.watch import table_of
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.operations.agreements import CLAIMS, Agreement, Claim
from otc_assets.warehouse.reader import SliceReader

NOT_COMPUTED = "the month was not computed"


def build_agreement_checks(dataset: Dataset) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a dataset's months against other datasets; most have none."""
    return [_check(dataset, claim) for claim in CLAIMS.get(dataset, ())]


def _check(dataset: Dataset, claim: Claim) -> dg.AssetChecksDefinition:
    asset = asset_key_of(claim.table, dataset)
    spec = dg.AssetCheckSpec(
        claim.name,
        asset=asset,
        partitions_def=partitions_of(dataset.slicing),
        description=claim.description,
    )

    @dg.multi_asset_check(name=f"{dataset.name}_{claim.name}", specs=[spec])
    @step
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[Any]:
        requested = [slice_of(key, dataset.slicing) for key in partition_keys(context, asset)]
        found = {partition_key_of(m): _found(platform, dataset, claim, m) for m in requested}
        failed = [key for key, each in found.items() if each.off]
        standings: dict[str | None, dict[str, Any]] = {k: _standing(f) for k, f in found.items()}
        standings[None] = of_all(failed, len(found), dg.AssetCheckSeverity.ERROR)
        yield from evaluations(context, spec, standings)

    return check


def _found(platform: Platform, dataset: Dataset, claim: Claim, month: SliceKey) -> Agreement:
    """Look at one month, of all datasets as they are at one moment each."""
    with ExitStack() as stack:
        kept: dict[Dataset, SliceReader] = {}

        def reader_of(wanted: Dataset) -> SliceReader:
            if wanted not in kept:
                kept[wanted] = stack.enter_context(platform.warehouse(wanted).read_as_of_now())
            return kept[wanted]

        manifest = reader_of(dataset).manifest(month)
        if manifest is None or not manifest["row_counts"].get(claim.table):
            return Agreement(lacking=(NOT_COMPUTED,))
        return claim.find(reader_of, month)


def _standing(found: Agreement) -> dict[str, Any]:
    return {
        "passed": not found.off,
        "severity": dg.AssetCheckSeverity.ERROR,
        "description": found.said,
        "metadata": {
            "out of bounds": table_of(found.off),
            "out_of_bounds_count": len(found.off),
            "slices_lacking": len(found.lacking),
        },
    }
