"""Judges what the store holds of a slice, whoever wrote it and whenever."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import (
    QualityCheckResult,
    Rule,
    Severity,
    SliceStatus,
    SliceView,
    unexpected,
)
from otc_assets.domain.rules import evaluate
from otc_assets.domain.tables import Table
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import stored_verdicts
from otc_assets.operations.snapshot import SNAPSHOT
from otc_assets.tracing import span
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

NO_MANIFEST: dict[str, Any] = {"row_counts": {}, "reason": None, "quality_score": None}
"""Of a slice that was never taken in."""


@dataclass(frozen=True)
class Judgement:
    """What was found of one table of one slice."""

    verdicts: list[QualityCheckResult]
    rows: int = 0
    """What the rules have looked at: of several revisions or days of knowledge the newest."""
    score: float | None = None
    """The slice's quality score, 0 to 1, as graded so far: a table that the same run computes later
    has no part in it yet. None if the slice is not due."""


def checked(rules: Sequence[Rule], view: SliceView) -> list[QualityCheckResult]:
    """Evaluate rules, as a part of a slice's work that shows in its trace."""
    with span("check", rules=len(rules)) as check:
        verdicts = evaluate(rules, view)
        check.set(failed=len(unexpected(verdicts)))
    return verdicts


def judge(
    warehouse: Warehouse, table: Table, rules: Sequence[Rule], week: SliceKey, run: RunIds
) -> Judgement:
    """Evaluate rules on the rows of one slice as they are in the store, and keep the verdicts.

    Rows that the same run has written were judged in the transaction of the write: those verdicts
    stand, but for rules that look at other weeks, and nothing is read back. `otc verify` holds what
    the store has against the fingerprints of what was written.
    """
    with warehouse.write(week, run) as writer:
        manifest = writer.manifest(week) or NO_MANIFEST
        score = manifest["quality_score"]
        if table.name not in manifest["row_counts"]:
            return Judgement([_not_computed(manifest["reason"])], score=score)
        newest = writer.lineage(table.name, week)[-1:]
        is_ours = [record["execution_id"] for record in newest] == [run.execution_id]
        known = Knowledge(writer, week, fresh=None if is_ours else table.name)
        view = view_of(known, SliceStatus(manifest["status"]), manifest["reason"])
        if view.intake is None:
            return Judgement(checked(rules, view), score=score)
        # The snapshot was judged before its rows got their days of knowledge.
        is_judged = is_ours and table.name != SNAPSHOT
        told = stored_verdicts(writer, week, [table.name]) if is_judged else []
        found = {verdict.check_name: verdict for verdict in told}
        again = [rule for rule in rules if rule.looks_back or rule.name not in found]
        if again:
            renewed = checked(again, view)
            writer.renew_verdicts(table.name, renewed)
            found |= {verdict.check_name: verdict for verdict in renewed}
        results = [found[rule.name] for rule in rules]
        return Judgement(results, len(known[table.name]), score)


def _not_computed(reason: str | None) -> QualityCheckResult:
    details = {"reason": reason or "materialize its inputs first, raw before all"}
    return QualityCheckResult("slice_is_computed", False, Severity.ERROR, False, details)
