"""A slice's grade, from the verdicts that are in the store."""

from collections.abc import Collection

from otc_assets.calculations import tables_of
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import (
    Quality,
    QualityCheckResult,
    Severity,
    SliceStatus,
    grade,
    unexpected,
)
from otc_assets.domain.rules import evaluate, is_presence, rules_of
from otc_assets.domain.tables import Table
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.writer import SliceWriter


def graded_tables(dataset: Dataset = ATS) -> list[Table]:
    """Return the tables whose verdicts make the grade: all that the snapshot is made from."""
    return [table for table in tables_of(dataset) if table.name != "research_snapshot"]


def refresh_comparisons(
    writer: SliceWriter, known: Knowledge, status: SliceStatus, reason: str | None
) -> None:
    """Judge anew what depends on earlier weeks, which may have come later than this one."""
    view = view_of(known, status, reason)
    for table in graded_tables(writer.dataset):
        if rules := [rule for rule in rules_of(table) if rule.looks_back]:
            writer.renew_verdicts(table.name, evaluate(rules, view))


def _graded_verdicts(reader: SliceReader, week: SliceKey) -> list[QualityCheckResult]:
    """Return the verdicts in the store that make the grade of a slice."""
    graded = {table.name for table in graded_tables(reader.dataset)}
    return stored_verdicts(reader, week, graded)


def stored_verdicts(
    reader: SliceReader, week: SliceKey, tables: Collection[str]
) -> list[QualityCheckResult]:
    """Return the verdicts in the store on some tables of a slice."""
    return [
        QualityCheckResult(
            record["rule"],
            record["passed"],
            Severity(record["severity"]),
            record["is_expected"],
            record["details"],
        )
        for record in reader.records("quality_checks", week)
        if record["table_name"] in tables
    ]


def failed_rules(reader: SliceReader, week: SliceKey) -> list[str]:
    """Return the rules that cost a slice some of its grade, in order of their names."""
    return sorted({each.check_name for each in unexpected(_graded_verdicts(reader, week))})


def standing_quality(
    reader: SliceReader, week: SliceKey, status: SliceStatus, *, has_content: bool
) -> Quality | None:
    """Grade a slice by its verdicts; None if it is not due."""
    return grade(_graded_verdicts(reader, week), status, has_content=has_content)


def content_quality(reader: SliceReader, week: SliceKey) -> Quality | None:
    """Grade the content of a slice as it is known now.

    Whether some other file of it was refused is no property of the content: the rows of the
    snapshot do not change when one is.
    """
    verdicts = [v for v in _graded_verdicts(reader, week) if not is_presence(v.check_name)]
    return grade(verdicts, SliceStatus.LOADED)


def quality_columns(quality: Quality | None) -> dict[str, object]:
    """Return a quality as the columns that hold it; null without one."""
    return {
        "quality_score": quality.score if quality else None,
        "quality_grade": quality.grade if quality else None,
        "quality_status": quality.status if quality else None,
    }


def quality_then(known: Knowledge) -> Quality | None:
    """Grade a slice as it was known on an earlier day, by judging its tables of then."""
    view = view_of(known, SliceStatus.LOADED, None)
    rules = [rule for table in graded_tables(known.reader.dataset) for rule in rules_of(table)]
    return grade(evaluate(rules, view), SliceStatus.LOADED)
