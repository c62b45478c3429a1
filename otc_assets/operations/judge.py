"""Judges what the store holds of a slice, whoever wrote it and whenever."""

from collections.abc import Sequence

from otc_assets.domain.quality import QualityCheckResult, Rule, Severity, SliceStatus
from otc_assets.domain.rules import evaluate
from otc_assets.domain.tables import Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


def judge(
    warehouse: Warehouse, table: Table, rules: Sequence[Rule], week: WeekKey, run: RunIds
) -> list[QualityCheckResult]:
    """Evaluate rules on the rows of one slice as they are in the store, and keep the verdicts."""
    with warehouse.write(week, run) as writer:
        manifest = writer.manifest(week) or {"row_counts": {}, "reason": None}
        if table.name not in manifest["row_counts"]:
            return [_not_computed(manifest["reason"])]
        known = Knowledge(writer, week, fresh=table.name)
        view = view_of(known, SliceStatus(manifest["status"]), manifest["reason"])
        results = evaluate(rules, view)
        if view.intake:
            writer.renew_verdicts(table.name, results)
        return results


def _not_computed(reason: str | None) -> QualityCheckResult:
    details = {"reason": reason or "materialize its inputs first, raw before all"}
    return QualityCheckResult("slice_is_computed", False, Severity.ERROR, False, details)
