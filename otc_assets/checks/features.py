"""The check of the feature files: each row is known once, and not before its week was public."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.features import FEATURES_KEY
from otc_assets.assets.partitions import SLICES, partition_key_of, slice_of
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.checks.evaluations import evaluations, partition_keys
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.research.export import file_of, inspect, later_slices
from otc_assets.research.feature_files import Inspected, is_written

NAME = "features_are_known_once_and_not_too_early"


def build_feature_checks(datasets: Sequence[Dataset]) -> list[dg.AssetChecksDefinition]:
    """Return the check of the features, if ATS is one of the datasets."""
    return [_check()] if ATS in datasets else []


def _check() -> dg.AssetChecksDefinition:
    spec = dg.AssetCheckSpec(
        NAME,
        asset=FEATURES_KEY,
        partitions_def=SLICES,
        description="The file of each computed slice is there and has rows of that slice alone, "
        "one per symbol and event_timestamp, none of them known before the week was public.",
    )

    @dg.multi_asset_check(name=f"{FEATURES_KEY.to_python_identifier()}_checks", specs=[spec])
    @step
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[Any]:
        ats, root = platform.warehouse(ATS), platform.features()
        requested = [slice_of(key) for key in partition_keys(context, FEATURES_KEY)]
        later = [w for w in later_slices(ats, requested) if is_written(file_of(root, w))]
        found = {partition_key_of(w): inspect(ats, root, w) for w in (*requested, *later)}
        standings: dict[str | None, dict[str, Any]] = {
            key: _standing(of_slice) for key, of_slice in found.items()
        }
        wrong = [f"{key}: {fault}" for key, of_slice in found.items() for fault in of_slice.faults]
        yield from evaluations(context, spec, {**standings, None: _passed_or(wrong)})
        if wrong:
            raise dg.Failure("features are not sound in:\n" + "\n".join(wrong))

    return check


def _standing(found: Inspected) -> dict[str, Any]:
    numbers = {"rules_failed": len(found.faults), "rows": found.rows, "score": found.score}
    shown = {name: number for name, number in numbers.items() if number is not None}
    return {**_passed_or(found.faults), "metadata": shown}


def _passed_or(faults: list[str]) -> dict[str, Any]:
    return {"passed": not faults, "description": "; ".join(faults) or "sound"}
