"""Two checks for each table, in one step: what must hold, and what usually does.

`rows_are_sound` has the rules of severity error and critical, `week_is_usual` (`month_is_usual`, by
the dataset's grain) the others. The
verdict of each rule is in the check's metadata and in `quality_checks`. Rules are grouped because a
check stores events for every partition: with a check for each rule, a backfill of all history would
spend most of its time on them. Both read the same rows, once.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from otc_assets.assets.partitions import asset_key_of, partition_key_of, partitions_of, slice_of
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.assets.traces import slice_span, step
from otc_assets.calculations import tables_of
from otc_assets.checks.evaluations import evaluations, of_all, partition_keys
from otc_assets.checks.numbers import explained, numbers_of
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import QualityCheckResult, Rule, Severity, unexpected
from otc_assets.domain.rules import is_presence, rules_of
from otc_assets.domain.tables import Table
from otc_assets.operations.derive import refreshed
from otc_assets.operations.judge import Judgement, judge
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

SOUND = "rows_are_sound"
GRAVE = (Severity.ERROR, Severity.CRITICAL)

Judgements = dict[str, Judgement]
"""What was found of each slice, by partition key."""


def build_checks(dataset: Dataset) -> list[dg.AssetChecksDefinition]:
    """Return the checks of every table of a dataset, those of a table in one step."""
    return [_checks(table, dataset) for table in tables_of(dataset)]


def _grouped(rules: list[Rule], period: str) -> dict[str, list[Rule]]:
    groups = {
        SOUND: [rule for rule in rules if rule.severity in GRAVE],
        f"{period}_is_usual": [rule for rule in rules if rule.severity not in GRAVE],
    }
    return {name: group for name, group in groups.items() if group}


def _described(rules: list[Rule]) -> str:
    lines = (f"- `{rule.name}`: {rule.description.splitlines()[0]}" for rule in rules)
    return "\n".join([*lines, "", explained(rules)])


def _checks(table: Table, dataset: Dataset) -> dg.AssetChecksDefinition:
    asset, grouped = (
        asset_key_of(table.name, dataset),
        _grouped(rules_of(table), dataset.grain.name),
    )
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            partitions_def=partitions_of(dataset.slicing),
            description=_described(rules),
        )
        for name, rules in grouped.items()
    ]

    @dg.multi_asset_check(
        name=f"{asset.to_python_identifier()}_checks", specs=specs, can_subset=True
    )
    @step
    def checks(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[Any]:
        warehouse, run = platform.warehouse(dataset), run_ids(context.run)
        selected = [spec for spec in specs if spec.key in context.selected_asset_check_keys]
        rules = [rule for spec in selected for rule in grouped[spec.name]]
        requested = [slice_of(key, dataset.slicing) for key in partition_keys(context, asset)]
        judgements = {
            partition_key_of(week): _judged(warehouse, table, rules, week, run)
            for week in (*requested, *refreshed(warehouse, table.name, requested))
        }
        of_check = {
            spec.name: {key: _of(grouped[spec.name], found) for key, found in judgements.items()}
            for spec in selected
        }
        for spec in selected:
            yield from evaluations(context, spec, _standings(of_check[spec.name]))
        _fail_run_if_unsound(table, of_check.get(SOUND, {}))

    return checks


def _judged(
    warehouse: Warehouse, table: Table, rules: list[Rule], week: SliceKey, run: RunIds
) -> Judgement:
    """Judge a slice; its span is marked as failed by what would end the run as failed."""
    with slice_span(warehouse.dataset, table.name, week) as span:
        found = judge(warehouse, table, rules, week, run)
        span.set(rows=found.rows)
        if wrong := _grave(table, found):
            span.fail("; ".join(f"{verdict.check_name}: {_reason(verdict)}" for verdict in wrong))
    return found


def _of(rules: list[Rule], found: Judgement) -> Judgement:
    """Return the verdicts of a check's rules, or what was said of the slice instead of them."""
    names = {rule.name for rule in rules}
    mine = [verdict for verdict in found.verdicts if verdict.check_name in names]
    return replace(found, verdicts=mine or found.verdicts)


def _standings(judgements: Judgements) -> dict[str | None, dict[str, Any]]:
    """Return what to say of each partition, and at last (None) of all of them together."""
    standings: dict[str | None, dict[str, Any]] = {
        key: _standing(found) for key, found in judgements.items()
    }
    failed = {
        key: wrong for key, found in judgements.items() if (wrong := unexpected(found.verdicts))
    }
    severity = _severity([verdict for wrong in failed.values() for verdict in wrong])
    standings[None] = of_all(failed, len(judgements), severity)
    return standings


def _fail_run_if_unsound(table: Table, judgements: Judgements) -> None:
    """End the run as failed, naming each bad partition; the good ones have gone on to the end.

    A refused file counts once, for raw, and not for each table that it has left empty.
    """
    wrong = []
    for key, found in judgements.items():
        mine = _grave(table, found)
        wrong += [f"{key}: {verdict.check_name}: {_reason(verdict)}" for verdict in mine]
    if wrong:
        raise dg.Failure(f"{table.name} is not sound in:\n" + "\n".join(wrong))


def _grave(table: Table, found: Judgement) -> list[QualityCheckResult]:
    """Return what fails the run; that there is no content counts for raw alone."""
    grave = [v for v in unexpected(found.verdicts) if v.severity in GRAVE]
    return [v for v in grave if table.name == "raw" or not is_presence(v.check_name)]


def _standing(found: Judgement) -> dict[str, Any]:
    failed = unexpected(found.verdicts)
    return {
        "passed": not failed,
        "severity": _severity(failed),
        "description": "; ".join(f"{v.check_name}: {_reason(v)}" for v in failed) or "all hold",
        "metadata": {
            "verdicts": dg.MetadataValue.md(_as_markdown(found.verdicts)),
            **numbers_of(found),
        },
    }


def _severity(failed: list[QualityCheckResult]) -> dg.AssetCheckSeverity:
    grave = any(verdict.severity in GRAVE for verdict in failed)
    return dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN


def _reason(verdict: QualityCheckResult) -> str:
    return str(verdict.details.get("reason") or _found(verdict))


def _found(verdict: QualityCheckResult) -> str:
    return "; ".join(f"{name}: {value}" for name, value in verdict.details.items())


def _as_markdown(verdicts: list[QualityCheckResult]) -> str:
    lines = ["| rule | verdict | found |", "| --- | --- | --- |"]
    for verdict in verdicts:
        holds = "holds" if verdict.passed else f"does not hold ({verdict.severity})"
        holds += ", as expected" if verdict.is_expected else ""
        found = _found(verdict).replace("|", "/")
        lines.append(f"| {verdict.check_name} | {holds} | {found} |")
    return "\n".join(lines)
