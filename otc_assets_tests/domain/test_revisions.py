from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.revisions import (
    Action,
    Decision,
    Revision,
    RevisionPolicy,
    decide,
    newest,
)

VERSIONED, OVERWRITE, SKIP, MERGE = RevisionPolicy
INSERTED, UPDATED, SKIPPED = Action

FIRST = Revision(1, date(2025, 12, 15), "first")
SECOND = Revision(2, date(2026, 1, 7), "second")
KNOWN = [FIRST, SECOND]

POLICIES = list(RevisionPolicy)
ADDING = [VERSIONED, OVERWRITE, MERGE]

TABLE = [
    # policies, known, content, force, expected
    (POLICIES, [], "first", False, Decision(INSERTED, 1, None)),
    (POLICIES, [], "first", True, Decision(INSERTED, 1, None)),
    (POLICIES, KNOWN, "second", False, Decision(SKIPPED, 2, 2)),
    (POLICIES, KNOWN, "second", True, Decision(UPDATED, 2, 2)),
    (POLICIES, KNOWN, "first", False, Decision(SKIPPED, 1, 2)),
    (POLICIES, KNOWN, "first", True, Decision(UPDATED, 1, 2)),
    (ADDING, KNOWN, "third", False, Decision(UPDATED, 3, 2)),
    (ADDING, KNOWN, "third", True, Decision(UPDATED, 3, 2)),
    ([SKIP], KNOWN, "third", False, Decision(SKIPPED, 2, 2)),
    ([SKIP], KNOWN, "third", True, Decision(UPDATED, 3, 2)),
]


@pytest.mark.parametrize(
    ("policy", "known", "content", "force", "expected"),
    [(policy, *row) for policies, *row in TABLE for policy in policies],
)
def test_what_becomes_of_a_content_under_each_policy(policy, known, content, force, expected):
    assert decide(known, content, policy, force=force) == expected


def test_the_table_of_decisions_leaves_no_case_out():
    cases = [(p, len(k), c, f) for policies, k, c, f, _ in TABLE for p in policies]
    assert len(cases) == len(set(cases)) == len(RevisionPolicy) * 4 * 2


def test_without_a_policy_every_content_is_kept_as_a_revision():
    assert decide(KNOWN, "third") == decide(KNOWN, "third", VERSIONED)


def test_an_older_content_that_arrives_late_gets_the_next_number():
    late = [Revision(1, date(2026, 1, 7), "corrected"), Revision(2, date(2025, 12, 15), "first")]
    assert decide(late, "second") == Decision(UPDATED, 3, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=12))
def test_numbers_count_up_and_no_content_gets_two(offers):
    known: list[Revision] = []
    for content, days in offers:
        decision = decide(known, content)
        if decision.action is not SKIPPED:
            day = date(2025, 12, 15) + timedelta(days)
            known.append(Revision(decision.source_revision, day, content))
    assert [r.source_revision for r in known] == list(range(1, len(known) + 1))
    first_offers = list(dict.fromkeys(content for content, _ in offers))
    assert [r.content_sha256 for r in known] == first_offers


@given(st.permutations([FIRST, SECOND, Revision(3, date(2026, 1, 7), "third")]))
def test_the_newest_is_the_latest_day_and_of_that_day_the_latest_arrival(known):
    assert newest(known).content_sha256 == "third"


def test_an_older_content_that_arrives_late_does_not_become_the_newest():
    assert newest([SECOND, Revision(3, date(2025, 12, 20), "late")]) == SECOND


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (date(2025, 12, 14), None),
        (date(2025, 12, 15), FIRST),
        (date(2026, 1, 6), FIRST),
        (date(2026, 1, 7), SECOND),
        (None, SECOND),
    ],
)
def test_a_revision_is_known_from_its_own_day_on(as_of, expected):
    assert newest(KNOWN, as_of) == expected


def test_nothing_is_the_newest_of_nothing():
    assert newest([]) is None
