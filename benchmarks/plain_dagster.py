"""The baseline of P8: as many assets, partitions and checks as one dataset has, in plain Dagster.

What Dagster's documentation shows and no more: Dagster's own classes, one function for each asset
and for the checks of each, which say something of each partition of the range. They do no work.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

START = "2014-05-16"
WEEKS = dg.TimeWindowPartitionsDefinition(start=START, fmt="%Y-%m-%d", cron_schedule="0 0 * * 5")
TIERS = dg.StaticPartitionsDefinition(["NMS Tier 1", "NMS Tier 2", "OTC"])
SLICES = dg.MultiPartitionsDefinition({"tier": TIERS, "week_ending": WEEKS})
SAID = {"rows": 70_730, "status": "loaded", "score": 1.0}


def build(chain: Sequence[str], checks: dict[str, Sequence[str]]) -> dg.Definitions:
    """Return assets that follow one another, each with its checks in one step."""
    pairs = zip(chain, [None, *chain], strict=False)
    return dg.Definitions(
        assets=[_asset(name, before) for name, before in pairs],
        asset_checks=[_checks(name, checks[name]) for name in chain],
        executor=dg.in_process_executor,
    )


def _asset(name: str, before: str | None) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=[before] if before else [],
        partitions_def=SLICES,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def asset(context: dg.AssetExecutionContext) -> None:
        for key in context.partition_keys:
            context.add_asset_metadata(SAID, partition_key=key)

    return asset


def _checks(name: str, checks: Sequence[str]) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(check, asset=name, partitions_def=SLICES) for check in checks]

    @dg.multi_asset_check(name=f"{name}_checks", specs=specs)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        for spec in specs:
            for key in context.partition_keys:
                yield dg.AssetCheckEvaluation(
                    asset_key=spec.asset_key,
                    check_name=spec.name,
                    passed=True,
                    partition=key,
                    metadata=SAID,
                )
            yield dg.Output(None, spec.get_python_identifier())

    return check
