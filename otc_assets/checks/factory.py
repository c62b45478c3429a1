"""Two checks for each table: what must hold, and what usually does.

`rows_are_sound` has the rules of severity error and critical, `week_is_usual` the others. The
verdict of each rule is in the check's metadata and in `quality_checks`. Rules are grouped because a
check stores events for every partition: with a check for each rule, a backfill of all history would
spend most of its time on them.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from otc_assets.assets.partitions import SLICES, slice_of
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.calculations import output_tables
from otc_assets.domain.quality import QualityCheckResult, Rule, Severity
from otc_assets.domain.rules import PRESENCE, rules_of
from otc_assets.domain.tables import RAW, Table
from otc_assets.operations.judge import judge

SOUND, USUAL = "rows_are_sound", "week_is_usual"
GRAVE = (Severity.ERROR, Severity.CRITICAL)


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of every table that has rules of their kind."""
    return [
        _check(table, name, rules)
        for table in (RAW, *output_tables())
        for name, rules in _grouped(rules_of(table)).items()
        if rules
    ]


def _grouped(rules: list[Rule]) -> dict[str, list[Rule]]:
    return {
        SOUND: [rule for rule in rules if rule.severity in GRAVE],
        USUAL: [rule for rule in rules if rule.severity not in GRAVE],
    }


def _check(table: Table, name: str, rules: list[Rule]) -> dg.AssetChecksDefinition:
    @dg.asset_check(  # type: ignore[arg-type]  # its stub knows of no generator
        asset=table.name,
        name=name,
        partitions_def=SLICES,
        description="\n".join(f"- {rule.name}: {rule.description}" for rule in rules),
    )
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[Any]:
        # A result that covers a range leaves each of its partitions "planned" for ever: one
        # evaluation for each partition closes them.
        wrong: dict[str, str] = {}
        all_failed: list[list[QualityCheckResult]] = []
        for key in context.partition_keys:
            verdicts = judge(platform.warehouse, table, rules, slice_of(key), run_ids(context.run))
            failed = [verdict for verdict in verdicts if not verdict.passed]
            all_failed += [failed] if failed else []
            if grave := [verdict for verdict in failed if _stops_run(table, verdict)]:
                wrong[key] = "; ".join(_sentence(verdict) for verdict in grave)
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(table.name),
                check_name=name,
                passed=not failed,
                severity=_severity(failed),
                metadata={v.check_name: _metadata(v) for v in verdicts},
                partition=key,
            )
        worst = _severity([verdict for failed in all_failed for verdict in failed])
        yield _summary(len(all_failed), worst, len(context.partition_keys))
        if wrong and name == SOUND:
            raise dg.Failure(
                f"{len(wrong)} of {len(context.partition_keys)} partitions of {table.name} are "
                "not sound:\n" + "\n".join(f"{key}: {why}" for key, why in wrong.items())
            )

    return check


def _stops_run(table: Table, verdict: QualityCheckResult) -> bool:
    """Tell whether the run must end as failed; a refused file counts once, for raw."""
    about_raw = verdict.check_name == PRESENCE.name and table is not RAW
    return verdict.severity in GRAVE and not about_raw


def _severity(failed: list[QualityCheckResult]) -> dg.AssetCheckSeverity:
    grave = any(verdict.severity in GRAVE for verdict in failed)
    return dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN


def _sentence(verdict: QualityCheckResult) -> str:
    return f"{verdict.check_name}: {verdict.details.get('reason', verdict.details)}"


def _metadata(verdict: QualityCheckResult) -> dg.JsonMetadataValue:
    standing = "holds" if verdict.passed else f"does not hold ({verdict.severity})"
    expected = {"expected": True} if verdict.is_expected else {}
    return dg.MetadataValue.json({"verdict": standing, **expected, **verdict.details})


def _summary(failed: int, worst: dg.AssetCheckSeverity, partitions: int) -> dg.AssetCheckResult:
    """Return the one result that stands for the whole range."""
    return dg.AssetCheckResult(
        passed=failed == 0,
        severity=worst,
        metadata={"partitions": partitions, "partitions_failed": failed},
    )
