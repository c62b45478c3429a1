import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.quality import (
    Quality,
    QualityCheckResult,
    Severity,
    SliceStatus,
    grade,
    quality_of,
)

INFO, WARNING, ERROR, CRITICAL = Severity


def result(severity, *, passed=False, is_expected=False):
    return QualityCheckResult("rule", passed, severity, is_expected, {})


def graded(*severities):
    return grade([result(severity) for severity in severities], SliceStatus.LOADED)


@pytest.mark.parametrize(
    ("score", "letter", "standing"),
    [
        (1.0, "A", "ok"),
        (0.9, "A", "ok"),
        (0.899999, "B", "ok"),
        (0.8, "B", "ok"),
        (0.799999, "C", "ok"),
        (0.7, "C", "ok"),
        (0.699999, "D", "warning"),
        (0.5, "D", "warning"),
        (0.499999, "F", "critical"),
        (0.0, "F", "critical"),
    ],
)
def test_a_score_on_a_border_has_the_better_grade(score, letter, standing):
    assert quality_of(score) == Quality(score, letter, standing)


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([], Quality(1.0, "A", "ok")),
        ([INFO] * 9, Quality(1.0, "A", "ok")),
        ([WARNING], Quality(0.9, "A", "ok")),
        ([WARNING] * 2, Quality(0.8, "B", "ok")),
        ([WARNING] * 3, Quality(0.7, "C", "ok")),
        ([ERROR], Quality(0.7, "C", "ok")),
        ([ERROR, WARNING], Quality(0.6, "D", "warning")),
        ([CRITICAL], Quality(0.5, "D", "warning")),
        ([WARNING] * 5, Quality(0.5, "D", "warning")),
        ([CRITICAL, WARNING], Quality(0.4, "F", "critical")),
        ([CRITICAL, CRITICAL], Quality(0.0, "F", "critical")),
        ([CRITICAL] * 5, Quality(0.0, "F", "critical")),
    ],
)
def test_each_unexpected_failure_costs_its_penalty(failures, expected):
    assert graded(*failures) == expected


@given(st.lists(st.sampled_from(Severity), max_size=6))
def test_expected_failures_and_rules_that_hold_cost_nothing(severities):
    free = [result(s, is_expected=True) for s in severities]
    free += [result(s, passed=True) for s in severities]
    assert grade(free, SliceStatus.LOADED) == Quality(1.0, "A", "ok")


@given(st.lists(st.sampled_from(Severity), max_size=12), st.sampled_from(Severity))
def test_one_more_failure_never_makes_a_slice_better(severities, another):
    assert 0 <= graded(*severities, another).score <= graded(*severities).score <= 1


def test_a_slice_that_is_due_and_missing_scores_nothing():
    nothing = Quality(0.0, "F", "critical")
    for status in (SliceStatus.MISSING, SliceStatus.REFUSED):
        assert grade([result(ERROR)], status, has_content=False) == nothing


def test_a_slice_that_is_not_due_has_no_quality():
    assert grade([result(CRITICAL)], SliceStatus.NOT_DUE) is None
