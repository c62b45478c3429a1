"""The checks of the feature files: each row is known once, and not before its slice was public."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from otc_assets.assets.features import features_of
from otc_assets.assets.partitions import partition_key_of, partitions_of, slice_of
from otc_assets.assets.platform import Platform
from otc_assets.assets.traces import step
from otc_assets.checks.evaluations import evaluations, partition_keys
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import AnySlice, SliceKey
from otc_assets.research.export import file_of, inspect, later_slices
from otc_assets.research.feature_files import Inspected, is_written
from otc_assets.research.period_export import inspect_period

NAME = "features_are_known_once_and_not_too_early"

Look = Callable[[Platform, Sequence[AnySlice]], Mapping[SliceKey, Inspected]]
"""Inspects the files of some slices, and of those that a run over them has written beside them."""


def build_feature_checks(datasets: Sequence[Dataset]) -> list[dg.AssetChecksDefinition]:
    """Return the check of the weekly features, if ATS is one of the datasets, and of the others."""
    return [
        _check(each, _look_at_weeks if each is ATS else _look_at(each))
        for each in datasets
        if each is ATS or each.features
    ]


def _look_at_weeks(platform: Platform, weeks: Sequence[AnySlice]) -> Mapping[SliceKey, Inspected]:
    ats, root = platform.warehouse(ATS), platform.features()
    later = [w for w in later_slices(ats, list(weeks)) if is_written(file_of(root, w))]
    return {week: inspect(ats, root, week) for week in (*weeks, *later)}


def _look_at(dataset: Dataset) -> Look:
    def look(platform: Platform, slices: Sequence[AnySlice]) -> Mapping[SliceKey, Inspected]:
        store, root = platform.warehouse(dataset), platform.features()
        return {each: inspect_period(store, root, each) for each in slices}

    return look


def _check(dataset: Dataset, look: Look) -> dg.AssetChecksDefinition:
    (key,) = features_of(dataset)
    unit = dataset.grain.name
    spec = dg.AssetCheckSpec(
        NAME,
        asset=key,
        partitions_def=partitions_of(dataset.slicing),
        description="The file of each computed slice is there and has rows of that slice alone, "
        f"one per record and event_timestamp, none of them known before the {unit} was public.",
    )

    @dg.multi_asset_check(name=f"{key.to_python_identifier()}_checks", specs=[spec])
    @step
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[Any]:
        requested = [slice_of(each, dataset.slicing) for each in partition_keys(context, key)]
        found = {partition_key_of(w): each for w, each in look(platform, requested).items()}
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
