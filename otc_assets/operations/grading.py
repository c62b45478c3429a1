"""A slice's grade, from the verdicts that are in the store."""

from otc_assets.calculations import output_tables
from otc_assets.domain.quality import Quality, QualityCheckResult, Severity, SliceStatus, grade
from otc_assets.domain.rules import evaluate, rules_of
from otc_assets.domain.tables import RAW, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.warehouse.store import SliceReader, SliceWriter


def graded_tables() -> list[Table]:
    """Return the tables whose verdicts make the grade: all that the snapshot is made from."""
    return [RAW, *(table for table in output_tables() if table.name != "research_snapshot")]


def refresh_comparisons(
    writer: SliceWriter, known: Knowledge, status: SliceStatus, reason: str | None
) -> None:
    """Judge anew what depends on earlier weeks, which may have come later than this one."""
    view = view_of(known, status, reason)
    for table in graded_tables():
        if rules := [rule for rule in rules_of(table) if rule.looks_back]:
            results = evaluate(rules, view)
            kept = verdicts_of(writer, known.week, table.name)
            renewed = {result.check_name: result for result in results}
            merged = [renewed.get(verdict.check_name, verdict) for verdict in kept]
            writer.save_verdicts(table.name, merged)


def verdicts_of(
    reader: SliceReader, week: WeekKey, table_name: str | None = None
) -> list[QualityCheckResult]:
    """Return the verdicts in the store on a slice, or on one of its tables."""
    return [
        QualityCheckResult(
            record["rule"],
            record["passed"],
            Severity(record["severity"]),
            record["is_expected"],
            record["details"],
        )
        for record in reader.records("quality_checks", week)
        if table_name in (None, record["table_name"])
    ]


def standing_quality(reader: SliceReader, week: WeekKey, status: SliceStatus) -> Quality | None:
    """Grade a slice by its verdicts; None if it is not due, or nothing was judged."""
    verdicts = [v for table in graded_tables() for v in verdicts_of(reader, week, table.name)]
    return grade(verdicts, status) if verdicts else None


def quality_then(known: Knowledge) -> Quality | None:
    """Grade a slice as it was known on an earlier day, by judging its tables of then."""
    view = view_of(known, SliceStatus.LOADED, None)
    rules = [rule for table in graded_tables() for rule in rules_of(table)]
    return grade(evaluate(rules, view), SliceStatus.LOADED)
