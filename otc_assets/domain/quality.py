"""Quality: what a rule is, what it may look at, what it says, and the grade of a slice.

The rules themselves, their thresholds and their severity are in `otc_assets.domain.rules`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey


class Severity(StrEnum):
    """How grave it is that a rule fails."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class SliceStatus(StrEnum):
    """Whether a slice has content, and if not, why."""

    LOADED = "loaded"
    ARCHIVED = "archived"
    """Loaded, and the archive alone keeps the rows of some tables (retention)."""
    MISSING = "missing"
    """Due by the calendar, and the source has nothing."""
    NOT_OFFERED = "no_longer_offered"
    """Due, and FINRA has dropped it from its sets: it can only come from files."""
    NOT_DUE = "not_due"
    """FINRA has not published it yet."""
    REFUSED = "refused"
    """The source has a file that cannot be taken."""

    @property
    def is_loaded(self) -> bool:
        """Whether its content was taken in, wherever its rows are now."""
        return self in (SliceStatus.LOADED, SliceStatus.ARCHIVED)


@dataclass(frozen=True)
class QualityCheckResult:
    """The verdict of one rule on one slice."""

    check_name: str
    passed: bool
    severity: Severity
    is_expected: bool
    details: dict[str, Any]


@dataclass(frozen=True)
class Intake:
    """What became of the lines of a slice's newest revision."""

    line_count: int
    row_count: int
    reject_count: int
    repeat_count: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceView:
    """What the rules may look at: one slice, and as much of the weeks before as they need."""

    week: SliceKey
    status: SliceStatus
    reason: str | None
    frames: Mapping[str, pd.DataFrame]
    """The slice's rows by table; quantities in millionths of a share."""
    previous: Callable[[], pd.DataFrame | None] = lambda: None
    """Gives venue_volume of the week before (symbol, mpid, share_volume), None if there is none."""
    recent_row_counts: Callable[[], tuple[int, ...]] = tuple
    """Gives the rows of venue_volume in each of the five weeks before that have any."""
    weeks_in_window: int = 1
    """How many of the six weeks up to this one have rows."""
    intake: Intake | None = None
    dataset: Dataset = ATS


@dataclass(frozen=True)
class Finding:
    """What a rule found; a rule may say that it is graver than usual, or expected."""

    passed: bool
    details: dict[str, Any] = field(default_factory=dict)
    is_expected: bool = False
    severity: Severity | None = None


@dataclass(frozen=True)
class Rule:
    """A truth about one table of a slice, named as the truth that it asserts."""

    name: str
    table: str
    severity: Severity
    evaluate: Callable[[SliceView], Finding]
    blocking: bool = False
    """If it fails, the table's slice is not written, and nothing that reads it is computed."""
    looks_back: bool = False
    """It compares with earlier weeks, so its verdict may change when one of them does."""

    @property
    def description(self) -> str:
        """The rule's docstring."""
        return (self.evaluate.__doc__ or "").strip()


def unexpected(results: Iterable[QualityCheckResult]) -> list[QualityCheckResult]:
    """Return the verdicts of the rules that fail, known anomalies aside."""
    return [result for result in results if not result.passed and not result.is_expected]


PENALTY = {
    Severity.INFO: 0.0,
    Severity.WARNING: 0.1,
    Severity.ERROR: 0.3,
    Severity.CRITICAL: 0.5,
}
"""What an unexpected failure costs of the score of 1."""
GRADES = ((0.9, "A"), (0.8, "B"), (0.7, "C"), (0.5, "D"), (0.0, "F"))
WARNING_BELOW, CRITICAL_BELOW = 0.7, 0.5
"""Design, section 7.2."""


@dataclass(frozen=True)
class Quality:
    """Score (0 to 1), grade (A to F) and status (ok, warning, critical) of a slice."""

    score: float
    grade: str
    status: str


def grade(
    results: Iterable[QualityCheckResult], status: SliceStatus, *, has_content: bool = True
) -> Quality | None:
    """Return the quality of a slice: 1 less the penalty of each unexpected failure.

    A slice that is due and has no content scores 0. One that is not due yet, or that FINRA no
    longer offers, has no quality.
    """
    if status in (SliceStatus.NOT_DUE, SliceStatus.NOT_OFFERED):
        return None
    if not has_content:
        return quality_of(0.0)
    score = 1 - sum(PENALTY[r.severity] for r in unexpected(results))
    return quality_of(round(max(score, 0.0), 6))


def quality_of(score: float) -> Quality:
    """Return grade and status of a score of 0 to 1."""
    letter = next(letter for least, letter in GRADES if score >= least)
    standing = (
        "critical" if score < CRITICAL_BELOW else "warning" if score < WARNING_BELOW else "ok"
    )
    return Quality(score, letter, standing)
