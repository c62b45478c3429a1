"""The check that a dataset's slices are what their archived files give; its job samples them."""

from collections.abc import Iterator
from dataclasses import asdict
from random import SystemRandom

import dagster as dg
from pydantic import Field

from otc_assets.assets.partitions import publications_key
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.checks.watch import PARTITION_TAGS, table_of
from otc_assets.domain.datasets import Dataset
from otc_assets.operations.findings import told
from otc_assets.operations.verify import SAMPLE, chosen, verify

NAME = "slices_are_what_the_archive_gives"


class Verification(dg.Config):
    """How much is verified."""

    sample: int = Field(
        SAMPLE, ge=0, description="How many slices, drawn at random; 0: every one in the store."
    )


def verify_check_key(dataset: Dataset) -> dg.AssetCheckKey:
    """Return the key of a dataset's check."""
    return dg.AssetCheckKey(publications_key(dataset), NAME)


def build_verify_check(dataset: Dataset) -> dg.AssetChecksDefinition:
    """Return the check of a dataset."""
    spec = dg.AssetCheckSpec(
        NAME,
        asset=publications_key(dataset),
        description="Slices, computed again from the archive's bytes with this code, have the rows "
        "that the store has, and these are as they were written (fingerprints in manifest). The "
        f"job {dataset.name}_verify draws some at random, or does all.",
    )

    # With `can_subset` it need not judge, so that a run of slices does not pay for it.
    @dg.multi_asset_check(specs=[spec], name=f"{dataset.name}_{NAME}", can_subset=True)
    @step
    def check(
        context: dg.AssetCheckExecutionContext, platform: Platform, config: Verification
    ) -> Iterator[dg.AssetCheckResult]:
        if context.run.tags.keys() & PARTITION_TAGS:
            return
        store, seed = platform.warehouse(dataset), SystemRandom().randrange(10**6)
        slices, of = chosen(store, config.sample or None, seed)
        found = list(verify(store, platform.archive(dataset), slices))
        rows = [asdict(finding) for each in found for finding in each.findings]
        yield dg.AssetCheckResult(
            check_name=NAME,
            asset_key=spec.asset_key,
            passed=not rows,
            severity=dg.AssetCheckSeverity.ERROR,
            description=told(found),
            metadata={
                "differences": table_of(rows),
                "difference_count": len(rows),
                "slices_verified": len(found),
                "slices_different": sum(bool(each.findings) for each in found),
                "slices_in_store": of,
                "tables_without_fingerprint": sum(len(each.unprinted) for each in found),
                "rows_verified": sum(sum(each.rows.values()) for each in found),
                "seed": seed,
            },
        )

    return check
