"""The numbers of a check's evaluations, which Dagster plots over the partitions.

All of them were counted when the slice was judged; nothing is read for them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from otc_assets.domain.quality import Rule, unexpected
from otc_assets.operations.judge import Judgement

OF_EACH = {
    "score": "the slice's quality, 0 to 1, as graded so far",
    "rules": "rules judged",
    "rules_failed": "those that fail, known anomalies aside",
    "rows": "rows judged",
}
"""The numbers of every check, and what they mean."""


@dataclass(frozen=True)
class Detail:
    """A number that a rule has in the details of its verdict."""

    rule: str
    key: str
    """What the details call it."""
    name: str
    """What the check calls it."""
    meaning: str


DETAILS = (
    Detail("lines_are_accounted_for", "rejects", "rejects", "lines rejected, repeats included"),
    Detail(
        "few_lines_are_rejected",
        "reject_rate_pct",
        "reject_rate_pct",
        "lines rejected, repeats aside, in percent",
    ),
    Detail(
        "record_count_is_usual",
        "pct_of_average",
        "rows_vs_average_pct",
        "rows in percent of their average in the five weeks before: 100 is as usual",
    ),
    Detail(
        "symbols_of_last_week_are_there",
        "gone_pct",
        "symbols_gone_pct",
        "symbols of last week that are gone, in percent",
    ),
    Detail(
        "window_is_complete",
        "weeks_in_window",
        "weeks_in_window",
        "weeks of six in the store",
    ),
)


def numbers_of(found: Judgement) -> dict[str, int | float]:
    """Return the numbers of one check on one slice; those that nobody knows are left out."""
    numbers = {
        "score": found.score,
        "rules": len(found.verdicts),
        "rules_failed": len(unexpected(found.verdicts)),
        "rows": found.rows,
    }
    details = {verdict.check_name: verdict.details for verdict in found.verdicts}
    numbers |= {each.name: details.get(each.rule, {}).get(each.key) for each in DETAILS}
    return {name: number for name, number in numbers.items() if number is not None}


def explained(rules: Iterable[Rule]) -> str:
    """Return as markdown which numbers a check of some rules has, and what they mean."""
    names = {rule.name for rule in rules}
    meanings = OF_EACH | {each.name: each.meaning for each in DETAILS if each.rule in names}
    listed = "; ".join(f"`{name}` ({meaning})" for name, meaning in meanings.items())
    return f"Plotted: {listed}."
